"""Files added to a dataset whose data need not be on this machine.

Of the dataset, only the directories on the way are read. Order, as in `add`: contents and the ref of the new version
are published in the cache, then the pointer file is written, and then, where working files are here, the new ones are
put among them. The new version is here in part alone, unless the old one is here whole; it can be pushed to where the
rest is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hitsave.errors import ReliedOnLost, SnapshotError, WorkspaceError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import name_fault
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Ref
from hitsave.remotes.reading.trees import Trees
from hitsave.repository import Repository
from hitsave.snapshots.amend import Amended, amend
from hitsave.snapshots.capture import Captured
from hitsave.snapshots.datasets import is_complete, keep, options_for
from hitsave.snapshots.names import entry_at, parents_of
from hitsave.snapshots.pointer import (
    Pointer,
    is_pointer,
    load_pointer,
    pointer_path,
    save_pointer,
    target_path,
)
from hitsave.snapshots.status import State

_TRIES = 20


@dataclass(frozen=True, slots=True)
class AddedTo:
    """A dataset after files were added to it; sizes in bytes."""

    path: Path
    digest: Digest
    size: int
    files: int
    added: int
    replaced: int
    new_objects: int
    new_size: int


class _Placed:
    """Tells of a path whether it was added, or lies in a directory that was, and of a directory whether it may."""

    def __init__(self, places: Iterable[bytes]) -> None:
        self._places = frozenset(places)
        self._on_the_way = frozenset(above for place in self._places for above in parents_of(place))

    def __call__(self, path: bytes) -> bool:
        return not self._places.isdisjoint([path, *parents_of(path)])

    def may_hold(self, directory: bytes) -> bool:
        return directory in self._on_the_way or self(directory)


def parse_target(text: str) -> tuple[Path, str]:
    """The dataset and the path inside of it that `PATH.hitsave[:SUBPATH]` names. Raises WorkspaceError."""
    cuts = [len(text), *(at for at, letter in enumerate(text) if letter == ":")]
    for cut in cuts if text else ():
        path = Path(os.path.abspath(text[:cut]))
        if is_pointer(path) and path.is_file():
            return target_path(path), text[cut + 1 :]
        if pointer_path(path).is_file():
            return path, text[cut + 1 :]
    raise WorkspaceError(f"{text}: is no pointer file; 'hitsave add PATH' makes one")


def add_to(repository: Repository, target: str, paths: Sequence[Path]) -> AddedTo:
    """Put files and directories into a dataset, as `cp` does: into SUBPATH where that is a directory or ends with `/`.

    One file alone takes the name SUBPATH otherwise, and the place of a file of that name. Raises WorkspaceError,
    SnapshotError, ObjectNotFound, RemoteError; then nothing has changed.
    """
    path, inner = parse_target(target)
    repository.workspace.refuse_other_project(path)
    pointer = load_pointer(pointer_path(path))
    if pointer.kind is not ObjectKind.TREE:
        raise WorkspaceError(f"{path}: is a single file; nothing can be added to it")
    here = os.path.lexists(path)
    if here and repository.status([path])[0].state is State.MODIFIED:
        raise WorkspaceError(f"{path}: has changes that were not added; run 'hitsave add {path}', or take them back")
    trees = Trees(repository.cache, repository.exchange.shelf_if_any)
    places = _places(pointer.digest, inner, paths, trees)
    done = _store(repository, path, pointer, places, trees)
    save_pointer(pointer_path(path), Pointer(done.digest, ObjectKind.TREE, done.size, done.files))
    if here:
        repository.checkout(path, include=_Placed(places))
    return done


def _places(root: Digest, inner: str, paths: Sequence[Path], trees: Trees) -> dict[bytes, Path]:
    """Which file goes where in the dataset. Raises WorkspaceError."""
    parts = [part for part in os.fsencode(inner).split(b"/") if part not in (b"", b".")]
    for part in parts:
        if fault := name_fault(part):
            raise WorkspaceError(f"{inner}: {fault}")
    folder = b"/".join(parts)
    there = entry_at(root, folder, trees.load) if parts else None
    into = not parts or len(paths) > 1 or inner.endswith("/") or (there is not None and there.kind is EntryKind.TREE)
    found: dict[bytes, Path] = {}
    for path in paths:
        absolute = Path(os.path.abspath(path))
        if not os.path.lexists(absolute):
            raise WorkspaceError(f"{path}: does not exist")
        name = os.fsencode(absolute.name)
        place = b"/".join([*parts, name]) if into else folder
        if not place or place in found:
            raise WorkspaceError(f"{path}: there is another one with its name" if place else f"{path}: has no name")
        found[place] = absolute
    return found


def _store(repository: Repository, path: Path, pointer: Pointer, places: Mapping[bytes, Path], trees: Trees) -> AddedTo:
    cache, progress = repository.cache, repository.progress
    progress.start(f"adding to {path.name}")
    for _ in range(_TRIES):
        additions: dict[bytes, TreeEntry] = {}
        objects = size = 0
        for place, source in places.items():
            options = options_for(cache, repository.workspace, source, repository.config.symlinks)
            kept = keep(cache, source, options, None, progress)
            additions[place] = _entry(place, kept.captured)
            objects, size = objects + kept.new_objects, size + kept.new_size
        try:
            amended = _publish(repository, path, pointer, additions, trees)
        except ReliedOnLost:
            continue  # A collection took what was kept a moment ago, and nobody owned yet.
        return AddedTo(path, amended.root, amended.size, amended.files, amended.added, amended.replaced, objects, size)
    raise SnapshotError(f"{path}: what is added is being collected again and again; try later")


def _entry(place: bytes, captured: Captured) -> TreeEntry:
    kind = EntryKind.TREE if captured.kind is ObjectKind.TREE else EntryKind.FILE
    if captured.executable and kind is EntryKind.FILE:
        kind = EntryKind.EXECUTABLE
    return TreeEntry(place.rpartition(b"/")[2], kind, captured.digest, captured.size, captured.files)


def _publish(
    repository: Repository, path: Path, pointer: Pointer, additions: Mapping[bytes, TreeEntry], trees: Trees
) -> Amended:
    cache = repository.cache
    roots = [(entry.digest, _kind(entry)) for entry in additions.values()]
    with cache.intake() as intake:
        done = amend(pointer.digest, additions, trees.load, lambda tree: intake.add(ObjectKind.TREE, tree))
        ref = _ref(repository, path, done.root)
        intake.publish([ref], cache.reachable(roots), partial=True)
    if is_complete(cache, done.root, ObjectKind.TREE):
        repository.exchange.own(ref)  # Now it is whole.
    return done


def _kind(entry: TreeEntry) -> ObjectKind:
    return ObjectKind.TREE if entry.kind is EntryKind.TREE else ObjectKind.BLOB


def _ref(repository: Repository, path: Path, digest: Digest) -> Ref:
    name = repository.workspace.dataset_ref(path, digest)
    return repository.project.make_version(repository.cache, name, digest, ObjectKind.TREE, path)
