"""`hitsave status`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitsave.cli.output import count, emit, emit_json, json_option, paths_argument, show_path
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.snapshots.datasets import DatasetStatus

_MOST_SHOWN = 50


@click.command("status")
@paths_argument
@json_option
@pass_session
def command(session: Session, paths: tuple[Path, ...], as_json: bool) -> None:
    """Show what differs between pointer files, working files, cache and remote.

    Only files that may have changed are read.
    """
    from hitsave.errors import RemoteError

    repository = session.repository
    found = repository.status(repository.find_datasets(paths))
    session.end_progress()
    uploaded: dict[Path, bool | None] = {}
    for dataset in found:
        try:
            known = repository.config.remotes and not repository.config.offline
            uploaded[dataset.path] = repository.is_uploaded(dataset.pointer.digest) if known else None
        except RemoteError as error:
            uploaded[dataset.path] = None
            repository.progress.note(f"the remote was not asked: {error}")
    if as_json:
        emit_json([_as_json(dataset, uploaded[dataset.path]) for dataset in found])
        return
    if not found:
        session.say("no datasets here; 'hitsave add PATH' makes one")
    width = max((len(show_path(dataset.path)) for dataset in found), default=0)
    for dataset in found:
        _show(dataset, uploaded[dataset.path], width)


def _show(dataset: DatasetStatus, uploaded: bool | None, width: int) -> None:
    places = ["in the cache" if dataset.in_cache else "not wholly in the cache"]
    if uploaded is not None:
        places.append("pushed" if uploaded else "not pushed")
    emit(f"{dataset.state.value:<9} {show_path(dataset.path):<{width}}  {', '.join(places)}")
    for change in dataset.changes[:_MOST_SHOWN]:
        emit(f"    {change.kind.value:<8} {show_path(os.path.join(os.fsencode(dataset.path), change.path))}")
    if len(dataset.changes) > _MOST_SHOWN:
        emit(f"    and {len(dataset.changes) - _MOST_SHOWN:,} more ('--json' lists them all)")
    if dataset.absent:
        emit(f"    {count(dataset.absent, 'file')} not fetched")


def _as_json(dataset: DatasetStatus, uploaded: bool | None) -> dict[str, Any]:
    return {
        "path": str(dataset.path),
        "digest": str(dataset.pointer.digest),
        "state": dataset.state.value,
        "in_cache": dataset.in_cache,
        "pushed": uploaded,
        "not_fetched": dataset.absent,
        "changes": [{"kind": change.kind.value, "path": os.fsdecode(change.path)} for change in dataset.changes],
    }
