"""Datasets between this machine and a remote. What cannot go or come holds up nothing else, and is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from hitsave.cache.store import Cache
from hitsave.errors import HitsaveError, ObjectNotFound, WorkspaceError
from hitsave.exchange import Exchange
from hitsave.objects.digest import Digest
from hitsave.objects.refs import Ref
from hitsave.ownership import Project
from hitsave.progress import Progress
from hitsave.remotes.reading.fetch import Fetched
from hitsave.sending import Sending, Sent, find_absent, ref_of
from hitsave.snapshots.datasets import is_complete
from hitsave.snapshots.git import FileCommit, file_history
from hitsave.snapshots.layout import Include
from hitsave.snapshots.pointer import Pointer, load_pointer, pointer_path


class Got(NamedTuple):
    """What a fetch brought, and the datasets that it could not bring, with the reasons."""

    fetched: Fetched
    failed: dict[Path, HitsaveError]


class Transfers:
    """Pushes and fetches for one workspace."""

    def __init__(self, cache: Cache, exchange: Exchange, project: Project, progress: Progress) -> None:
        self._cache = cache
        self._exchange = exchange
        self._project = project
        self._sending = Sending(cache, exchange, project, progress)

    def push(self, paths: Iterable[Path] | None, remote: str | None = None) -> Sent:
        """Send all that this project owns, and what its pointer files name; with `paths`, what those of them name."""
        return self._sending.push(remote) if paths is None else self._sending.push_datasets(paths, remote)

    def fetch(self, paths: Iterable[Path], remote: str | None = None, include: Include | None = None) -> Got:
        """Bring what pointer files name into the cache. No remote is asked where everything is here."""
        wanted: dict[Path, Ref] = {}
        failed: dict[Path, HitsaveError] = {}
        sizes: dict[Digest, int] = {}
        for path in paths:
            try:
                pointer = load_pointer(pointer_path(path))
            except WorkspaceError as error:
                failed[path] = error
                continue
            wanted[path] = ref_to_fetch(self._cache, self._project, path, pointer)
            sizes[pointer.digest] = pointer.size
        try:
            return Got(self._exchange.fetch(wanted.values(), remote, include, sizes), failed)
        except ObjectNotFound:
            absent = find_absent(self._cache, self._exchange, wanted.values(), remote)
        fetched = [Fetched()]
        for path, ref in wanted.items():  # One by one: of what is there, too, something may be lacking.
            try:
                if ref.digest in absent:
                    raise ObjectNotFound(str(ref.digest))
                fetched.append(self._exchange.fetch([ref], remote, include, sizes))
            except ObjectNotFound as error:
                failed[path] = self._cannot_fetch(path, ref, error, remote)
        return Got(Fetched(*map(sum, zip(*fetched, strict=True))), failed)

    def _cannot_fetch(self, path: Path, ref: Ref, error: ObjectNotFound, remote: str | None) -> WorkspaceError:
        name, place = self._exchange.config(remote).name, self._project.relative(path).as_posix()
        if error.digest == str(ref.digest):
            reason = f"{ref.digest} was never pushed to {name}; run 'hitsave push' where it was added"
        else:
            reason = f"{name} lacks the object {error.digest} of it; 'hitsave fsck --remote {name}' tells more"
        return WorkspaceError(f"{place}: {reason}")

    def named(self, path: Path) -> Ref:
        """A ref of what a pointer file names. Raises WorkspaceError, FileNotFoundError."""
        return ref_of(self._cache, self._project, path, load_pointer(pointer_path(path)))


def ref_to_fetch(cache: Cache, project: Project, path: Path, pointer: Pointer) -> Ref:
    """The ref that a project will own a dataset by.

    The remote tells who made what comes from there. Of what is all here, and was never owned, git may tell.
    """
    ref = ref_of(cache, project, path, pointer)
    if project.known_ref(cache, ref.name) is not None or not is_complete(cache, ref.digest, ref.kind):
        return ref
    first = _first_commit(project.workspace.root, path, pointer)
    return ref if first is None else replace(ref, created=first.time, by=first.author, git_commit="")


def _first_commit(root: Path, path: Path, pointer: Pointer) -> FileCommit | None:
    """The oldest commit whose pointer file of a dataset names the same version."""
    named = str(pointer.digest).encode()
    commits = [each for each in file_history(root, pointer_path(path)) if each.content and named in each.content]
    return commits[-1] if commits else None
