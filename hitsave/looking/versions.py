"""The versions of a dataset: what refs and the git history of its pointer file tell, and how much changed each time.

A version is listed once, however often the dataset went back to it. Files are never read; trees that are not here come
from the remote, those alone that differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from hitsave.errors import HitsaveError, MergeConflict, ObjectError, RemoteError, WorkspaceError
from hitsave.looking.owners import versions_of
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import decode_tree
from hitsave.objects.refs import Ref
from hitsave.remotes.reading.trees import Trees
from hitsave.repository import Repository
from hitsave.snapshots.diff import Change, ChangeKind, bring_differing, diff_trees
from hitsave.snapshots.git import FileCommit, file_history
from hitsave.snapshots.pointer import Pointer, load_pointer, parse_pointer, pointer_path


@dataclass(slots=True)
class Changed:
    """How many files came, went, or have other contents, and their bytes: of those that changed, the new ones."""

    added: int = 0
    added_size: int = 0
    removed: int = 0
    removed_size: int = 0
    changed: int = 0
    changed_size: int = 0

    def note(self, change: Change) -> None:
        """Count one difference."""
        if change.new is None and change.old is not None:
            self.removed += change.old.files
            self.removed_size += change.old.size
        elif change.old is None and change.new is not None:
            self.added += change.new.files
            self.added_size += change.new.size
        elif change.new is not None:
            self.changed += 1
            self.changed_size += 0 if change.kind is ChangeKind.MODE else change.new.size


@dataclass(slots=True)
class Version:
    """One version. `time` is in seconds since 1970, `by` who added or committed it first.

    `ref_commit` is the commit that was checked out when it was added; `commits` are those that brought it into git.
    `size` and `files` are None, and so is `changed`, where neither the cache nor the remote has what would tell.
    """

    digest: Digest
    kind: ObjectKind
    time: int
    by: str
    ref_commit: str = ""
    commits: list[FileCommit] = field(default_factory=list)
    owned: bool = False
    current: bool = False
    size: int | None = None
    files: int | None = None
    changed: Changed | None = None


class Log:
    """Tells the versions of datasets of one repository."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._trees = Trees(repository.cache, partial(repository.exchange.shelf_if_any, hasty=True))
        #: Of datasets whose pointer file cannot be read, so that nobody knows which version it names: why.
        self.failed: dict[Path, HitsaveError | OSError] = {}

    def of(self, path: Path, most: int | None = None) -> list[Version]:
        """The versions of the dataset at a path, the newest first; the newest `most` alone. Raises WorkspaceError."""
        found: dict[Digest, Version] = {}
        place = pointer_path(path)
        pointers: dict[Digest, Pointer] = {}
        current = self._current(path, place)
        for ref in [*versions_of(self._repository, path), *self._remote_refs(path)]:
            known = found.setdefault(ref.digest, Version(ref.digest, ref.kind, ref.created, ref.by, ref.git_commit))
            known.owned = True
        age: dict[Digest, int] = {}
        for number, (commit, pointer) in enumerate(self._commits(place)):
            age[pointer.digest] = number
            pointers[pointer.digest] = pointer
            known = found.setdefault(pointer.digest, Version(pointer.digest, pointer.kind, commit.time, commit.author))
            known.commits.append(commit)
            if not known.owned:
                known.time, known.by = commit.time, commit.author  # They come from the newest to the oldest.
        if current is not None:
            pointers[current.digest] = current
            found.setdefault(current.digest, Version(current.digest, current.kind, 0, "")).current = True
        # Times are whole seconds. Of the same one, what git does not know yet is the newest.
        versions = sorted(found.values(), key=lambda version: (-version.time, age.get(version.digest, -1)))
        for version, before in islice(zip(versions, [*versions[1:], None], strict=True), most):
            self._complete(version, before, pointers.get(version.digest))
        return versions[:most]

    def _current(self, path: Path, place: Path) -> Pointer | None:
        try:
            return load_pointer(place) if place.is_file() else None
        except (WorkspaceError, OSError) as error:
            self.failed[path] = error
            return None

    def _commits(self, place: Path) -> Iterable[tuple[FileCommit, Pointer]]:
        """The commits that changed a pointer file; those in which it cannot be read are noted, and passed over."""
        for commit in file_history(self._repository.workspace.root, place):
            if commit.content is not None:
                try:
                    yield commit, parse_pointer(commit.content.decode("utf-8", errors="replace"), place.name)
                except MergeConflict:
                    self._note_unreadable(commit, f"{place.name}: holds a merge conflict")
                except WorkspaceError as error:
                    self._note_unreadable(commit, str(error))

    def _note_unreadable(self, commit: FileCommit, reason: str) -> None:
        self._repository.progress.note(f"git {commit.name[:12]} {commit.subject}: {reason}; it names no version")

    def _remote_refs(self, path: Path) -> list[Ref]:
        """The versions that the remote owns; none where it cannot be asked."""
        owner = str(self._repository.workspace.dataset_ref(path, Digest(bytes(32)))).rpartition("@")[0]
        try:
            shelf = self._trees.shelf
            held = [] if shelf is None else shelf.view.refs_beginning(owner + "@")
        except RemoteError as error:
            self._repository.progress.note(f"the remote was not asked: {error}")
            return []
        return [ref for ref in held if str(ref.name).rpartition("@")[0] == owner]

    def _complete(self, version: Version, before: Version | None, pointer: Pointer | None) -> None:
        try:
            if pointer is not None:
                version.size, version.files = pointer.size, pointer.files
            elif version.kind is ObjectKind.TREE:
                tree = decode_tree(self._trees.load(version.digest))
                version.size, version.files = tree.size, tree.files
            else:
                version.size, version.files = self._repository.size_of(version.digest), 1
            version.changed = self._compare(before, version)
        except (ObjectError, RemoteError):
            return

    def _compare(self, before: Version | None, version: Version) -> Changed:
        """What changed from one version to the next; all of the first one was added."""
        changed = Changed()
        old = before.digest if before is not None and before.kind is ObjectKind.TREE else None
        new = version.digest if version.kind is ObjectKind.TREE else None
        bring_differing(old, new, self._trees.load, self._trees.bring)
        for change in diff_trees(old, new, self._trees.load, self._trees.load):
            changed.note(change)
        size = version.size or 0
        if new is None and old is None and before is not None:
            changed.changed, changed.changed_size = 1, size
        elif new is None:
            changed.added, changed.added_size = 1, size
        elif before is not None and old is None:
            changed.removed, changed.removed_size = 1, self._repository.size_of(before.digest)
        return changed
