"""What hitsave asks of git: which commit is checked out, and what a file was at some revision."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hitsave.errors import WorkspaceError

if TYPE_CHECKING:
    import pygit2


def _open(folder: Path) -> pygit2.Repository | None:
    import pygit2  # Takes longer than most commands need in all, so only who asks git something pays for it.

    found = pygit2.discover_repository(os.fspath(folder))
    return pygit2.Repository(found) if found else None


def head_commit(folder: Path) -> str:
    """The hex name of the commit that is checked out; empty where there is none."""
    repository = _open(folder)
    if repository is None or repository.head_is_unborn:
        return ""
    return str(repository.head.target)


def file_at(folder: Path, revision: str, path: Path) -> bytes:
    """The content of a file at a revision. Raises WorkspaceError."""
    import pygit2

    repository = _open(folder)
    if repository is None:
        raise WorkspaceError(f"{folder}: is not in a git repository, so {revision!r} means nothing")
    try:
        commit = repository.revparse_single(revision).peel(pygit2.Commit)
    except (KeyError, ValueError, pygit2.GitError):
        raise WorkspaceError(f"{revision!r} is no revision that git knows") from None
    inside = os.path.relpath(os.path.realpath(path.parent), os.path.realpath(repository.workdir))
    name = os.path.normpath(os.path.join(inside, path.name))
    try:
        found = commit.tree[name]
    except KeyError:
        found = None
    if not isinstance(found, pygit2.Blob):
        raise WorkspaceError(f"{revision}: has no file {name}")
    return bytes(found.data)
