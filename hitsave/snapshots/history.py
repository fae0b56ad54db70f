"""The digests that pointer files name, now and in all of git's history, read without checking anything out.

Whoever asks what git still names is about to drop the rest. So nothing that cannot be read passes for something that
is not there: a shallow or partial clone, a ref that is damaged, or an index of a form that libgit2 does not know, is an
error.

pygit2 takes longer to load than most commands need in all, so only what asks git something loads it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hitsave.errors import WorkspaceError
from hitsave.objects.digest import Digest
from hitsave.snapshots.gitobjects import FOLDER_MODES, Entry, Trees, common_folder, incomplete, read_object, size_of
from hitsave.snapshots.gittips import Tip, tips
from hitsave.snapshots.pointer import SUFFIX
from hitsave.snapshots.workspace import find_pointers

if TYPE_CHECKING:
    import pygit2

_SUBMODULE = b"160000"
_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_SUFFIX = SUFFIX.encode()
#: No pointer file is longer, nor one that holds the conflict of several.
_LONGEST = 1 << 16


class Naming(NamedTuple):
    """A digest that a pointer file names: the file's path in the repository, and what of git has it there.

    That is a ref, a commit (and a ref that it is reachable from), the index, or the working files.
    """

    path: bytes
    digest: Digest
    where: str


def named_in_files(folder: Path) -> Iterator[Naming]:
    """What the pointer files beneath a folder name now, also those that hold a merge conflict. Raises OSError."""
    for path in find_pointers(folder):
        if path.is_file():  # And no link to nothing.
            with path.open("rb") as file:
                content = file.read(_LONGEST)
            for digest in _digests(content):
                yield Naming(os.fsencode(path.relative_to(folder).as_posix()), digest, f"working files in {folder}")


def named_in_git(folder: Path) -> Iterator[Naming]:
    """What pointer files name, or named, in the git repository of a folder: each path with each digest at least once.

    In every commit that can be reached from a branch, tag or other ref (notes aside), a stash, or what is checked out
    in any work tree; in what is staged there; and in the working files. Raises WorkspaceError where there is no
    repository, or where any of this cannot be read.
    """
    import pygit2

    with _readable(folder):
        found = pygit2.discover_repository(os.fspath(folder))
        if found is None:
            raise WorkspaceError(f"{folder}: is in no git repository, so git names no versions of what is in it")
        common = common_folder(pygit2.Repository(found))
        git = pygit2.Repository(os.fspath(common))
        if git.is_shallow:
            raise WorkspaceError(
                f"{folder}: is in a shallow clone, which has a part of the git history; "
                "'git fetch --unshallow' brings all of it"
            )
        work_trees = [git, *(pygit2.Repository(os.fspath(place)) for place in sorted(common.glob("worktrees/*")))]
        yield from _Pointers(git).of(list(tips(work_trees)), work_trees)
    for work_tree in work_trees:
        if work_tree.workdir is not None and os.path.isdir(work_tree.workdir):
            yield from named_in_files(Path(work_tree.workdir))


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    import pygit2

    try:
        yield
    except (pygit2.GitError, OSError) as error:
        raise WorkspaceError(f"{folder}: its git repository cannot be read: {error}") from None


class _Pointers:
    """Reads pointer files out of git."""

    def __init__(self, git: pygit2.Repository) -> None:
        self._git = git
        self._trees = Trees(git)
        #: Entries of pointer files, by their folders: that of another file changed makes none of them new.
        self._seen: dict[bytes, set[Entry]] = {}

    def of(self, held: list[Tip], work_trees: Iterable[pygit2.Repository]) -> Iterator[Naming]:
        """The tips first, so that what one of them names is told by its name; then what is staged; then the rest."""
        for tip in held:
            yield from self._of_tree(self._tree_of(tip.oid), tip.name)
        for work_tree in work_trees:
            yield from self._staged(work_tree)
        done: set[pygit2.Oid] = set()
        for tip in held:
            yield from self._history(tip, done)

    def _history(self, tip: Tip, done: set[pygit2.Oid]) -> Iterator[Naming]:
        import pygit2

        pending = [tip.oid]
        while pending:
            oid = pending.pop()
            if oid in done:
                continue
            done.add(oid)
            found = self._object(oid)
            if isinstance(found, pygit2.Commit):
                yield from self._of_tree(found.tree_id, f"{str(oid)[:12]} in {tip.name}")
                pending += reversed(found.parent_ids)

    def _object(self, oid: pygit2.Oid) -> pygit2.Object:
        import pygit2

        try:
            return self._git[oid]
        except (KeyError, pygit2.GitError):
            raise incomplete(self._git, f"object {oid}") from None

    def _tree_of(self, oid: pygit2.Oid) -> pygit2.Oid | None:
        """The tree of a commit; of a tree, itself. A tag may also hold a single file, which has no path."""
        import pygit2

        found = self._object(oid)
        if isinstance(found, pygit2.Commit):
            return found.tree_id
        return oid if isinstance(found, pygit2.Tree) else None

    def _of_tree(self, tree: pygit2.Oid | None, where: str) -> Iterator[Naming]:
        for prefix, _, entries in () if tree is None else self._trees.new(tree):
            seen = self._seen.setdefault(prefix, set())
            fresh = {entry for entry in entries if entry[1].endswith(_SUFFIX)} - seen
            seen |= fresh
            for mode, name, oid in fresh:
                if mode not in FOLDER_MODES and mode != _SUBMODULE:
                    yield from self._named(prefix + name, oid, where)

    def _staged(self, work_tree: pygit2.Repository) -> Iterator[Naming]:
        """What is staged, with all sides of a merge conflict."""
        import pygit2

        for entry in work_tree.index if os.path.isfile(os.path.join(work_tree.path, "index")) else ():
            path = os.fsencode(entry.path)
            if path.endswith(_SUFFIX) and entry.mode != pygit2.enums.FileMode.COMMIT:
                yield from self._named(path, entry.id.raw, "the index")

    def _named(self, path: bytes, oid: bytes, where: str) -> Iterator[Naming]:
        import pygit2

        name = pygit2.Oid(raw=oid)
        if size_of(self._git, name) <= _LONGEST:
            for digest in _digests(read_object(self._git, name)):
                yield Naming(path, digest, where)


def _digests(content: bytes) -> Iterator[Digest]:
    """The digests in a pointer file: one; more where it holds a merge conflict, or is of a later version."""
    return (Digest(bytes.fromhex(text.decode())) for text in _DIGEST.findall(content))
