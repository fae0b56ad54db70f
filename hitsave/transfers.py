"""Datasets between this machine and a remote. What cannot go or come holds up nothing else, and is told."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from hitsave.cache.store import Cache
from hitsave.config import RemoteConfig, find_workspace
from hitsave.errors import CorruptObject, HitsaveError, ObjectError, ObjectNotFound, WorkspaceError
from hitsave.exchange import Exchange
from hitsave.objects.digest import Digest
from hitsave.objects.refs import Namespace, Ref, RefName, unquote_name
from hitsave.ownership import Project
from hitsave.progress import Progress
from hitsave.remotes.commits.view import View
from hitsave.remotes.reading.fetch import Fetched
from hitsave.remotes.writing.push import Pushed
from hitsave.remotes.writing.wanted import find_wanted
from hitsave.snapshots.datasets import is_complete
from hitsave.snapshots.layout import Include
from hitsave.snapshots.pointer import Pointer, load_pointer, pointer_path, target_path
from hitsave.snapshots.workspace import find_own_pointers


class Sent(NamedTuple):
    """What a push did, and where; what it could not send, each with the reason; whether something else is lacking."""

    pushed: Pushed
    remote: RemoteConfig
    failed: tuple[str, ...] = ()
    lacking: bool = False


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
        self._progress = progress

    # -- pushing

    def push(self, remote: str | None = None) -> Sent:
        """Send all that this project owns, and what its pointer files name."""
        away = self._own_what_pointers_name()
        refs, lacking = self._leave_out_parts(self._project.own_refs(self._cache), remote)
        sent = self._send(refs, remote)
        names = [self._show(path) for path in self._nowhere(away, remote)]
        for name in names:
            self._progress.note(
                f"{name}: what its pointer file names is neither wholly here nor in {sent.remote.name}; "
                "run 'hitsave push' where it was added"
            )
        return sent._replace(lacking=lacking or bool(names))

    def push_datasets(self, paths: Iterable[Path], remote: str | None = None) -> Sent:
        """Send what the pointer files of datasets name."""
        refs = [self._owned(self.named(path)) for path in paths]
        return self._send(refs, remote)

    def _owned(self, ref: Ref) -> Ref:
        """What is here as the ref of this name, which is made where all that it owns is here."""
        known = self._cache.ref(ref.name)
        if known is None and is_complete(self._cache, ref.digest, ref.kind):
            self._exchange.own(ref)
        return known or ref

    def _send(self, refs: Sequence[Ref], remote: str | None) -> Sent:
        """Send what refs own, without those of which something is lost here."""
        try:
            return Sent(self._exchange.push(refs, remote), self._exchange.config(remote))
        except (ObjectNotFound, CorruptObject):
            lost = self._unsendable(refs, remote)
            if not lost:
                raise
        pushed = self._exchange.push([ref for ref in refs if ref.name not in lost], remote)
        failed = [self._cannot_send(ref, lost[ref.name]) for ref in refs if ref.name in lost]
        return Sent(pushed, self._exchange.config(remote), tuple(failed))

    def _cannot_send(self, ref: Ref, error: ObjectError) -> str:
        lost = getattr(error, "digest", str(ref.digest))
        name = f"{ref.name.namespace}/{ref.digest.short}"
        if ref.name.namespace is Namespace.DATASETS:
            path = os.fsdecode(unquote_name(ref.path.partition("/")[2]))
            name = f"{path}@{ref.digest.short}"
            if self._cache.ref(ref.name) is None:
                return (
                    f"{name}: was not pushed, since {lost} is not here; 'hitsave fetch {path}' brings what is elsewhere"
                )
        elif ref.name.namespace is Namespace.EVALUATIONS:
            name = str(ref.name)
        return (
            f"{name}: was not pushed, since {lost} is lost here; 'hitsave fsck --repair' brings "
            f"it back where a remote has it, 'hitsave forget {name}' gives this version up"
        )

    def _own_what_pointers_name(self) -> dict[Path, Ref]:
        """Make the refs of what pointer files name and is here, where they are missing; what is not wholly here."""
        away: dict[Path, Ref] = {}

        def unreadable(error: OSError) -> None:
            self._progress.note(f"{os.fsdecode(error.filename)}: cannot be looked into ({error.strerror})")

        for pointer in find_own_pointers(self._project.workspace.root, unreadable):
            path = target_path(pointer)
            try:
                named = load_pointer(pointer)
            except WorkspaceError as error:
                self._progress.note(str(error))
                continue
            if self._cache.ref(self._project.workspace.dataset_ref(path, named.digest)) is not None:
                continue
            if not is_complete(self._cache, named.digest, named.kind):
                away[path] = self._ref_of(path, named)
            elif (other := find_workspace(path.parent)) != self._project.workspace.root:
                self._progress.note(
                    f"{self._show(path)}: lies in {self._show(other)}, which has a name of its own, "
                    f"and goes from here only where it is asked for: 'hitsave push {self._show(path)}'"
                )
            else:
                self._exchange.own(self._ref_of(path, named))
        return away

    def _nowhere(self, away: dict[Path, Ref], remote: str | None) -> list[Path]:
        """The datasets that the remote does not have either."""
        absent = self._absent(away.values(), remote) if away else set()
        return [path for path, ref in away.items() if ref.digest in absent]

    def _leave_out_parts(self, refs: Iterable[Ref], remote: str | None = None) -> tuple[list[Ref], bool]:
        """The refs of which all can be pushed, and whether others were left out, which is noted.

        These are refs of which only a part was ever fetched, where this remote does not have the rest. Nothing is made
        public, nor again: somebody else may have taken it back.
        """
        chosen = [ref for ref in refs if ref.name.namespace is not Namespace.PUBLIC]
        known_partial = self._cache.partial_refs()
        partial = [ref for ref in chosen if ref.name in known_partial]
        lacking: list[RefName] = []
        if partial:
            view = self._exchange.remote(remote, create=True).latest()
            held = view.held_of({ref.name for ref in partial})
            away = [ref for ref in partial if ref.name not in held]
            there = {ref.name for ref in away if self._rest_is_there(view, ref)}
            known_partial -= there
            lacking = [ref.name for ref in away if ref.name not in there]
            calls = sum(name.namespace is Namespace.EVALUATIONS for name in lacking)
            for name in lacking:
                if name.namespace is not Namespace.EVALUATIONS:
                    self._progress.note(f"{name}: was not pushed, since only a part of it is here")
            if calls:
                self._progress.note(f"evaluations of which only a part is here were not pushed: {calls}")
        return [ref for ref in chosen if ref.name not in known_partial], bool(lacking)

    def _unsendable(self, refs: Sequence[Ref], remote: str | None = None) -> dict[RefName, ObjectError]:
        """The refs of which something is neither here nor in the remote, each with what was found first."""
        view = self._exchange.remote(remote, create=True).latest()
        held = view.names_held(refs)
        return dict(self._find_unsendable(view, [ref for ref in refs if ref.name not in held]))

    def _find_unsendable(self, view: View, refs: Sequence[Ref]) -> Iterator[tuple[RefName, ObjectError]]:
        """Half by half, since these are few of many."""
        try:
            find_wanted(self._cache, view, refs)
        except (ObjectNotFound, CorruptObject) as error:
            if len(refs) == 1:
                yield refs[0].name, error
                return
            middle = len(refs) // 2
            yield from self._find_unsendable(view, refs[:middle])
            yield from self._find_unsendable(view, refs[middle:])

    def _rest_is_there(self, view: View, ref: Ref) -> bool:
        """Whether the remote has all of a dataset that is not here: files were added to one that it has."""
        if ref.name.namespace is not Namespace.DATASETS:
            return False
        try:
            find_wanted(self._cache, view, [ref])
        except ObjectNotFound:
            return False
        return True

    # -- fetching

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
            wanted[path] = self._ref_of(path, pointer)
            sizes[pointer.digest] = pointer.size
        try:
            return Got(self._exchange.fetch(wanted.values(), remote, include, sizes), failed)
        except ObjectNotFound:
            absent = self._absent(wanted.values(), remote)
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
        name, place = self._exchange.config(remote).name, self._show(path)
        if error.digest == str(ref.digest):
            reason = f"{ref.digest} was never pushed to {name}; run 'hitsave push' where it was added"
        else:
            reason = f"{name} lacks the object {error.digest} of it; 'hitsave fsck --remote {name}' tells more"
        return WorkspaceError(f"{place}: {reason}")

    # -- both

    def _absent(self, refs: Iterable[Ref], remote: str | None = None) -> set[Digest]:
        """What these refs hold, and is neither here nor in the remote."""
        digests = self._cache.missing(ref.digest for ref in refs)
        held = self._exchange.remote(remote).latest().has_many(digests)
        return {digest for digest in digests if digest not in held}

    def named(self, path: Path) -> Ref:
        """A ref of what a pointer file names. Raises WorkspaceError, FileNotFoundError."""
        return self._ref_of(path, load_pointer(pointer_path(path)))

    def _ref_of(self, path: Path, pointer: Pointer) -> Ref:
        name = self._project.workspace.dataset_ref(path, pointer.digest)
        return self._project.make_ref(name, pointer.digest, pointer.kind, path)

    def _show(self, path: Path) -> str:
        return self._project.relative(path).as_posix()
