"""`hitsave status`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitsave.amounts import count
from hitsave.cli.output import TONES, Tone, emit, emit_json, json_option, paint, paths_argument, show_path
from hitsave.cli.parts import command_to_bring
from hitsave.cli.session import Session, pass_session
from hitsave.cli.shortfalls import describe_failures

if TYPE_CHECKING:
    from hitsave.errors import HitsaveError
    from hitsave.looking.standing import Standing
    from hitsave.repository import Repository
    from hitsave.snapshots.diff import Change
    from hitsave.snapshots.status import DatasetStatus

_MOST_SHOWN = 50
_MOST_NAMED = 5
#: What JSON tells of each dataset; null stands for what is not known.
_KEYS = (
    "path",
    "digest",
    "state",
    "holds",
    "made_from",
    "in_cache",
    "pushed",
    "committed_data",
    "not_fetched",
    "changes",
    "error",
)


@click.command("status")
@paths_argument
@json_option
@pass_session
def command(session: Session, paths: tuple[Path, ...], as_json: bool) -> int:
    """Show what differs between pointer files, working files, cache and remote.

    Only files that may have changed are read. A dataset that cannot be looked at, or whose pointer file git left in
    conflict, holds up no other; then the exit code is 1. Where the commit that is checked out names data that others
    cannot get, a note says so; in JSON, "committed_data" is then "only here" or "nowhere". What is not known is null
    there.

    \b
    Examples:
      hitsave status
      hitsave status data/images --json
    """
    from hitsave.looking.standing import Risk, find_standing

    repository = session.repository
    found, failed = _look(repository, repository.find_datasets(paths))
    session.end_progress()
    standing = find_standing(repository, found)
    reasons = describe_failures(failed)
    if as_json:
        shown = [_as_json(dataset, standing) for dataset in found]
        emit_json(shown + [_failure_as_json(path, error) for path, error in failed.items()])
        return session.fail(reasons)
    if not found and not failed:
        session.say_no_datasets()
    width = max((len(show_path(dataset.path)) for dataset in found), default=0)
    for dataset in found:
        _show(session, dataset, standing.pushed[dataset.path], width)
    for path, error in failed.items():
        state = _state_of(error)
        emit(f"{paint(f'{state:<9}', Tone.BAD)} {show_path(path)}")
    nowhere = "neither here nor in the remote; run 'hitsave push' where it was added"
    if not repository.config.remotes:
        nowhere = "not here, and no remote is set; 'hitsave remote add NAME URL' names where it was pushed to"
    for risk, where in ((Risk.ONLY_HERE, "nowhere but here; 'hitsave push' sends it"), (Risk.NOWHERE, nowhere)):
        if some := [path for path, held in standing.at_risk.items() if held is risk]:
            session.say(f"{_shown(some)} as committed: the data is {where}")
    return session.fail(reasons)


def _look(repository: Repository, paths: list[Path]) -> tuple[list[DatasetStatus], dict[Path, HitsaveError | OSError]]:
    """How datasets stand, and what was wrong with those that cannot be looked at."""
    from hitsave.errors import ObjectError, SnapshotError, WorkspaceError

    found: list[DatasetStatus] = []
    failed: dict[Path, HitsaveError | OSError] = {}
    for path in paths:
        try:
            found += repository.status([path])
        except (WorkspaceError, SnapshotError, ObjectError, OSError) as error:
            failed[path] = error
    return found, failed


def _state_of(error: HitsaveError | OSError) -> str:
    from hitsave.errors import MergeConflict

    return "conflict" if isinstance(error, MergeConflict) else "error"


def _failure_as_json(path: Path, error: HitsaveError | OSError) -> dict[str, Any]:
    return {**dict.fromkeys(_KEYS), "path": str(path), "state": _state_of(error), "error": str(error)}


def _shown(paths: list[Path]) -> str:
    """The pointer files of datasets, the first few by name."""
    from hitsave.snapshots.pointer import pointer_path

    more = f" and {len(paths) - _MOST_NAMED:,} more" if len(paths) > _MOST_NAMED else ""
    return ", ".join(show_path(pointer_path(path)) for path in paths[:_MOST_NAMED]) + more


def _show(session: Session, dataset: DatasetStatus, uploaded: bool | None, width: int) -> None:
    places = ["in the cache" if dataset.in_cache else "not wholly in the cache"]
    if uploaded is not None:
        places.append("pushed" if uploaded else "not pushed")
    state = dataset.state.value
    emit(f"{paint(f'{state:<9}', TONES.get(state))} {show_path(dataset.path):<{width}}  {', '.join(places)}")
    if dataset.holds is not None:
        command = f"'hitsave {'checkout' if dataset.in_cache else 'pull'} {show_path(dataset.path)}'"
        emit(f"    holds version {dataset.holds.short}; {command} makes it the one of the pointer file")
    elif dataset.made_from is not None and state == "modified":
        typed = command_to_bring(session.repository.cache, [dataset.path], dataset.in_cache)
        emit(f"    made from version {dataset.made_from.short}; that of the pointer file comes by: {typed}")
    if not dataset.compared:
        emit(f"    what differs is not known here; 'hitsave diff {show_path(dataset.path)}' asks the remote")
    for change in dataset.changes[:_MOST_SHOWN]:
        kind = paint(f"{change.kind.value:<8}", TONES.get(change.kind.value))
        emit(f"    {kind} {show_path(os.path.join(os.fsencode(dataset.path), change.path))}")
    if len(dataset.changes) > _MOST_SHOWN:
        emit(f"    and {len(dataset.changes) - _MOST_SHOWN:,} more ('--json' lists them all)")
    if dataset.absent:
        emit(f"    {count(dataset.absent, 'file')} not pulled")


def _as_json(dataset: DatasetStatus, standing: Standing) -> dict[str, Any]:
    return {
        "path": str(dataset.path),
        "digest": str(dataset.pointer.digest),
        "state": dataset.state.value,
        "holds": None if dataset.holds is None else str(dataset.holds),
        "made_from": None if dataset.made_from is None else str(dataset.made_from),
        "in_cache": dataset.in_cache,
        "pushed": standing.pushed[dataset.path],
        "committed_data": standing.at_risk.get(dataset.path),
        "not_fetched": dataset.absent if dataset.compared else None,
        "changes": [_change_as_json(change) for change in dataset.changes] if dataset.compared else None,
        "error": None,
    }


def _change_as_json(change: Change) -> dict[str, str]:
    return {"kind": change.kind.value, "path": os.fsdecode(change.path)}
