"""`hitsave dashboard`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.repository import Repository


@click.command("dashboard")
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="The port to listen at; any that is free without."
)
@click.option("--no-open", is_flag=True, help="Open no browser.")
@pass_session
def command(session: Session, port: int, no_open: bool) -> None:
    """Look at what the cache of this machine keeps, with a browser.

    Experiments, evaluations, datasets, and what takes the space, of all projects. It is for this machine alone, needs
    no key, and ends with Ctrl-C.

    \b
    Examples:
      hitsave dashboard
      hitsave dashboard --port 8322 --no-open
    """
    from hitsave.errors import ConfigError

    try:
        import hitsave.server.running  # noqa: F401
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("hitsave"):
            raise
        raise ConfigError(f"for the dashboard, run: pip install 'hitsave[server]' ({error.name} is missing)") from None
    _run(session, session.repository, port, no_open)


def _run(session: Session, repository: Repository, port: int, no_open: bool) -> None:
    from contextlib import closing

    from hitsave.remotes.opening import open_transport
    from hitsave.server.running import listen, run
    from hitsave.server.settings import Settings
    from hitsave.server.site import open_local_site

    data = repository.cache.folder("dashboard")
    with listen("127.0.0.1", port) as listening:
        port = listening.getsockname()[1]
        url = f"http://127.0.0.1:{port}/"

        def ready() -> None:
            click.echo(url)
            session.say("Ctrl-C ends it")
            if not no_open:
                _open(url)

        with closing(open_transport(str(data / "store"))) as transport:
            with open_local_site(Settings(data, port=port), repository, transport) as site:
                run(site, listening, ready)


def _open(url: str) -> None:
    """Open a browser, beside the server: it asks at once."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
