"""Merging pointer files that two branches of git changed: for git's merge, and afterwards for conflicts that it left.

Of the datasets only the directories that both sides changed are read, here or in the remote, and no file is. Order, as
in `add`: the directories of the merged version and its ref are published in the cache, then the pointer file is
written. The merged version is here in part alone, unless both sides are here; it can be pushed to where the rest is.
Whatever cannot be done is an error, and leaves both sides as they were.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from hitsave.errors import ReliedOnLost, WorkspaceError
from hitsave.objects.digest import ObjectKind
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.remotes.reading.trees import Trees
from hitsave.repository import Repository
from hitsave.snapshots.datasets import is_complete
from hitsave.snapshots.git import conflict_at
from hitsave.snapshots.merge import Merge, Side, Versions, merge
from hitsave.snapshots.pointer import Pointer, parse_pointer, pointer_path, save_pointer


class Three(NamedTuple):
    """A pointer file in the version that both sides come from, which may be none, and in those of the two sides."""

    base: Pointer | None
    ours: Pointer
    theirs: Pointer


class MergedDataset(NamedTuple):
    """What came of a merge; None where there are conflicts, and no side was favoured in them."""

    pointer: Pointer | None
    conflicts: tuple[bytes, ...]


def read_three(base: bytes | None, ours: bytes, theirs: bytes, where: str) -> Three:
    """The three versions of a pointer file, as git has them. Raises WorkspaceError where one cannot be read."""

    def read(content: bytes, whose: str) -> Pointer:
        return parse_pointer(content.decode("utf-8", errors="replace"), f"{where} ({whose})")

    return Three(read(base, "base") if base else None, read(ours, "ours"), read(theirs, "theirs"))


def merge_dataset(repository: Repository, path: Path, three: Three, favour: Side | None = None) -> MergedDataset:
    """Merge two versions of the dataset at a path; what comes of it is owned, and no pointer file is written.

    Raises ObjectNotFound, RemoteError where directories that both sides changed are out of reach.
    """
    versions = Versions(*(None if pointer is None else _entry(pointer) for pointer in three))
    trees = Trees(repository.cache, repository.exchange.shelf_if_any)
    decided = merge(versions, trees.load, trees.bring, favour)
    if decided.conflicts and favour is None:
        return MergedDataset(None, tuple(decided.conflicts))
    return MergedDataset(_publish(repository, path, decided), tuple(decided.conflicts))


def conflicting(repository: Repository) -> list[Path]:
    """The datasets of the workspace whose pointer files git holds in conflict. Raises WorkspaceError."""
    root = repository.workspace.root
    return [path for path in repository.find_datasets(()) if conflict_at(root, pointer_path(path)) is not None]


def resolve(repository: Repository, path: Path, favour: Side | None = None) -> MergedDataset:
    """Merge what git holds in conflict for a dataset's pointer file, and write it. Raises as `merge_dataset`.

    Raises WorkspaceError where git holds no conflict for it, or one side has removed it.
    """
    place = pointer_path(path)
    held = conflict_at(repository.workspace.root, place)
    if held is None:
        raise WorkspaceError(f"{place}: git holds no merge conflict for it")
    if held.ours is None or held.theirs is None:
        raise WorkspaceError(f"{place}: one side has removed it; 'git add' keeps it, and 'git rm' removes it")
    three = read_three(held.base, held.ours, held.theirs, os.fspath(place))
    done = merge_dataset(repository, path, three, favour)
    if done.pointer is not None:
        save_pointer(place, done.pointer)
    return done


def _entry(pointer: Pointer) -> TreeEntry:
    kind = EntryKind.EXECUTABLE if pointer.executable else EntryKind.FILE
    if pointer.kind is ObjectKind.TREE:
        kind = EntryKind.TREE
    return TreeEntry(b"", kind, pointer.digest, pointer.size, pointer.files)


def _pointer(entry: TreeEntry) -> Pointer:
    kind = ObjectKind.TREE if entry.kind is EntryKind.TREE else ObjectKind.BLOB
    return Pointer(entry.digest, kind, entry.size, entry.files, entry.kind is EntryKind.EXECUTABLE)


def _publish(repository: Repository, path: Path, decided: Merge) -> Pointer:
    cache, project = repository.cache, repository.project
    with cache.intake() as intake:
        pointer = _pointer(decided.build(lambda tree: intake.add(ObjectKind.TREE, tree)))
        name = repository.workspace.dataset_ref(path, pointer.digest)
        ref = project.make_version(cache, name, pointer.digest, pointer.kind, path)
        intake.publish([ref], partial=True)
    if is_complete(cache, pointer.digest, pointer.kind):
        with suppress(ReliedOnLost):  # Collected this moment: then it is here in part.
            repository.exchange.own(ref)
    return pointer
