"""What a word stands for where two things are compared: something that is recorded, or working files as they are.

A path that exists means the working files at it; its pointer file, what is recorded of it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hitsave.errors import ObjectNotFound, WorkspaceError
from hitsave.objects.digest import Digest, ObjectKind, is_abbreviation
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.remotes.reading.trees import Trees
from hitsave.repository import Repository
from hitsave.snapshots.capture import capture
from hitsave.snapshots.datasets import options_for
from hitsave.snapshots.git import path_at
from hitsave.snapshots.keeping import NameOnly
from hitsave.snapshots.pointer import SUFFIX, is_pointer, load_pointer, pointer_path, target_path


@dataclass(frozen=True, slots=True)
class Side:
    """One of two things that are compared. `place` is where the working files are; None of what is recorded."""

    label: str
    digest: Digest
    kind: ObjectKind
    size: int
    executable: bool = False
    place: Path | None = None

    def entry(self, name: bytes) -> TreeEntry:
        """A single file as an entry with this name."""
        return TreeEntry(name, EntryKind.EXECUTABLE if self.executable else EntryKind.FILE, self.digest, self.size)


def side_name(path: bytes) -> bytes:
    """How a single file is called that stands at a path, or has its pointer file there."""
    return os.path.basename(path.rstrip(b"/")).removesuffix(SUFFIX.encode())


def recorded(repository: Repository, text: str) -> Side:
    """What a digest, a ref, a pointer file, DIGEST:PATH or REV:PATH names."""
    found = repository.resolve(text)
    return Side(text, found.digest, found.kind, repository.size_of(found.digest), found.executable)


def recorded_at(path: Path) -> Side:
    """What the pointer file of a dataset says."""
    place = pointer_path(path)
    pointer = load_pointer(place)
    return Side(os.fspath(place), pointer.digest, pointer.kind, pointer.size, pointer.executable)


def working(repository: Repository, path: Path, trees: Trees) -> Side:
    """The files at a path as they are now; what has not changed is not read. Raises WorkspaceError, SnapshotError."""
    absolute = Path(os.path.abspath(path))
    if not os.path.lexists(absolute):
        raise WorkspaceError(f"{path}: does not exist; 'hitsave pull' brings the files of a dataset")
    names = NameOnly()
    options = options_for(repository.cache, repository.workspace, absolute, repository.config.symlinks)
    found = capture(absolute, names, repository.cache.stats, options, repository.progress)
    trees.know(names.trees)
    return Side(os.fspath(path), found.digest, found.kind, found.size, found.executable, absolute)


def side(repository: Repository, text: str, trees: Trees) -> Side:
    """What a word stands for. Raises WorkspaceError, ObjectNotFound and what lies beneath them."""
    path = Path(text)
    if is_pointer(path) and path.is_file():
        return recorded_at(target_path(Path(os.path.abspath(path))))
    if text and os.path.lexists(path):
        return working(repository, path, trees)
    if text and pointer_path(path).is_file():
        raise WorkspaceError(f"{text}: is not checked out; {pointer_path(path)} names what is recorded of it")
    return recorded(repository, text)


def place_of(repository: Repository, text: str) -> Path:
    """The working path that something recorded belongs to. Raises WorkspaceError where that cannot be told."""
    before, colon, after = text.partition(":")
    if colon and not _is_object(repository, before):
        path = repository.names.part_of_dataset(text) or path_at(repository.workspace.root, after)
        return target_path(path) if is_pointer(path) else path
    place = repository.known_place(repository.resolve(before).digest)
    if place is None:
        raise WorkspaceError(f"{text}: belongs to no path that is known here; name the files to compare it with")
    return repository.absolute(place) / after


def _is_object(repository: Repository, text: str) -> bool:
    """Whether a word before a colon is a digest, not a revision."""
    try:
        return is_abbreviation(text) and repository.resolve(text) is not None
    except ObjectNotFound:
        return False
