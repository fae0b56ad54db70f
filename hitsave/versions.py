"""The versions of a dataset that a digest's beginning may mean: those that 'hitsave log' lists, and no other object.

They are looked for where it costs least: refs of the cache, then git's pointer files, then refs of the remote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from hitsave.cache.store import Cache
from hitsave.errors import AmbiguousDigest, WorkspaceError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.refs import Namespace, Ref
from hitsave.remotes.commits.view import View
from hitsave.snapshots.git import file_history
from hitsave.snapshots.pointer import load_pointer, parse_pointer, pointer_path
from hitsave.snapshots.workspace import Workspace


class Elsewhere(Protocol):
    """Objects and refs that are not in the cache."""

    @property
    def view(self) -> View:
        """What is there."""

    def complete(self, abbreviation: str) -> list[Digest]:
        """What an abbreviated digest may stand for."""

    def kind_of(self, digest: Digest) -> ObjectKind:
        """The kind of an object that is there."""


class Version(NamedTuple):
    """A version of a dataset. Whether a file is executable is known where a pointer file of git tells."""

    digest: Digest
    kind: ObjectKind
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Versions:
    """Looks for versions of the datasets of one workspace; `elsewhere` gives the remote, if there is one."""

    cache: Cache
    workspace: Workspace
    elsewhere: Callable[[], Elsewhere | None]

    def find(self, path: Path, beginning: str) -> Version | None:
        """The version of the dataset at a path whose digest begins so; None where there never was a dataset.

        Raises AmbiguousDigest, RemoteError, and WorkspaceError where none does.
        """
        owner = owner_at(self.workspace, path)
        if not owner:
            return None
        owned = [ref for ref in self.cache.refs(Namespace.DATASETS) if _owner_of(ref) == owner]
        if (found := _one_of(beginning, map(_version_of, owned))) is not None:
            return found
        named = self._named_in_git(path)
        if (found := _one_of(beginning, named)) is not None:
            return found
        if not (owned or named):
            return None
        there = self.elsewhere()
        held = [] if there is None else there.view.refs_beginning(f"{owner}@")
        if (found := _one_of(beginning, (_version_of(ref) for ref in held if _owner_of(ref) == owner))) is not None:
            return found
        unasked = ", and no remote was asked" if there is None else ""
        raise WorkspaceError(
            f"{path}@{beginning}: no version of {path} begins so{unasked}; 'hitsave log {path}' lists them"
        )

    def _named_in_git(self, path: Path) -> list[Version]:
        """What the pointer file names, and what it named in the commits that the one checked out comes from."""
        place, found = pointer_path(path), []
        if place.is_file():
            with suppress(WorkspaceError):
                found.append(load_pointer(place))
        for commit in file_history(self.workspace.root, place.absolute()):
            if commit.content is not None:
                with suppress(WorkspaceError):
                    found.append(parse_pointer(commit.content.decode("utf-8", errors="replace"), place.name))
        return [Version(pointer.digest, pointer.kind, pointer.executable) for pointer in found]


def owner_at(workspace: Workspace, path: Path) -> str:
    """What the full names of a dataset's refs begin with, up to the `@`; empty outside of the workspace."""
    try:
        return str(workspace.dataset_ref(path, Digest(bytes(32)))).rpartition("@")[0]
    except WorkspaceError:
        return ""


def _owner_of(ref: Ref) -> str:
    return str(ref.name).rpartition("@")[0]


def _version_of(ref: Ref) -> Version:
    return Version(ref.digest, ref.kind)


def _one_of(beginning: str, versions: Iterable[Version]) -> Version | None:
    found = {version.digest: version for version in versions if str(version.digest).startswith(beginning)}
    if len(found) > 1:
        raise AmbiguousDigest(beginning, [str(digest) for digest in found])
    return next(iter(found.values()), None)
