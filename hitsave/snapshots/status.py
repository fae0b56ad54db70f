"""How the working files of datasets stand to their pointer files. Reads only files that changed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hitsave.cache.store import Cache
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.progress import Progress
from hitsave.snapshots.capture import capture
from hitsave.snapshots.datasets import is_complete, matches, options_for, tree_changes
from hitsave.snapshots.diff import Change
from hitsave.snapshots.keeping import NameOnly
from hitsave.snapshots.leftout import count_files, is_part, left_out_of, version_before
from hitsave.snapshots.pointer import Pointer, load_pointer, pointer_path
from hitsave.snapshots.workspace import Workspace


class State(StrEnum):
    """How a dataset's working files stand to its pointer file."""

    CLEAN = "clean"
    PARTIAL = "partial"
    MODIFIED = "modified"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class DatasetStatus:
    """One dataset: its state, what differs (where the old tree is here), and whether the cache has all of it.

    `absent` counts files that were left out by a pull with --include; they are no changes. `holds` is another version
    that is kept, where the working files are exactly that. `made_from` is the version that they were made from, where
    git has brought another one since. Without `compared`, the old tree is not here, and nobody knows what differs.
    """

    path: Path
    pointer: Pointer
    state: State
    changes: tuple[Change, ...]
    in_cache: bool
    absent: int = 0
    holds: Digest | None = None
    made_from: Digest | None = None
    compared: bool = True


def status(
    cache: Cache, workspace: Workspace, paths: Iterable[Path], symlinks: str, progress: Progress
) -> list[DatasetStatus]:
    """How each dataset's working files differ from its pointer file. Reads only files that changed."""
    return [_status_of(cache, workspace, path, symlinks, progress) for path in paths]


def _status_of(cache: Cache, workspace: Workspace, path: Path, symlinks: str, progress: Progress) -> DatasetStatus:
    pointer = load_pointer(pointer_path(path))
    in_cache = is_complete(cache, pointer.digest, pointer.kind)
    if not os.path.lexists(path):
        return DatasetStatus(path, pointer, State.MISSING, (), in_cache)
    names = NameOnly()
    found = capture(path, names, cache.stats, options_for(cache, workspace, path, symlinks), progress)
    if matches(found, pointer):
        return DatasetStatus(path, pointer, State.CLEAN, (), in_cache)
    are_trees = pointer.kind is found.kind is ObjectKind.TREE
    changes = tree_changes(cache, pointer.digest, found, names) if are_trees else ()
    left_out = left_out_of(cache, path, changes) if is_part(cache, workspace, path, pointer.digest) else {}
    own = tuple(change for change in changes if change.path not in left_out)
    state = State.PARTIAL if left_out and not own else State.MODIFIED
    is_kept = cache.ref(workspace.dataset_ref(path, found.digest)) is not None and found.digest != pointer.digest
    holds = found.digest if is_kept and cache.owns_whole(found.digest) else None
    made_from = version_before(cache, path, pointer.digest)
    compared = bool(changes) or not are_trees
    return DatasetStatus(path, pointer, state, own, in_cache, count_files(left_out), holds, made_from, compared)
