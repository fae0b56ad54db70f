"""`hitsave push`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hitsave.amounts import count, show_size
from hitsave.cli.output import emit_json, json_option, named_remote_option, paths_argument
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.remotes.writing.push import Pushed
    from hitsave.sending import Sent


@click.command("push")
@paths_argument
@named_remote_option
@json_option
@pass_session
def command(session: Session, paths: tuple[Path, ...], remote: str | None, as_json: bool) -> int:
    """Send what this project owns and the remote lacks.

    Without PATH these are all versions of its datasets, the snapshots taken in it, and the evaluations of its
    functions that have their results here; with PATH, what the pointer files name. Nothing else leaves this machine,
    and what lies in a project within this one is not its own. What cannot be sent holds up nothing else; then the exit
    code is 1.

    \b
    Examples:
      hitsave push
      hitsave push data/images --remote origin
      hitsave push --verbose
    """
    repository = session.repository
    sent = repository.push(repository.find_datasets(paths) if paths else None, remote)
    session.end_progress()
    if as_json:
        emit_json({**sent.pushed._asdict(), "failed": sent.failed})
    elif said := _describe(sent):
        session.say(said)
    return session.fail(sent.failed)


def _describe(sent: Sent) -> str:
    """What was sent, and where; empty where nothing was and something could not be."""
    place = f"to {sent.remote.name} ({sent.remote.url})"
    if sent.pushed.refs == 0:
        return "" if sent.failed else f"everything is there already; nothing was sent {place}"
    return describe_pushed(sent.pushed, f", {place}")


def describe_pushed(done: Pushed, place: str = "") -> str:
    """What a push did that has made refs; `place` follows their number."""
    refs = f"{count(done.refs, 'ref')} made{place}"
    if done.objects == 0:
        return f"{refs}; what {'it owns' if done.refs == 1 else 'they own'} was there already"
    amounts = f"{count(done.objects, 'object')}, {show_size(done.size)}"
    return f"{amounts}: {show_size(done.sent)} sent in {count(done.packs, 'pack')}, {refs}"
