"""`python -m benchmarks.variants [NAME...] [--folder DIR]`: run the named measurements, or all of them."""

import argparse
import shutil
import tempfile
from importlib import import_module
from pathlib import Path

NAMES = ("scanning", "reading", "compressing", "chunking", "writing", "copying")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--folder", type=Path, help="where to put the files (default: the temporary folder)")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    base = Path(tempfile.mkdtemp(prefix="variants-", dir=options.folder))
    try:
        for name in options.names or NAMES:
            folder = base / name
            folder.mkdir()
            print(import_module(f"benchmarks.variants.{name}").run(folder), flush=True)
    finally:
        shutil.rmtree(base)  # last of all: deleting many files slows the creation of others


if __name__ == "__main__":
    main()
