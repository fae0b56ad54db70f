"""`hitsave push`."""

from __future__ import annotations

from pathlib import Path

import click

from hitsave.amounts import count, show_size
from hitsave.cli.output import emit_json, json_option, named_remote_option, paths_argument
from hitsave.cli.session import Session, pass_session


@click.command("push")
@paths_argument
@named_remote_option
@json_option
@pass_session
def command(session: Session, paths: tuple[Path, ...], remote: str | None, as_json: bool) -> int:
    """Send what this project owns and the remote lacks.

    Without PATH these are all versions of its datasets, the snapshots taken in it, and the evaluations of its
    functions; with PATH, what the pointer files name. Nothing else leaves this machine. What cannot be sent holds up
    nothing else; then the exit code is 1.

    \b
    Examples:
      hitsave push
      hitsave push data/images --remote origin
      hitsave push --verbose
    """
    repository = session.repository
    sent = repository.push(repository.find_datasets(paths) if paths else None, remote)
    session.end_progress()
    done, place = sent.pushed, f"to {sent.remote.name} ({sent.remote.url})"
    if as_json:
        emit_json(done._asdict() | ({"failed": sent.failed} if sent.failed else {}))
    elif done.refs == 0 and not sent.failed:
        there = "" if sent.lacking else "everything is there already; "
        session.say(f"{there}nothing was sent {place}")
    elif done.refs:
        session.say(
            f"{count(done.objects, 'object')}, {show_size(done.size)}: {show_size(done.sent)} sent "
            f"in {count(done.packs, 'pack')}, {count(done.refs, 'ref')} made, {place}"
        )
    return session.fail(sent.failed)
