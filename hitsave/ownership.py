"""Whose things are: the refs that this project makes, and which of those in a cache are its own."""

from __future__ import annotations

import getpass
import os
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from hitsave.cache.projects import (
    Noted,
    note_project,
    noted_project,
    rename_owner,
    rename_project,
    stands_elsewhere,
    versions_beneath,
)
from hitsave.cache.refs import COLUMNS, ref_of_row
from hitsave.cache.store import Cache
from hitsave.errors import WorkspaceError
from hitsave.limits import CLOCKS_DIFFER
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.refs import Namespace, Ref, RefName, quote_name, unquote_name
from hitsave.remotes.commits.log import Author
from hitsave.snapshots.git import head_commit
from hitsave.snapshots.pointer import SUFFIX, load_pointer, pointer_path
from hitsave.snapshots.workspace import Workspace


class Owned(NamedTuple):
    """A ref of a project, and the path in it of the dataset, or of what a snapshot was taken of."""

    path: bytes
    ref: Ref


class Followed(NamedTuple):
    """How refs followed a project's name: its former one, how many, and whether they are under that one still."""

    former: str
    refs: int = 0
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Project:
    """The project of a workspace, as an owner of objects. A ref's `path` is `PROJECT/PATH`, both quoted."""

    workspace: Workspace

    @property
    def quoted(self) -> str:
        """The project's name as refs' paths begin with it."""
        return self._prefix[:-1]

    @property
    def _prefix(self) -> str:
        return _prefix_of(self.workspace.project)

    def relative(self, path: Path) -> Path:
        """A path as seen from the workspace; absolute where it lies outside."""
        absolute = Path(os.path.abspath(path))
        root = self.workspace.root
        return absolute.relative_to(root) if absolute.is_relative_to(root) else absolute

    def take_over(self, cache: Cache, marked: bool) -> Followed:
        """Follow a change of the project's name: what this workspace owned under the former one.

        The name is noted where the folder is `marked` as a workspace, or was noted before. What another workspace has
        under the former name stays there as well. See docs/decisions/0016.
        """
        root, project = self.workspace.root, self.workspace.project
        noted = noted_project(cache.database, root)
        if noted == (project, os.fspath(root), True) or (noted is None and not marked):
            return Followed(project)
        followed = Followed(project)
        if noted is not None and noted.project != project:
            followed = self._take_from(cache, noted)
        note_project(cache.database, root, project)
        return followed

    def _take_from(self, cache: Cache, noted: Noted) -> Followed:
        """Rename what was owned under a former name, as far as it is this workspace's for sure."""
        former = _prefix_of(noted.project)
        mine = {path for path, digest in versions_beneath(cache.database, former) if self._names(path, digest)}
        if not mine and not noted.same_folder:
            return Followed(noted.project)
        with cache.database.writing() as connection:
            if not stands_elsewhere(cache.database, noted.project, self.workspace.root):
                return Followed(noted.project, rename_project(connection, former, self._prefix))
            names = [(f"{former}{path}@", f"{self._prefix}{path}@") for path in mine]
            copied = sum(rename_owner(connection, old, new, keep=True) for old, new in names)
            return Followed(noted.project, copied, kept=True)

    def _names(self, quoted: str, version: bytes) -> bool:
        """Whether a pointer file of this workspace names this version of the dataset at a path."""
        place = self.workspace.root / os.fsdecode(unquote_name(quoted))
        try:
            return load_pointer(pointer_path(place)).digest == version
        except (OSError, WorkspaceError):
            return False

    def make_ref(self, name: RefName, digest: Digest, kind: ObjectKind, path: Path | None) -> Ref:
        """A new ref of this project; `path` is what was captured, where that is known."""
        return Ref(
            name=name,
            digest=digest,
            kind=kind,
            created=int(time.time()),
            by=author_name(),
            path="" if path is None else self.path_in(path),
            git_commit=head_commit(self.workspace.root) if self.workspace.in_git else "",
        )

    def make_again(self, cache: Cache, name: RefName, digest: Digest, kind: ObjectKind, path: Path) -> Ref:
        """A ref of a version that was perhaps owned before: then as old as it was, and made by whom it was made by."""
        return self.known_ref(cache, name) or self.make_ref(name, digest, kind, path)

    def known_ref(self, cache: Cache, name: RefName) -> Ref | None:
        """The ref of this name, or that which was forgotten; None where there never was one."""
        return cache.ref(name) or _forgotten_ref(cache, name)

    def make_version(self, cache: Cache, name: RefName, digest: Digest, kind: ObjectKind, path: Path) -> Ref:
        """A new version of a dataset, younger than those that are here: times are whole seconds, and tell their order.

        A version whose clock was wrong by more than an hour is none to follow.
        """
        made = self.make_ref(name, digest, kind, path)
        newest = cache.newest_version(name)
        follows = made.created <= newest <= made.created + CLOCKS_DIFFER
        return replace(made, created=newest + 1) if follows else made

    def path_in(self, path: Path) -> str:
        """A path as refs have it, `PROJECT/PATH`; empty where it lies outside of the workspace."""
        inside = self.relative(path)
        return "" if inside.is_absolute() else self._prefix + quote_name(os.fsencode(inside.as_posix()))

    def has_path(self, ref: Ref) -> bool:
        """Whether what a ref holds was captured, or stands, in this project."""
        return ref.path.startswith(self._prefix)

    def own_refs(self, cache: Cache) -> list[Ref]:
        """The datasets of this project, the snapshots that were taken in it, and evaluations of its functions."""
        refs = [ref for ref in cache.refs(Namespace.DATASETS) if ref.name.name.startswith(self._prefix)]
        for namespace in (Namespace.SNAPSHOTS, Namespace.PUBLIC, Namespace.EVALUATIONS):
            refs += filter(self.has_path, cache.refs(namespace))
        return refs

    def datasets_of(self, refs: Iterable[Ref]) -> list[Owned]:
        """The versions of this project's datasets among refs, whether there is a pointer file now or not."""
        found = []
        for ref in refs:
            owner, _, version = ref.name.name.rpartition("@")
            mine = ref.name.namespace is Namespace.DATASETS and owner.startswith(self._prefix)
            if mine and version == str(ref.digest):
                found.append(Owned(unquote_name(owner.removeprefix(self._prefix)), ref))
        return found

    def snapshots_of(self, refs: Iterable[Ref]) -> list[Owned]:
        """The snapshots among refs that were taken in this project, public ones aside."""
        mine = [ref for ref in refs if ref.name.namespace is Namespace.SNAPSHOTS and self.has_path(ref)]
        return [Owned(unquote_name(ref.path.removeprefix(self._prefix)), ref) for ref in mine]

    def at(self, path: Path, owned: Iterable[Owned]) -> list[Owned]:
        """What stands at a path, or is what a pointer file is about; else, what stands beneath it.

        Raises WorkspaceError for a path outside of the workspace.
        """
        place, every = self.workspace.relative(path), list(owned)
        for wanted in (place, place.removesuffix(SUFFIX.encode())):
            if found := [each for each in every if each.path == wanted]:
                return found
        return [each for each in every if place == b"." or each.path.startswith(place + b"/")]

    def known_place(self, cache: Cache, digest: Digest) -> Path | None:
        """Where, in this workspace, an object was captured; None where no ref of this project tells."""
        for ref in cache.refs():
            if ref.digest == digest and self.has_path(ref):
                return Path(os.fsdecode(unquote_name(ref.path.removeprefix(self._prefix))))
        return None


def _forgotten_ref(cache: Cache, name: RefName) -> Ref | None:
    """The ref of this name that was forgotten last, as far back as 'hitsave undo' knows."""
    rows = cache.database.rows(
        f"SELECT {COLUMNS} FROM dropped_refs WHERE operation IN (SELECT id FROM operations) AND namespace = ? "
        "AND name = ? ORDER BY operation DESC LIMIT 1",
        name.namespace.value,
        name.name,
    )
    return ref_of_row(rows[0]) if rows else None


def _prefix_of(project: str) -> str:
    return quote_name(project.encode(), slash=True) + "/"


def author() -> Author:
    """Who writes a commit now."""
    return Author(author_name(), int(time.time()))


def author_name() -> str:
    """USER@HOST."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # A container's user need not have a name.
        user = str(os.getuid()) if hasattr(os, "getuid") else "user"
    return f"{user}@{platform.node()}".encode("utf-8", "replace").decode()
