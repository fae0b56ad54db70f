"""Where the data of datasets is, apart from the cache: whether the remote has it, and what git names of it.

A pointer file that is committed is a promise to everybody who has the commit. The remote is asked once for all
datasets, and git only where its answer can matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from hitsave.errors import ObjectNotFound, RemoteError, WorkspaceError
from hitsave.remotes.commits.view import View
from hitsave.remotes.writing.wanted import find_wanted
from hitsave.repository import Repository
from hitsave.snapshots.datasets import is_complete
from hitsave.snapshots.git import files_at_head
from hitsave.snapshots.pointer import Pointer, parse_pointer, pointer_path
from hitsave.snapshots.status import DatasetStatus


class Risk(StrEnum):
    """Where the data is of a pointer file that the commit which is checked out has, when others cannot get it."""

    ONLY_HERE = "only here"
    NOWHERE = "nowhere"


class Standing(NamedTuple):
    """Of datasets by their paths: whether the remote has them (None: not known), and which as committed are at risk."""

    pushed: dict[Path, bool | None]
    at_risk: dict[Path, Risk]


def find_standing(repository: Repository, found: Sequence[DatasetStatus]) -> Standing:
    """How datasets stand to the remote, and to the commit that is checked out. What cannot be asked is noted."""
    asked = bool(found) and bool(repository.config.remotes) and not repository.config.offline
    view: View | None = None
    try:
        shelf = repository.exchange.shelf_if_any(hasty=True) if asked else None
        view = None if shelf is None else shelf.view
        committed = _committed(repository, found) if asked or not repository.config.remotes else {}
        digests = {dataset.pointer.digest for dataset in found} | {pointer.digest for pointer in committed.values()}
        held = set() if view is None else view.has_many(digests)
        pushed: dict[Path, bool | None] = {
            dataset.path: dataset.pointer.digest in held if asked else None for dataset in found
        }
        away = {path: pointer for path, pointer in committed.items() if pointer.digest not in held}
        return Standing(pushed, _risks(repository, away, view, asked))
    except RemoteError as error:
        repository.progress.note(f"the remote was not asked: {error}")
        return Standing(dict.fromkeys((dataset.path for dataset in found), None), {})


def _committed(repository: Repository, found: Iterable[DatasetStatus]) -> dict[Path, Pointer]:
    """What the commit that is checked out has as pointer files. Without a remote, all that is here is as it should."""
    wanted = [dataset.path for dataset in found if repository.config.remotes or not dataset.in_cache]
    if not wanted or not repository.workspace.in_git:
        return {}
    places = {pointer_path(path): path for path in wanted}
    pointers: dict[Path, Pointer] = {}
    for place, content in files_at_head(repository.workspace.root, places).items():
        try:
            pointers[places[place]] = parse_pointer(content.decode("utf-8", errors="replace"), str(place))
        except WorkspaceError:
            continue  # Committed with a conflict in it: then it names nothing.
    return pointers


def _risks(repository: Repository, away: dict[Path, Pointer], view: View | None, asked: bool) -> dict[Path, Risk]:
    """Where the data is that the remote has not."""
    risks: dict[Path, Risk] = {}
    for path, pointer in away.items():
        if is_complete(repository.cache, pointer.digest, pointer.kind):
            if asked:
                risks[path] = Risk.ONLY_HERE
        elif view is not None and _rest_is_there(repository, view, path, pointer):
            risks[path] = Risk.ONLY_HERE
        else:
            risks[path] = Risk.NOWHERE
    return risks


def _rest_is_there(repository: Repository, view: View, path: Path, pointer: Pointer) -> bool:
    """Whether the remote has all of a dataset that is not here: files were added to one that it has, say."""
    name = repository.workspace.dataset_ref(path, pointer.digest)
    try:
        find_wanted(repository.cache, view, [repository.project.make_ref(name, pointer.digest, pointer.kind, path)])
    except ObjectNotFound:
        return False
    return True
