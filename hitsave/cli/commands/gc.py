"""`hitsave gc`."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

import click

from hitsave.amounts import count, show_duration, show_size
from hitsave.cli.evaluations import show_moment
from hitsave.cli.output import Tone, emit, emit_json, json_option, one_line, paint, remote_option, show_path
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.maintenance.collect import Collected as CollectedHere
    from hitsave.maintenance.collect import Dead
    from hitsave.memoisation.eviction import Excess
    from hitsave.remotes.collection.collect import Collected

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def _seconds(ctx: click.Context, parameter: click.Parameter, value: str) -> int:
    found = re.fullmatch(r"(\d+)([smhdw]?)", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no time; write 14d, 12h or 0")
    return int(found[1]) * _UNITS[found[2] or "d"]


@click.command("gc")
@click.option("-n", "--dry-run", is_flag=True, help="Only list what would go, and who owned it last.")
@click.option(
    "--keep",
    metavar="TIME",
    default="14d",
    show_default=True,
    callback=_seconds,
    help="How long 'hitsave undo' can bring back what is collected; older trash is deleted for good.",
)
@remote_option("Collect a remote (the default one, without a name) instead of the cache.")
@json_option
@pass_session
def command(session: Session, dry_run: bool, keep: int, remote: str | None, as_json: bool) -> None:
    """Collect what no ref reaches.

    It moves to the trash, from where 'hitsave undo' brings it back while it is kept there. Other processes may go on
    working meanwhile.

    Where limits are set (evaluations.age, .count, .size; see 'hitsave config'), results of functions beyond them are
    forgotten first, the least seconds of computing for each byte going before others; experiments never are.

    In a remote, refs that you made and forgot on this machine are dropped first; other people's stay. What they owned
    stays, too, until it has been dropped for as long as --keep says. What is left under 'public/' of links that were
    taken back goes at once. Others may push and pull meanwhile.

    \b
    Examples:
      hitsave gc --dry-run
      hitsave gc --keep 30d
      hitsave gc --remote origin --dry-run
    """
    from hitsave.cache.room import give_up_spare

    if remote is not None:
        _collect_remote(session, remote, keep, dry_run, as_json)
        return
    give_up_spare(session.config.cache_dir)
    excess = _forget_excess(session, dry_run)
    done = session.repository.collect(keep, dry_run)
    if as_json:
        emit_json(
            {
                "dry_run": dry_run,
                "freed": done.freed_bytes,
                "purged": done.purged_bytes,
                "forgotten": [{"name": str(each.row.name), "why": each.why} for each in excess],
                "objects": [_as_json(dead) for dead in done.objects],
            }
        )
        return
    for each in excess:
        emit(_line_of_excess(each))
    if dry_run:
        for dead in done.objects:
            emit(_line(dead))
    if excess:
        number, would = count(len(excess), "evaluation"), "would be " if dry_run else ""
        session.say(f"{number} {would}forgotten" + (", and what they alone own would go besides" if dry_run else ""))
    session.say(_describe_here(done, keep, dry_run))


def _describe_here(done: CollectedHere, keep: int, dry_run: bool) -> str:
    what = f"{count(len(done.objects), 'object')}, {show_size(done.freed_bytes)}"
    if dry_run:
        return f"{what} would go"
    deleted = f"{show_size(done.purged_bytes)} deleted for good"
    if not keep or not done.objects:
        return f"{what} collected; {deleted}"
    return f"{what} in the trash for {_span(keep)} ('hitsave undo' brings back, --keep 0 deletes); {deleted}"


def _span(seconds: int) -> str:
    return count(seconds // 86400, "day") if seconds % 86400 == 0 else show_duration(seconds * 1_000_000)


def _forget_excess(session: Session, dry_run: bool) -> list[Excess]:
    """Forget results beyond the limits of the store; which ones."""
    from hitsave.memoisation.eviction import excess_of_store, forget_excess

    repository = session.repository
    excess = excess_of_store(repository.cache, repository.config.evaluations, time.time_ns() // 1000)
    if excess and not dry_run:
        forget_excess(repository.cache, excess)
    return excess


def _line_of_excess(excess: Excess) -> str:
    row = excess.row
    facts = f"{show_moment(row.started)}  {show_duration(row.elapsed):>11}  {show_size(row.size):>9}"
    return f"{paint(row.digest.short, Tone.CHANGED)}  {facts}  {one_line(row.function)}: {excess.why}"


def _collect_remote(session: Session, remote: str, keep: int, dry_run: bool, as_json: bool) -> None:
    from hitsave.remotes.opening import require_role

    if not dry_run:  # A server would say so, too, but only where there is something to collect.
        require_role(session.config.remote(remote or None).url, "admin", "to collect")
    done = session.repository.upkeep(remote).collect(keep, dry_run)
    session.end_progress()
    if as_json:
        emit_json(
            {
                "dry_run": dry_run,
                "refs": [str(ref.name) for ref in done.dropped],
                "objects": done.objects,
                "size": done.size,
                "freed": done.freed,
                "kept": done.kept,
                "rewritten": done.rewritten,
                "public": [file.key for file in done.public],
            }
        )
        return
    for ref in done.dropped:
        emit(str(ref.name))
    for file in done.public:
        emit(one_line(file.key))
    session.say(_remote_line(done, dry_run))


def _remote_line(done: Collected, dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    freed = f"{show_size(done.freed)} {would}removed"
    if done.dropped or done.objects:
        objects = f"{count(done.objects, 'object')}, {show_size(done.size)}"
        freed = f"{count(len(done.dropped), 'ref')} and {objects}, {would}dropped: {freed}"
    elif done.freed:
        freed += " that no commit names any more"
    rewritten = f", {show_size(done.rewritten)} {would}rewritten" if done.rewritten else ""
    kept = f"; {show_size(done.kept)} more when older commits expire" if done.kept else ""
    size = sum(file.size for file in done.public)
    files = f"{count(len(done.public), 'file')}, {show_size(size)}"
    public = f"; {files}, of what is public no longer, {would}removed" if done.public else ""
    return f"{freed}{rewritten}{kept}{public}"


def _line(dead: Dead) -> str:
    name = show_path(b"/" + dead.former_path).lstrip("/") if dead.former_path else "-"
    owner = re.sub(r"@([0-9a-f]{12})[0-9a-f]{52}$", r"@\1", dead.former_owner or "never owned")
    digest = paint(dead.digest.short, Tone.CHANGED)
    return f"{digest}  {dead.kind.name.lower():<5} {show_size(dead.size):>9}  {owner}  {name}"


def _as_json(dead: Dead) -> dict[str, str | int | None]:
    return {
        "digest": str(dead.digest),
        "kind": dead.kind.name.lower(),
        "size": dead.size,
        "owner": dead.former_owner,
        "path": os.fsdecode(dead.former_path) if dead.former_path else None,
    }
