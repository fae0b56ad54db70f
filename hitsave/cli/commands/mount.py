"""`hitsave mount`."""

from __future__ import annotations

from pathlib import Path

import click

from hitsave.cli.completing import Kind, completes
from hitsave.cli.output import one_line
from hitsave.cli.paths import GivenPath
from hitsave.cli.session import Session, pass_session


@click.command("mount")
@click.argument("name", metavar="NAME", shell_complete=completes(Kind.OBJECT))
@click.argument("place", metavar="DIR", type=GivenPath())
@pass_session
def command(session: Session, name: str, place: Path) -> None:
    """Show a directory of the store at DIR, read-only, and fetch what is read of it when it is read.

    NAME is as for 'hitsave ls'. DIR is an empty folder. The command runs until Ctrl-C, SIGTERM or 'fusermount -u DIR',
    each of which unmounts. What is read is checked, and is not kept in the cache: what is read whole, or often, is
    better pulled. A file that is damaged, or cannot be had, is an input/output error, with a line here that says why.

    It needs FUSE (Debian: fuse3; macOS: macFUSE) and: pip install 'hitsave[mount]'

    \b
    Examples:
      hitsave mount data/images /mnt/images
      hitsave mount 32684bfa28c:train here
      hitsave mount v1.2:data before
    """
    from hitsave.mounting import mount

    def warn(text: str) -> None:
        click.echo(f"hitsave: {one_line(text)}", err=True)

    mount(session.repository, name, place, warn, lambda: session.say(f"{place}: mounted; Ctrl-C unmounts"))
    session.say(f"{place}: unmounted")
