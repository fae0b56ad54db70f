"""Data before code: what the commits that git is about to push name is pushed first.

Nothing else is sent, and of what the remote has already nothing but the ref that owns it. Commits may bring in
datasets of several workspaces, each with remotes of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from hitsave.config import find_workspace
from hitsave.errors import ObjectNotFound, WorkspaceError
from hitsave.objects.refs import Ref
from hitsave.remotes.writing.push import Pushed
from hitsave.remotes.writing.wanted import find_wanted
from hitsave.repository import Repository
from hitsave.snapshots.outgoing import Outgoing
from hitsave.snapshots.pointer import pointer_path
from hitsave.snapshots.within import project_between

OpenWorkspace = Callable[[Path], Repository]


class SentAhead(NamedTuple):
    """What was pushed of one workspace; None where it has no remote."""

    workspace: Path
    pushed: Pushed | None


def by_workspace(open_workspace: OpenWorkspace, found: Iterable[Outgoing], top: Path) -> dict[Path, list[Outgoing]]:
    """What commits bring in, by the workspace that it lies in now; `top` is the folder of git's working files."""
    grouped: dict[Path, list[Outgoing]] = {}
    for each in found:
        grouped.setdefault(_workspace_of(open_workspace, each, top), []).append(each)
    return grouped


def _workspace_of(open_workspace: OpenWorkspace, each: Outgoing, top: Path) -> Path:
    """The workspace that a dataset is of: of a package without settings, the one that the package is a part of.

    Unless who worked in the package added it there, and has remotes there.
    """
    nearest, around = find_workspace(each.path.parent), project_between(top, each.path.parent) or top
    if nearest != around:
        with open_workspace(nearest) as package:
            name = package.workspace.dataset_ref(each.path, each.pointer.digest)
            if package.config.remotes and package.cache.ref(name) is not None:
                return nearest
    return around


def push_ahead(open_workspace: OpenWorkspace, grouped: dict[Path, list[Outgoing]]) -> Iterable[SentAhead]:
    """Push what commits bring in, workspace by workspace. Raises WorkspaceError where nobody has it; RemoteError."""
    for workspace, outgoing in grouped.items():
        with open_workspace(workspace) as repository:
            known = repository.config.remotes
            yield SentAhead(workspace, _push(repository, outgoing) if known else None)


def _push(repository: Repository, outgoing: list[Outgoing]) -> Pushed:
    refs = {_ref(repository, each): each for each in outgoing}
    try:
        return repository.exchange.push(refs)
    except ObjectNotFound:
        missing = [each for ref, each in refs.items() if _lacks_something(repository, ref)]
        if not missing:
            raise
        raise _nowhere(repository, missing) from None


def _ref(repository: Repository, each: Outgoing) -> Ref:
    pointer = each.pointer
    name = repository.workspace.dataset_ref(each.path, pointer.digest)
    known = repository.cache.ref(name)
    return known or repository.project.make_ref(name, pointer.digest, pointer.kind, each.path)


def _lacks_something(repository: Repository, ref: Ref) -> bool:
    """Whether something of a dataset is neither here nor in the remote."""
    try:
        find_wanted(repository.cache, repository.exchange.remote().latest(), [ref])
    except ObjectNotFound:
        return True
    return False


def _nowhere(repository: Repository, missing: list[Outgoing]) -> WorkspaceError:
    first = missing[0]
    more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
    place = pointer_path(repository.relative(first.path))
    return WorkspaceError(
        f"{place} in commit {first.commit[:12]} names {first.pointer.digest}, which is neither wholly here nor in the "
        f"remote{more}; run 'hitsave push' on the machine where it was added"
    )
