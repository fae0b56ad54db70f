"""`python -m hitsave`."""

from hitsave.cli.main import main

if __name__ == "__main__":
    main()
