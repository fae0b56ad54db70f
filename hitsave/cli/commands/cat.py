"""`hitsave cat`."""

from __future__ import annotations

import sys

import click

from hitsave.cli.completing import Kind, completes
from hitsave.cli.session import Session, pass_session


@click.command("cat")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=completes(Kind.OBJECT))
@pass_session
def command(session: Session, names: tuple[str, ...]) -> None:
    """Print files of the store, without fetching anything else or keeping them.

    NAME is as for 'hitsave ls': DIGEST:PATH, a path in a dataset, REV:PATH and so on. What is printed was checked.

    \b
    Examples:
      hitsave cat data/images/labels.csv
      hitsave cat 32684bfa28c:train/labels.csv
      hitsave cat v1.2:data/config.json
    """
    from hitsave.looking.contents import open_files

    for pieces in open_files(session.repository, names):
        sys.stdout.flush()
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
