"""`hitsave forget`."""

from __future__ import annotations

import click

from hitsave.cli.output import count, emit
from hitsave.cli.session import Session, pass_session


@click.command("forget")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@pass_session
def command(session: Session, names: tuple[str, ...]) -> None:
    """Drop refs by name, so that 'hitsave gc' may collect what nobody else owns.

    NAME is a ref as 'hitsave show-ref' prints it, whose digest may be abbreviated; or PATH@DIGEST, one version of a
    dataset; or a digest that one ref alone holds. 'hitsave undo' brings them back.
    """
    repository = session.repository
    wanted = [repository.names.ref_named(name) for name in names]
    dropped = repository.forget(dict.fromkeys(wanted))
    for ref in dropped:
        emit(str(ref.name))
    session.say(f"{count(len(dropped), 'ref')} forgotten; 'hitsave undo' brings back, 'hitsave gc' collects")
