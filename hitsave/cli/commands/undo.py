"""`hitsave undo`."""

from __future__ import annotations

import click

from hitsave.cli.output import count, emit
from hitsave.cli.session import Session, pass_session


@click.command("undo")
@pass_session
def command(session: Session) -> None:
    """Bring back what the last forget or gc dropped, while it is still kept."""
    done = session.repository.undo()
    for ref in done.refs:
        emit(str(ref.name))
    session.say(f"undid {done.operation}: {count(len(done.refs), 'ref')} and {count(done.objects, 'object')} are back")
