"""What is reachable by itself in a git repository: what refs, stashes and work trees hold."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hitsave.errors import WorkspaceError
from hitsave.snapshots.gitobjects import incomplete

if TYPE_CHECKING:
    import pygit2

#: Commits that git is about to make reachable.
_UNDER_WAY = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD")
_HOW_SHOWN = (("refs/heads/", ""), ("refs/tags/", "tag "), ("refs/remotes/", ""))


class Tip(NamedTuple):
    """An object that is reachable by itself, and how it is called."""

    oid: pygit2.Oid
    name: str


def tips(work_trees: list[pygit2.Repository]) -> Iterator[Tip]:
    """What refs, stashes and work trees hold; the main work tree comes first.

    Raises WorkspaceError where one of them cannot be followed.
    """
    for work_tree in work_trees:
        place, names = Path(work_tree.path), list(work_tree.references)
        _refuse_damaged(place, set(names))
        for name in sorted(names, key=lambda name: (not name.startswith("refs/heads/"), name)):
            # A linked work tree lists all refs, and has few of its own.
            own = work_tree is work_trees[0] or (place / name).is_file()
            if own and not name.startswith("refs/notes/"):
                yield from _tips_of(work_tree, name, _shown(name))
    for work_tree in work_trees:
        of = "" if work_tree is work_trees[0] else f" of work tree {Path(work_tree.path).name}"
        yield from _tips_of(work_tree, "HEAD", f"HEAD{of}")  # Where it is detached: if not, a branch holds it.
        for name in _UNDER_WAY:
            yield from (Tip(oid, f"{name}{of}") for oid in _oids(Path(work_tree.path) / name))


def _shown(name: str) -> str:
    return next((how + name.removeprefix(start) for start, how in _HOW_SHOWN if name.startswith(start)), name)


def _tips_of(git: pygit2.Repository, name: str, shown: str) -> Iterator[Tip]:
    import pygit2

    reference = git.lookup_reference(name)
    if reference.type == pygit2.enums.ReferenceType.SYMBOLIC:
        return  # What it leads to is a ref as well, or nothing: the branch of a remote that was removed there.
    if name == "refs/stash":
        yield from (Tip(entry.oid_new, f"stash@{{{at}}}") for at, entry in enumerate(reference.log()))
    try:
        yield Tip(reference.peel().id, shown)
    except (KeyError, pygit2.GitError):
        raise incomplete(git, f"what {name} holds") from None


def _refuse_damaged(folder: Path, known: Container[str]) -> None:
    """libgit2 passes over refs that it cannot read; git warns of them."""
    for above, _, names in os.walk(folder / "refs"):
        for name in names:
            inside = (Path(above) / name).relative_to(folder).as_posix()
            if inside not in known and not name.startswith(".") and not name.endswith(".lock"):
                raise WorkspaceError(
                    f"{folder / inside}: git cannot read this ref, so what it held is not known; "
                    f"'git update-ref -d {inside}' removes it"
                )


def _oids(place: Path) -> Iterator[pygit2.Oid]:
    import pygit2

    try:
        lines = place.read_text().split()
    except FileNotFoundError:
        return
    yield from (pygit2.Oid(hex=line) for line in lines)
