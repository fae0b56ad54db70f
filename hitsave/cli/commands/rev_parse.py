"""`hitsave rev-parse`."""

from __future__ import annotations

import click

from hitsave.cli.completing import Kind, completes
from hitsave.cli.output import emit
from hitsave.cli.session import Session, pass_session


@click.command("rev-parse")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=completes(Kind.OBJECT))
@click.option("--short", is_flag=True, help="The first 12 digits only.")
@pass_session
def command(session: Session, names: tuple[str, ...], short: bool) -> None:
    """Print the digest that a name stands for.

    NAME is a digest or its beginning, a ref, a pointer file, a dataset, DIGEST:PATH or REV:PATH.

    \b
    Examples:
      hitsave rev-parse data/images
      hitsave rev-parse --short HEAD~1:data/images
    """
    for name in names:
        digest = session.repository.resolve(name).digest
        emit(digest.short if short else str(digest))
