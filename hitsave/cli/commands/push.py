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
def command(session: Session, paths: tuple[Path, ...], remote: str | None, as_json: bool) -> None:
    """Send what this project owns and the remote lacks.

    Without PATH these are all versions of its datasets, the snapshots taken in it, and the evaluations of its
    functions; with PATH, what the pointer files name. Nothing else leaves this machine.

    \b
    Examples:
      hitsave push
      hitsave push data/images --remote origin
      hitsave push --verbose
    """
    repository = session.repository
    done = repository.push(repository.find_datasets(paths) if paths else None, remote)
    session.end_progress()
    if as_json:
        emit_json(done._asdict())
    elif done.refs == 0:
        session.say("everything is there already; nothing was sent")
    else:
        session.say(
            f"{count(done.objects, 'object')}, {show_size(done.size)}: {show_size(done.sent)} sent "
            f"in {count(done.packs, 'pack')}, {count(done.refs, 'ref')} made"
        )
