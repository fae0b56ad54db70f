"""Working files follow their pointer files; what was not saved stays, unless it is given up with force.

What the cache could bring back is never in danger: a directory whose tree is in the cache, or that only lacks files of
a version that is, can be changed freely. Everything else is UnsavedChanges.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hitsave.cache.places import Place
from hitsave.cache.store import Cache
from hitsave.config import DEFAULT_LINKS
from hitsave.errors import ObjectNotFound, UnsavedChanges
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.model import EntryKind
from hitsave.objects.refs import Namespace
from hitsave.progress import Progress, Silent
from hitsave.snapshots.capture import Captured, CaptureOptions, capture
from hitsave.snapshots.datasets import is_complete, keep, matches, options_for, tree_changes
from hitsave.snapshots.diff import Change, ChangeKind
from hitsave.snapshots.keeping import NameOnly
from hitsave.snapshots.layout import Include
from hitsave.snapshots.leftout import note_place, place_of
from hitsave.snapshots.listing import paths_beneath
from hitsave.snapshots.materialise import Materialised, materialise_tree
from hitsave.snapshots.names import entry_at, parents_of, walk
from hitsave.snapshots.partial import Globs, merge_trees
from hitsave.snapshots.place import behind_links, put_object, replace_directory
from hitsave.snapshots.pointer import Pointer, load_pointer, pointer_path
from hitsave.snapshots.staging import remove_dead
from hitsave.snapshots.update import update_tree
from hitsave.snapshots.workspace import Workspace

_VERSIONS_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """One dataset after `checkout`: how many files were written and removed; `size` in bytes written."""

    path: Path
    digest: Digest
    written: int
    removed: int
    size: int


@dataclass(frozen=True, slots=True)
class Checkout:
    """How to check out. With `include`, only the files that it wants, by their paths inside, are touched."""

    cache: Cache
    workspace: Workspace
    symlinks: str = "ignore"
    links: Sequence[str] = DEFAULT_LINKS
    force: bool = False
    include: Include | None = None
    progress: Progress = field(default_factory=Silent)

    def run(self, path: Path, pointer: Pointer | None = None) -> CheckedOut:
        """Make working files match their pointer file, or `pointer`, which is to become it.

        A path that is a link stays one: what it leads to is made to match. Raises UnsavedChanges, ObjectNotFound,
        NameConflict, WorkspaceError where links lead nowhere.
        """
        pointer = pointer or load_pointer(pointer_path(path))
        place = behind_links(self.cache, path)
        for folder in (place.parent, place):
            remove_dead(folder)
        self.progress.start(f"checking out {path.name}", pointer.size)
        was_there = os.path.exists(place)
        done = self._make(path, place, pointer) if was_there else self._write_new(place, pointer)
        self._note(path, pointer, was_there)
        return CheckedOut(path, pointer.digest, done.files, done.removed, done.size)

    def _note(self, path: Path, pointer: Pointer, was_there: bool) -> None:
        """Note what the path holds now. Of what was there and nobody noted, it is not known what else is wanted."""
        if self.include is None or pointer.kind is not ObjectKind.TREE:
            note_place(self.cache, path, Place(pointer.digest))
            return
        before = place_of(self.cache, path) if was_there else Place(pointer.digest)
        if before is None:
            return
        if isinstance(self.include, Globs) and (before.parts or not was_there):
            note_place(self.cache, path, before.with_part(pointer.digest, self.include.part))
        elif not isinstance(self.include, Globs):  # Files that were just added to it, or the part that it was.
            note_place(self.cache, path, before._replace(version=pointer.digest))

    def _make(self, path: Path, place: Path, pointer: Pointer) -> Materialised:
        """Make what stands at `place` match; `path` is the dataset's own, and may be a link to it."""
        options = options_for(self.cache, self.workspace, path, self.symlinks)
        names = NameOnly()
        found = capture(path, names, self.cache.stats, options)
        if matches(found, pointer):
            return Materialised(0, 0)
        self._make_sure_of(path, pointer, found, names, options)
        if found.kind is ObjectKind.TREE and pointer.kind is not ObjectKind.TREE and not self.force:
            self._refuse_left_out(path, found, names)
        if found.kind is not ObjectKind.TREE or pointer.kind is not ObjectKind.TREE or place.is_symlink():
            return self._write_new(place, pointer)
        target = self._target(found.digest, pointer.digest)
        try:
            return update_tree(
                self.cache, found.digest, target, place, links=self.links, force=self.force, progress=self.progress
            )
        except UnsavedChanges as error:
            raise UnsavedChanges(os.fspath(path), error.changed) from None

    def _target(self, found: Digest, wanted: Digest) -> Digest:
        if self.include is None:
            return wanted
        with self.cache.intake() as intake:
            merged = merge_trees(
                found, wanted, self.include, self.cache.read, lambda tree: intake.add(ObjectKind.TREE, tree)
            )
            intake.publish([])
        return merged

    def _make_sure_of(
        self, path: Path, pointer: Pointer, found: Captured, names: NameOnly, options: CaptureOptions
    ) -> None:
        """Nothing of what is there may be lost: it is in the cache already, or was given up and is put there now."""
        if is_complete(self.cache, found.digest, found.kind):
            return
        safe = self._only_lacks_files(path, pointer, found, names)
        if not safe and not self.force:
            raise UnsavedChanges(os.fspath(path), self._unsaved(pointer, found, names) or [path.name])
        kept = keep(self.cache, path, options, None, self.progress).captured
        if not safe:
            kept_as = kept.digest.short
            self.progress.note(f"{path}: what was discarded is kept as {kept_as} until the next 'hitsave gc'")

    def _unsaved(self, pointer: Pointer, found: Captured, names: NameOnly) -> list[str]:
        """The files whose content is kept nowhere; where only their names or places are new, those."""
        if found.kind is not ObjectKind.TREE:
            return []
        files = {
            inner: entry.digest
            for inner, entry in walk(found.digest, names.trees.__getitem__)
            if entry.kind is not EntryKind.TREE
        }
        missing = self.cache.missing(files.values())
        lost = [inner for inner, digest in files.items() if digest in missing]
        if not lost and pointer.kind is ObjectKind.TREE:
            changes = tree_changes(self.cache, pointer.digest, found, names)
            lost = [change.path for change in changes if change.kind is not ChangeKind.REMOVED]
        return [os.fsdecode(inner) for inner in lost]

    def _refuse_left_out(self, path: Path, found: Captured, names: NameOnly) -> None:
        """A directory that is to make room for a file may hold what no capture sees. Raises UnsavedChanges."""
        known = {inner for inner, _ in walk(found.digest, names.trees.__getitem__)}
        left_out = sorted(inner for inner, _ in paths_beneath(os.fsencode(path)) if inner not in known)
        if left_out:
            raise UnsavedChanges(os.fspath(path), [os.fsdecode(inner) for inner in left_out])

    def _only_lacks_files(self, path: Path, pointer: Pointer, found: Captured, names: NameOnly) -> bool:
        """Whether some version of the dataset has all that is there, so that files are missing and nothing else."""
        if found.kind is not ObjectKind.TREE:
            return False
        versions = [pointer.digest] if pointer.kind is ObjectKind.TREE else []
        prefix = self.workspace.dataset_ref(path, pointer.digest).name.rpartition("@")[0] + "@"
        refs = [ref for ref in self.cache.refs(Namespace.DATASETS) if ref.name.name.startswith(prefix)]
        refs.sort(key=lambda ref: ref.created, reverse=True)
        versions += [ref.digest for ref in refs[:_VERSIONS_LOOKED_AT] if ref.kind is ObjectKind.TREE]
        for version in versions:
            changes = tree_changes(self.cache, version, found, names)
            if changes and all(self._loses_nothing(change, version, found, names) for change in changes):
                return True
        return False

    def _loses_nothing(self, change: Change, version: Digest, found: Captured, names: NameOnly) -> bool:
        """Whether a version has what is there: it may stand in a directory of the version that holds no file now."""
        if change.new is None:
            return True
        if change.new.kind is not EntryKind.TREE:
            return False
        with contextlib.suppress(ObjectNotFound):
            for above in reversed(list(parents_of(change.path))):
                here = entry_at(found.digest, above, names.trees.__getitem__)
                there = entry_at(version, above, self.cache.read)
                if here is not None and here.files == 0 and there is not None and there.kind is EntryKind.TREE:
                    return True
        return found.files == 0

    def _write_new(self, place: Path, pointer: Pointer) -> Materialised:
        if pointer.kind is not ObjectKind.TREE or self.include is None:
            executable = pointer.executable
            return put_object(self.cache, pointer.digest, pointer.kind, place, executable, self.links, self.progress)

        def make() -> Materialised:
            return materialise_tree(
                self.cache, pointer.digest, place, links=self.links, include=self.include, progress=self.progress
            )

        return replace_directory(place, make) if os.path.lexists(place) else make()
