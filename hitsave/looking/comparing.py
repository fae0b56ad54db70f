"""What differs between two things: datasets as they are recorded, as they were, and as their files are now.

Trees that are not here are read from the remote, those alone that differ; no file is fetched. Files that a pull of a
part left out are no differences of working files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hitsave.errors import HitsaveError, ObjectError, ObjectNotFound, RefError, SnapshotError, WorkspaceError
from hitsave.looking import contents
from hitsave.looking.returning import pointers_at
from hitsave.looking.sides import Side, place_of, recorded, recorded_at, side, side_name, working
from hitsave.objects.digest import Digest, ObjectKind, tree_digest
from hitsave.objects.encoding import encode_tree
from hitsave.objects.model import EntryKind, Tree, TreeEntry
from hitsave.remotes.reading.trees import Trees
from hitsave.repository import Repository
from hitsave.snapshots.diff import Change, ChangeKind, bring_differing, diff_trees
from hitsave.snapshots.git import is_revision
from hitsave.snapshots.leftout import count_files, is_part, left_out_of, version_before
from hitsave.snapshots.pointer import Pointer, is_pointer, load_pointer, pointer_path
from hitsave.snapshots.renames import Difference, find_renames

_LARGEST_AT_HAND = 1 << 20


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two sides, by path. `absent` counts files that were never fetched.

    `above` is the working path whose files these are, or were, where their paths are to be seen from there.
    """

    old: Side
    new: Side
    changes: tuple[Difference, ...]
    absent: int = 0
    above: Path | None = None


class Compare:
    """Compares within one repository; the trees that were read serve all comparisons."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._trees = Trees(repository.cache, repository.exchange.shelf_if_any)
        #: Of several datasets, those that could not be compared.
        self.failed: dict[Path, HitsaveError | OSError] = {}

    def run(self, words: Sequence[str]) -> list[Comparison]:
        """Two words are compared with each other, one with the working files; without any, all datasets are.

        A revision stands for all datasets as they were. Raises WorkspaceError, ObjectNotFound, SnapshotError,
        RemoteError; where several datasets are compared, `failed` holds what was wrong with one.
        """
        if len(words) == 1 and ".." in words[0] and not os.path.lexists(words[0]):
            both = words[0].split("..", 1)  # As in git.
            words = both if all(map(self._is_revision, both)) else words
        if words and all(map(self._is_revision, words)):
            return self._revisions(*words)
        if len(words) == 2:
            return [self.sides(side(self._repository, words[0], self._trees), self._side(words[1]))]
        if not words:
            return self._datasets([])
        (text,) = words
        path = Path(text)
        if not (os.path.lexists(path) or pointer_path(path).is_file()):
            if self._repository.workspace.dataset_above(path) is None or ":" in text:
                return [self._with_working(recorded(self._repository, text), place_of(self._repository, text))]
        elif is_pointer(path) or pointer_path(path).is_file() or not self._repository.workspace.dataset_above(path):
            return self._datasets([path])
        return [self._with_working(recorded(self._repository, text), path)]

    def _is_revision(self, text: str) -> bool:
        """Whether a word is a revision of git, and nothing else."""
        if ":" in text or os.path.lexists(text) or pointer_path(Path(text)).is_file():
            return False
        try:
            self._repository.resolve(text)
        except (WorkspaceError, RefError, ObjectNotFound):
            return is_revision(self._repository.workspace.root, text)
        return False

    def _revisions(self, old: str, new: str | None = None) -> list[Comparison]:
        """All datasets of a revision beside those of another one, or beside the working files."""
        before = pointers_at(self._repository, old, ())
        after = None if new is None else pointers_at(self._repository, new, ())
        there = self._repository.find_datasets(()) if after is None else after

        def compare(path: Path) -> Comparison | None:
            then = self._recorded_then(old, path, before.get(path))
            if after is not None and new is not None:
                return self.sides(then, self._recorded_then(new, path, after.get(path)), path)
            if path not in there:
                return self.sides(then, self._nothing(path), path)
            return self._with_working(then, path) if self._is_here(path) else None

        return self._each(sorted({*before, *there}), compare)

    def _recorded_then(self, revision: str, path: Path, pointer: Pointer | None) -> Side:
        if pointer is None:
            return self._nothing(path)
        label = f"{revision}:{os.path.relpath(path, self._repository.workspace.root)}"
        return Side(label, pointer.digest, pointer.kind, pointer.size, pointer.executable)

    def _nothing(self, path: Path) -> Side:
        """What stands for a dataset that is not there."""
        empty = encode_tree(Tree())
        self._trees.know({tree_digest(empty): empty})
        return Side(os.fspath(path), tree_digest(empty), ObjectKind.TREE, 0)

    def _with_working(self, old: Side, path: Path) -> Comparison:
        new = self._working(path)
        return self.sides(old, new, new.place)

    def _is_here(self, path: Path) -> bool:
        """Whether a dataset is checked out, which is noted where it is not."""
        if not os.path.lexists(path):
            self._repository.progress.note(f"{path}: is not checked out; 'hitsave pull' brings it")
            return False
        return True

    def _each(self, paths: Iterable[Path], compare: Callable[[Path], Comparison | None]) -> list[Comparison]:
        """Compare several datasets; what is wrong with one holds up no other."""
        found = []
        for path in paths:
            try:
                found.append(compare(path))
            except (WorkspaceError, SnapshotError, ObjectError, OSError) as error:
                self.failed[path] = error
        return [each for each in found if each is not None]

    def _side(self, text: str) -> Side:
        return side(self._repository, text, self._trees)

    def _working(self, path: Path) -> Side:
        return working(self._repository, path, self._trees)

    def _datasets(self, paths: Sequence[Path]) -> list[Comparison]:
        def compare(path: Path) -> Comparison | None:
            return self._with_working(recorded_at(path), path) if self._is_here(path) else None

        return self._each(self._repository.find_datasets(paths), compare)

    def sides(self, old: Side, new: Side, above: Path | None = None) -> Comparison:
        """What differs between two sides, whose files are, or were, at the path `above`."""
        if old.digest == new.digest and old.executable == new.executable:
            return Comparison(old, new, (), above=above)
        dataset = self._dataset_in_part(new)
        changes = self._changes_in_part(old, new, dataset) if dataset else self._changes(old, new, False)
        left_out = left_out_of(self._repository.cache, dataset, changes) if dataset else {}
        own = [change for change in changes if change.path not in left_out]

        def content(change: Change) -> bytes | None:
            return self._at_hand(old if change.kind is ChangeKind.REMOVED else new, change)

        return Comparison(old, new, tuple(find_renames(own, content)), count_files(left_out), above)

    def _dataset_in_part(self, new: Side) -> Path | None:
        """The dataset that working files are of, where only a part of it was asked for."""
        workspace = self._repository.workspace
        if new.place is None or not new.place.is_relative_to(workspace.root):
            return None
        above = new.place if pointer_path(new.place).is_file() else workspace.dataset_above(new.place)
        if above is None:
            return None
        digest = load_pointer(pointer_path(above)).digest
        return above if is_part(self._repository.cache, workspace, above, digest) else None

    def _changes_in_part(self, old: Side, new: Side, dataset: Path) -> list[Change]:
        """Of the version that these files were made from, folders that are not here were not asked for.

        Of another version they may have been; only where they are out of reach, nothing of them is compared.
        """
        if version_before(self._repository.cache, dataset, old.digest) is None:
            return self._changes(old, new, True)
        try:
            return self._changes(old, new, False)
        except ObjectNotFound:
            return self._changes(old, new, True)

    def _changes(self, old: Side, new: Side, partial: bool) -> list[Change]:
        def away(tree: Digest) -> bool:
            return partial and tree != old.digest and bool(self._repository.cache.missing([tree]))

        if ObjectKind.TREE not in (old.kind, new.kind):
            return [_of_files(old, new)]
        before = old.digest if old.kind is ObjectKind.TREE else None
        after = new.digest if new.kind is ObjectKind.TREE else None
        bring_differing(before, after, self._trees.load, self._trees.bring, away)
        changes = list(diff_trees(before, after, self._trees.load, self._trees.load, away))
        if before is None:
            changes.append(Change(_name(old), ChangeKind.REMOVED, old.entry(_name(old)), None))
        if after is None:
            changes.append(Change(_name(new), ChangeKind.ADDED, None, new.entry(_name(new))))
        return changes

    def content(self, of: Side, path: bytes, entry: TreeEntry) -> bytes:
        """The content of a file of one side, wherever it is. Raises OSError, ObjectNotFound, RemoteError."""
        if of.place is not None:
            return _file_of(of, path).read_bytes()
        return b"".join(map(bytes, contents.stream(self._repository.cache, self._trees, entry.digest)))

    def _at_hand(self, of: Side, change: Change) -> bytes | None:
        """The content of a small file that went or came, where no remote has to be asked for it."""
        entry = change.old or change.new
        if entry is None or entry.size > _LARGEST_AT_HAND or entry.kind is EntryKind.SYMLINK:
            return None
        if of.place is None and not self._repository.cache.has(entry.digest):
            return None
        try:
            return self.content(of, change.path, entry)
        except (OSError, ObjectNotFound, WorkspaceError):
            return None


def _file_of(of: Side, path: bytes) -> Path:
    assert of.place is not None
    return of.place / os.fsdecode(path) if of.kind is ObjectKind.TREE else of.place


def _name(of: Side) -> bytes:
    """How a single file is called: by its path, or what stands behind the last colon."""
    return side_name(os.fsencode(of.place) if of.place is not None else os.fsencode(of.label.rpartition(":")[2]))


def _of_files(old: Side, new: Side) -> Change:
    name = _name(new)
    kind = ChangeKind.MODE if old.digest == new.digest else ChangeKind.CHANGED
    return Change(name, kind, old.entry(name), new.entry(name))
