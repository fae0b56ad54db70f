"""`hitsave undo`."""

from __future__ import annotations

import click

from hitsave.amounts import count
from hitsave.cli.output import emit, remote_option
from hitsave.cli.session import Session, pass_session
from hitsave.objects.refs import Namespace


@click.command("undo")
@remote_option("Bring back what was last dropped from a remote (the default one, without a name), by whomever.")
@pass_session
def command(session: Session, remote: str | None) -> None:
    """Bring back what the last forget or gc dropped, while it is still kept.

    \b
    Examples:
      hitsave undo
      hitsave undo --remote origin
    """
    if remote is not None:
        there = session.repository.upkeep(remote).undo()
        for ref in there.refs:
            emit(str(ref.name))
        session.say(f"undid {there.operation}: {count(len(there.refs), 'ref')} back in the remote")
        return
    done = session.repository.undo()
    for ref in done.refs:
        emit(str(ref.name))
    session.say(f"undid {done.operation}: {count(len(done.refs), 'ref')} and {count(done.objects, 'object')} are back")
    if any(ref.name.namespace is Namespace.PUBLIC for ref in done.refs):
        session.say("a link that was taken back stays so; 'hitsave snapshot --public' makes it public again")
