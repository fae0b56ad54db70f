"""`hitsave resolve`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitsave.amounts import count
from hitsave.cli.output import emit_json, json_option, paths_argument, show_path
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.looking.merging import MergedDataset


@click.command("resolve")
@paths_argument
@click.option("--ours", is_flag=True, help="Where both sides changed a file, keep our version.")
@click.option("--theirs", is_flag=True, help="Where both sides changed a file, keep the other version.")
@json_option
@pass_session
def command(session: Session, paths: tuple[Path, ...], ours: bool, theirs: bool, as_json: bool) -> int:
    """Merge the two sides of pointer files that git left in conflict; without PATH, of all of them.

    What one side alone changed is taken from there. Of files that both changed, the version of the side that is named
    is taken; without one they are listed, and the pointer file stays in conflict. Ours is the branch that was checked
    out, in a rebase the one that it goes on top of. Then 'git add' the pointer file; 'hitsave pull' brings the files.

    \b
    Examples:
      hitsave resolve
      hitsave resolve --ours data/images
      hitsave resolve --theirs data/images.hitsave
    """
    from hitsave.cli.conflicts import describe_conflicts
    from hitsave.looking.merging import conflicting, resolve
    from hitsave.snapshots.merge import Side

    if ours and theirs:
        raise click.UsageError("one of --ours and --theirs, please")
    side = "ours" if ours else "theirs" if theirs else None
    repository = session.repository
    found = repository.find_datasets(paths) if paths else conflicting(repository)
    if not found and not as_json:
        session.say("no pointer file is in conflict")
    failed = 0
    told: list[dict[str, Any]] = []
    for path in found:
        done = resolve(repository, path, Side(side) if side else None)
        session.end_progress()
        failed += done.pointer is None
        if as_json:
            told.append(_as_json(path, done))
            continue
        session.say(describe_conflicts(path, done.conflicts) if done.pointer is None else _describe(path, done, side))
    if as_json:
        emit_json(told)
    return 1 if failed else 0


def _as_json(path: Path, done: MergedDataset) -> dict[str, Any]:
    """A dataset; `conflicts` are paths inside of it, settled where there is a digest."""
    digest = None if done.pointer is None else str(done.pointer.digest)
    return {"path": str(path), "digest": digest, "conflicts": [os.fsdecode(inner) for inner in done.conflicts]}


def _describe(path: Path, done: MergedDataset, side: str | None) -> str:
    whose = "our" if side == "ours" else "their"
    kept = f", {whose} version of {count(len(done.conflicts), 'path')}" if done.conflicts else ""
    shown = show_path(path)
    return f"{shown}: merged{kept}; 'git add {shown}.hitsave' tells git, 'hitsave pull {shown}' brings the files"
