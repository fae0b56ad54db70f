"""The pointer files in commits that git is about to push: those that the other side does not have.

A pointer file counts where a commit brings it in: where it differs from that of every parent. What a parent has, was
found with the parent, or is on the other side already. Nothing is checked out, and a folder that did not change is not
looked into.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hitsave.errors import WorkspaceError
from hitsave.snapshots.git import open_repository
from hitsave.snapshots.pointer import SUFFIX, Pointer, parse_pointer, target_path

if TYPE_CHECKING:
    import pygit2

_SUFFIX = SUFFIX.encode()
#: No pointer file is longer.
_LONGEST = 4096


class PushedRef(NamedTuple):
    """A line of what git tells a `pre-push` hook, as far as it counts: what is pushed, and what the other side has."""

    local: str
    remote: str


class Outgoing(NamedTuple):
    """A dataset that a commit brings in: its path in the working tree, and the commit's hex name."""

    path: Path
    pointer: Pointer
    commit: str


class Unreadable(NamedTuple):
    """A file in a commit that has a pointer file's name and is none, with the reason."""

    commit: str
    reason: str


def parse_pushed(text: str) -> list[PushedRef]:
    """What `LOCAL-REF LOCAL-OID REMOTE-REF REMOTE-OID` lines say. Raises WorkspaceError."""
    found = []
    for line in filter(None, text.splitlines()):
        words = line.split(" ")
        if len(words) != 4:
            raise WorkspaceError(f"{line[:60]!r} is nothing that git says to a pre-push hook")
        found.append(PushedRef(words[1], words[3]))
    return found


def find_outgoing(folder: Path, remote: str, pushed: Iterable[PushedRef]) -> Iterator[Outgoing | Unreadable]:
    """The datasets in the commits that are pushed and that `remote`, a name or URL, lacks; each version once.

    Raises WorkspaceError where there is no git repository with working files, or an object of git's is missing.
    """
    import pygit2

    git = _open(folder)
    seen: set[tuple[str, object]] = set()
    try:
        for commit in _commits(git, remote, list(pushed)):
            for name, blob in _brought_in(commit):
                if (name, blob) not in seen:
                    seen.add((name, blob))
                    yield _read(git, name, blob, str(commit.id))
    except (KeyError, pygit2.GitError) as error:
        raise WorkspaceError(f"{folder}: an object of git's cannot be read: {error}") from None


def work_tree(folder: Path) -> Path:
    """The folder of git's working files that a folder lies in. Raises WorkspaceError where there is none."""
    return Path(_open(folder).workdir)


def _open(folder: Path) -> pygit2.Repository:
    git = open_repository(folder)
    if git is None or git.workdir is None:
        raise WorkspaceError(f"{folder}: is in no git repository with working files")
    return git


def _commits(git: pygit2.Repository, remote: str, pushed: list[PushedRef]) -> Iterator[pygit2.Commit]:
    """The commits to push, the newest first."""
    wanted = [found for ref in pushed if (found := _commit(git, ref.local)) is not None]
    if not wanted:
        return
    walker = git.walk(wanted[0].id)
    for commit in wanted[1:]:
        walker.push(commit.id)
    for there in [*(ref.remote for ref in pushed), *_tracked(git, remote)]:
        known = _commit(git, there)
        if known is not None:
            walker.hide(known.id)
    yield from walker


def _commit(git: pygit2.Repository, name: str) -> pygit2.Commit | None:
    """The commit with this hex name, or that a tag with it holds; None where that is none, or not here."""
    import pygit2

    try:
        found = git[name].peel(pygit2.Commit)
    except (KeyError, ValueError, pygit2.GitError):  # Zeros stand for a branch that is deleted, or new over there.
        return None
    return found


def _tracked(git: pygit2.Repository, remote: str) -> Iterator[str]:
    """What the other side had when it was last asked."""
    names = {each.name for each in git.remotes if remote in (each.name, each.url, each.push_url)}
    beginnings = tuple(f"refs/remotes/{name}/" for name in names)
    for name in git.references:
        if name.startswith(beginnings):
            target = git.references[name].target
            if not isinstance(target, str):  # A symbolic one leads to another of them.
                yield str(target)


def _brought_in(commit: pygit2.Commit) -> Iterator[tuple[str, pygit2.Oid]]:
    """The pointer files of a commit that differ from those of all its parents: paths and contents."""
    import pygit2

    pending = [(b"", commit.tree, [parent.tree for parent in commit.parents])]
    while pending:
        prefix, tree, befores = pending.pop()
        known = [{entry.raw_name: entry for entry in before} for before in befores]
        for entry in tree:
            name = entry.raw_name or b""
            there = [entries[name] for entries in known if name in entries]
            if any((old.id, old.filemode) == (entry.id, entry.filemode) for old in there):
                continue
            if isinstance(entry, pygit2.Tree):
                folders = [old for old in there if isinstance(old, pygit2.Tree)]
                pending.append((prefix + name + b"/", entry, folders))
            elif name.endswith(_SUFFIX) and name != _SUFFIX and _is_file(entry):
                yield os.fsdecode(prefix + name), entry.id


def _is_file(entry: pygit2.Object) -> bool:
    import pygit2

    modes = pygit2.enums.FileMode
    return entry.filemode in (modes.BLOB, modes.BLOB_EXECUTABLE)


def _read(git: pygit2.Repository, name: str, blob: pygit2.Oid, commit: str) -> Outgoing | Unreadable:
    content = git[blob].read_raw()
    where = f"{commit[:12]}:{name}"
    if len(content) > _LONGEST:
        return Unreadable(commit, f"{where}: is too large to be a pointer file")
    try:
        pointer = parse_pointer(content.decode("utf-8", errors="replace"), where)
    except WorkspaceError as error:
        return Unreadable(commit, str(error))
    return Outgoing(target_path(Path(git.workdir) / name), pointer, commit)
