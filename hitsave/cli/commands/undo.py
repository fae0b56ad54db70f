"""`hitsave undo`."""

from __future__ import annotations

import click

from hitsave.amounts import count
from hitsave.cli.evaluations import show_project
from hitsave.cli.output import emit, emit_json, json_option, remote_option
from hitsave.cli.session import Session, pass_session
from hitsave.objects.refs import Namespace


@click.command("undo")
@remote_option("Bring back what was last dropped from a remote (the default one, without a name), by whomever.")
@json_option
@pass_session
def command(session: Session, remote: str | None, as_json: bool) -> None:
    """Bring back what the last forget or gc dropped, while it is still kept.

    It is the last one of this cache, whichever project it was run in; the refs that come back are printed.

    \b
    Examples:
      hitsave undo
      hitsave undo --remote origin
    """
    if remote is not None:
        there = session.repository.upkeep(remote).undo()
        if as_json:
            refs = [str(ref.name) for ref in there.refs]
            emit_json({"operation": there.operation, "refs": refs, "objects": None})
            return
        for ref in there.refs:
            emit(str(ref.name))
        session.say(f"undid {there.operation}: {count(len(there.refs), 'ref')} back in the remote")
        if links := sum(ref.name.namespace is Namespace.PUBLIC for ref in there.refs):
            session.say(_say_public(links, session.repository.config.remote(remote or None).url))
        return
    own = session.repository.project.quoted
    done = session.repository.undo()
    if as_json:
        refs = [str(ref.name) for ref in done.refs]
        emit_json({"operation": done.operation, "refs": refs, "objects": done.objects})
        return
    for ref in done.refs:
        emit(str(ref.name))
    session.say(f"undid {done.operation}: {count(len(done.refs), 'ref')} and {count(done.objects, 'object')} are back")
    if others := {project for ref in done.refs if (project := ref.path.partition("/")[0]) not in ("", own)}:
        session.say(f"they are also of other projects: {', '.join(map(show_project, sorted(others)))}")
    if any(ref.name.namespace is Namespace.PUBLIC for ref in done.refs):
        session.say("a link that was taken back stays so; 'hitsave snapshot --public' makes it public again")


def _say_public(links: int, url: str) -> str:
    """What it means that refs of public snapshots are back in a remote."""
    from hitsave.remotes.public.places import is_server

    them = f"{links} of them {'is' if links == 1 else 'are'}"
    if is_server(url):
        return f"{them} public again, for everybody who has the link; 'hitsave snapshot --unpublish' takes that back"
    return (
        f"{them} public again, as long as no gc has removed the files; 'hitsave snapshot --unpublish' takes that back, "
        "'hitsave snapshot --public' puts the files there"
    )
