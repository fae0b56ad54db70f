"""A git repository's history, read without checking anything out.

Commits come parents first, so that where something is first seen is where it came in. A tree that was looked at under
the same path holds nothing new and is not looked at again: the cost is that of what changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pygit2
from pygit2.enums import FileMode, SortMode

from hitsave.errors import WorkspaceError
from hitsave.importing.model import Origin
from hitsave.snapshots.gitobjects import Trees, common_folder, read_object, size_of

#: Branches in which git-annex keeps its own records.
_RECORDS = "git-annex"


class Found(NamedTuple):
    """A file of a commit, with its blob's hex name, and the tree that it stands in."""

    origin: Origin
    path: bytes
    blob: str
    mode: int
    tree: pygit2.Tree


#: Tells by its name whether a file is looked for.
Wanted = Callable[[bytes], bool]


class History:
    """The commits of every branch and tag of a repository."""

    def __init__(self, folder: Path) -> None:
        """Of the repository that a folder lies in. Raises WorkspaceError where there is none."""
        found = pygit2.discover_repository(os.fspath(folder))
        if found is None:
            raise WorkspaceError(f"{folder}: is in no git repository, so there is no history to import")
        self._git = pygit2.Repository(found)
        if self._git.workdir is None:
            raise WorkspaceError(f"{folder}: is a bare git repository; import from a clone that has working files")
        self.root = Path(self._git.workdir)

    @property
    def git_folder(self) -> Path:
        """Where git, and tools that extend it, keep things; one for all work trees."""
        return common_folder(self._git)

    def setting(self, name: str) -> str | None:
        """A setting of git's."""
        return str(self._git.config[name]) if name in self._git.config else None

    def read(self, blob: str) -> bytes:
        """The content of a blob."""
        return read_object(self._git, pygit2.Oid(hex=blob))

    def _tree(self, oid: pygit2.Oid) -> pygit2.Tree:
        return self._git[oid].peel(pygit2.Tree)

    def size(self, blob: str) -> int:
        """Bytes of a blob, which is not read for it."""
        return size_of(self._git, pygit2.Oid(hex=blob))

    @cached_property
    def head(self) -> pygit2.Commit | None:
        """The commit that is checked out."""
        return None if self._git.head_is_unborn else self._git.head.peel(pygit2.Commit)

    @cached_property
    def commits(self) -> list[pygit2.Commit]:
        """Every commit of every branch and tag, parents first, and otherwise by time."""
        walker = self._git.walk(None, SortMode.TOPOLOGICAL | SortMode.TIME | SortMode.REVERSE)
        for tip in self._tips():
            walker.push(tip)
        return list(walker)

    def _tips(self) -> Iterator[pygit2.Oid]:
        if self.head is not None:
            yield self.head.id
        for name in self._git.references:
            kind, _, short = name.removeprefix("refs/").partition("/")
            if kind in ("heads", "remotes", "tags") and short.rpartition("/")[2] != _RECORDS:
                try:
                    yield self._git.references[name].peel(pygit2.Commit).id
                except (pygit2.GitError, pygit2.InvalidSpecError, KeyError):
                    continue  # A tag of something else, or a branch of which nothing was fetched.

    def files(self, wanted: Wanted, leave_out: Container[bytes] = ()) -> Iterator[Found]:
        """Every wanted file of every commit, where its folder is not what it was in an earlier one.

        What lies beneath the paths of `leave_out` is not looked at.
        """
        trees = Trees(self._git)
        for commit in self.commits:
            yield from self._files_of(commit, wanted, leave_out, trees)

    def head_files(self, wanted: Wanted, leave_out: Container[bytes] = ()) -> Iterator[Found]:
        """Every wanted file of the commit that is checked out."""
        if self.head is not None:
            yield from self._files_of(self.head, wanted, leave_out, Trees(self._git))

    def _files_of(
        self, commit: pygit2.Commit, wanted: Wanted, leave_out: Container[bytes], trees: Trees
    ) -> Iterator[Found]:
        for prefix, tree, entries in trees.new(commit.tree_id, leave_out):
            for octal, name, oid in entries:
                mode, path = int(octal, 8), prefix + name
                if mode not in (FileMode.TREE, FileMode.COMMIT) and wanted(name) and path not in leave_out:
                    yield Found(origin_of(commit), path, oid.hex(), mode, self._tree(tree))

    def folder(self, commit: pygit2.Commit, path: bytes) -> str | None:
        """The hex name of the tree at a path of a commit; None where there is no directory."""
        try:
            found = commit.tree[os.fsdecode(path)]
        except KeyError:
            return None
        return str(found.id) if found.filemode == FileMode.TREE else None

    def entries(self, tree: str) -> Iterator[tuple[bytes, str, int]]:
        """What a tree holds: names, hex names, and modes."""
        return ((name, str(oid), mode) for name, oid, mode in _entries(self._tree(pygit2.Oid(hex=tree))))

    def walk(self, tree: str) -> Iterator[tuple[bytes, str, int]]:
        """Every file, link and submodule beneath a tree: its path, its blob's hex name, and its mode."""
        pending = [(b"", tree)]
        while pending:
            prefix, place = pending.pop()
            for name, oid, mode in self.entries(place):
                if mode == FileMode.TREE:
                    pending.append((prefix + name + b"/", oid))
                else:
                    yield prefix + name, oid, mode


def _entries(tree: pygit2.Tree) -> Iterator[tuple[bytes, pygit2.Oid, int]]:
    return ((entry.raw_name or b"", entry.id, entry.filemode) for entry in tree)


def origin_of(commit: pygit2.Commit) -> Origin:
    """Where a version comes from that a commit brings in."""
    author = commit.author
    try:
        who = author.email or author.name
    except UnicodeDecodeError:
        who = ""
    return Origin(str(commit.id), max(0, author.time), who)
