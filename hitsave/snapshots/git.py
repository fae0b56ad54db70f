"""What hitsave asks of git: which commit is checked out, what files were at a revision, which commits changed one."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hitsave.errors import WorkspaceError
from hitsave.snapshots.within import begins_project

if TYPE_CHECKING:
    import pygit2


def open_repository(folder: Path) -> pygit2.Repository | None:
    """The git repository that a folder is in; None where it is in none."""
    import pygit2  # Takes longer than most commands need in all, so only who asks git something pays for it.

    found = pygit2.discover_repository(os.fspath(folder))
    return pygit2.Repository(found) if found else None


def head_commit(folder: Path) -> str:
    """The hex name of the commit that is checked out; empty where there is none."""
    repository = open_repository(folder)
    if repository is None or repository.head_is_unborn:
        return ""
    return str(repository.head.target)


class FileCommit(NamedTuple):
    """A commit that changed a file: its hex name, its author, seconds since 1970, its first line, and the content.

    The content is None where the commit removed the file.
    """

    name: str
    author: str
    time: int
    subject: str
    content: bytes | None


def file_at(folder: Path, revision: str, path: Path) -> bytes:
    """The content of a file at a revision. Raises WorkspaceError."""
    import pygit2

    repository, commit = _commit(folder, revision)
    name = _name_in(repository, path)
    found = _blob(commit.tree, name)
    if not isinstance(found, pygit2.Blob):
        raise WorkspaceError(f"{revision}: has no file {name}")
    return bytes(found.data)


def files_at_head(folder: Path, paths: Iterable[Path]) -> dict[Path, bytes]:
    """The contents of those of these files that the commit which is checked out has; nothing outside of git."""
    import pygit2

    repository = open_repository(folder)
    if repository is None or repository.head_is_unborn:
        return {}
    tree = repository.head.peel(pygit2.Tree)
    found = {path: _blob(tree, _name_in(repository, path)) for path in paths}
    return {path: blob.data for path, blob in found.items() if isinstance(blob, pygit2.Blob)}


def is_revision(folder: Path, text: str) -> bool:
    """Whether git knows a revision by this name."""
    try:
        _commit(folder, text)
    except WorkspaceError:
        return False
    return True


def path_at(folder: Path, text: str) -> Path:
    """The path that `REV:text` means, as in git: from the top of the repository that a folder is in.

    One that begins with `./` or `../` is seen from the current folder; so is any where there is no repository.
    """
    repository = None if text.startswith(("./", "../")) or text in (".", "..") else open_repository(folder)
    if repository is None or not repository.workdir:
        return Path(os.path.abspath(text))
    inside = Path(os.path.relpath(os.path.realpath(folder), os.path.realpath(repository.workdir)))
    top = (folder, *folder.parents)[len(inside.parts)]
    return Path(os.path.abspath(top / text))


def seen_otherwise(folder: Path, path: Path) -> list[tuple[Path, str]]:
    """Where a path of `path_at` would lead if it was seen from here or from the folder, and not from the top.

    Also where one from here would lead from the top; each with how it is written, so that it leads there.
    """
    here, top = Path.cwd(), path_at(folder, "")
    found: list[tuple[Path, str]] = []
    if here == folder == top:
        return found
    if path.is_relative_to(top):
        inside = path.relative_to(top)
        found.append((here / inside, f"./{inside.as_posix()}"))
        found.append((folder / inside, Path(os.path.relpath(folder / inside, top)).as_posix()))
    if path.is_relative_to(here):
        inside = path.relative_to(here)
        found.append((top / inside, inside.as_posix()))
    return found


def files_at(root: Path, revision: str, folder: Path, suffix: str) -> list[Path]:
    """The files beneath a folder, at a revision, whose names end so, by name. Raises WorkspaceError.

    Projects within the folder are left out. It need not be there now; `root` is one in the same repository that is.
    """
    import pygit2

    repository, commit = _commit(root, revision)
    top = os.path.relpath(os.path.realpath(folder), os.path.realpath(repository.workdir)).replace(os.sep, "/")
    tree = commit.tree if top == "." else _blob(commit.tree, top)
    found: list[str] = []
    pending = [("", tree)] if isinstance(tree, pygit2.Tree) else []
    while pending:
        prefix, tree = pending.pop()
        if prefix and _begins_project(tree):
            continue
        for entry in tree:
            name = entry.name or ""
            if isinstance(entry, pygit2.Tree):
                pending.append((f"{prefix}{name}/", entry))
            elif name.endswith(suffix) and name != suffix:
                found.append(prefix + name)
    return [folder / name for name in sorted(found)]


def _begins_project(tree: pygit2.Tree) -> bool:
    """Whether a folder of a commit is a project of its own. Submodules are no folders there."""
    names = {entry.raw_name or b"" for entry in tree}
    return begins_project(names, lambda name: getattr(_blob(tree, os.fsdecode(name)), "data", b""))


def file_history(folder: Path, path: Path) -> list[FileCommit]:
    """The commits that changed a file, of those that the one which is checked out comes from; the newest first.

    Empty outside of a git repository. A merge that took the file as one side had it has changed nothing.
    """
    import pygit2

    repository = open_repository(folder)
    if repository is None or repository.head_is_unborn:
        return []
    name = _name_in(repository, path)
    found = []
    for commit in repository.walk(repository.head.target, pygit2.enums.SortMode.TOPOLOGICAL):
        blob = _blob(commit.tree, name)
        now = None if blob is None else blob.id
        before = [_blob(parent.tree, name) for parent in commit.parents]
        if any((None if other is None else other.id) == now for other in before) or (now is None and not before):
            continue
        subject = commit.message.partition("\n")[0]
        content = bytes(blob.data) if isinstance(blob, pygit2.Blob) else None
        found.append(FileCommit(str(commit.id), commit.author.name, commit.commit_time, subject, content))
    return found


def is_tracked(path: Path) -> bool:
    """Whether git keeps a file, or anything in a directory."""
    import pygit2

    repository = open_repository(path.parent)
    if repository is None:
        return False
    name = _name_in(repository, path)
    try:
        index = repository.index
        if name in index:
            return True
        beneath = name + "/"
        first = bisect_left(range(len(index)), os.fsencode(beneath), key=lambda at: os.fsencode(index[at].path))
        return first < len(index) and str(index[first].path).startswith(beneath)
    except pygit2.GitError:
        return False


class Sides(NamedTuple):
    """The versions of a file that git could not merge: what both sides come from, and each side's; None for no file."""

    base: bytes | None
    ours: bytes | None
    theirs: bytes | None


def conflict_at(folder: Path, path: Path) -> Sides | None:
    """What git holds in conflict for a file; None where that is nothing. Raises WorkspaceError."""
    import pygit2

    repository = open_repository(folder)
    if repository is None:
        raise WorkspaceError(f"{folder}: is not in a git repository, so nothing is in conflict")
    try:
        held = repository.index.conflicts
        entries = None if held is None else held[_name_in(repository, path)]
        if entries is None:
            return None
        return Sides(*(None if entry is None else repository[entry.id].read_raw() for entry in entries))
    except KeyError:
        return None
    except pygit2.GitError as error:
        raise WorkspaceError(f"{folder}: git's index cannot be read: {error}") from None


def _commit(folder: Path, revision: str) -> tuple[pygit2.Repository, pygit2.Commit]:
    import pygit2

    repository = open_repository(folder)
    if repository is None:
        raise WorkspaceError(f"{folder}: is not in a git repository, so {revision!r} means nothing")
    try:
        return repository, repository.revparse_single(revision).peel(pygit2.Commit)
    except (KeyError, ValueError, pygit2.GitError):
        raise WorkspaceError(f"{revision!r} is no revision that git knows") from None


def _name_in(repository: pygit2.Repository, path: Path) -> str:
    """How git calls a file: its path within the repository."""
    inside = os.path.relpath(os.path.realpath(path.parent), os.path.realpath(repository.workdir))
    return os.path.normpath(os.path.join(inside, path.name)).replace(os.sep, "/")


def _blob(tree: pygit2.Tree, name: str) -> pygit2.Object | None:
    try:
        return tree[name]
    except KeyError:
        return None
