"""Datasets from this machine to a remote. What cannot go holds up nothing else, and is told."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from hitsave.cache.store import Cache
from hitsave.config import RemoteConfig, find_workspace, load
from hitsave.errors import ConfigError, CorruptObject, ObjectError, ObjectNotFound, WorkspaceError
from hitsave.exchange import Exchange
from hitsave.maintenance.collect import forgotten
from hitsave.objects.digest import Digest
from hitsave.objects.refs import Namespace, Ref, RefName, unquote_name
from hitsave.ownership import Project
from hitsave.progress import Progress
from hitsave.remotes.commits.view import View
from hitsave.remotes.writing.push import Pushed
from hitsave.remotes.writing.wanted import find_wanted
from hitsave.snapshots.datasets import is_complete
from hitsave.snapshots.pointer import Pointer, load_pointer, pointer_path, target_path
from hitsave.snapshots.within import project_between
from hitsave.snapshots.workspace import Workspace, find_own_pointers


class Sent(NamedTuple):
    """What a push did, and where; what it could not send, each with the reason."""

    pushed: Pushed
    remote: RemoteConfig
    failed: tuple[str, ...] = ()


class _Named(NamedTuple):
    """What pointer files name that is not wholly here, by its path, and which of them are none, with the reasons."""

    away: dict[Path, Ref]
    unreadable: list[str]


class Sending:
    """Pushes for one workspace."""

    def __init__(self, cache: Cache, exchange: Exchange, project: Project, progress: Progress) -> None:
        self._cache = cache
        self._exchange = exchange
        self._project = project
        self._progress = progress

    def push(self, remote: str | None = None) -> Sent:
        """Send all that this project owns, and what its pointer files name."""
        named = self._own_what_pointers_name()
        refs, in_part = self._leave_out_parts(self._own_refs(), remote)
        sent = self._send(refs, remote)
        failed = [*named.unreadable, *in_part, *self._nowhere(named.away, sent.remote), *sent.failed]
        return sent._replace(failed=tuple(failed))

    def push_datasets(self, paths: Iterable[Path], remote: str | None = None) -> Sent:
        """Send what the pointer files of datasets name."""
        refs, unreadable = [], []
        for path in paths:
            try:
                refs.append(self._owned(path, load_pointer(pointer_path(path))))
            except WorkspaceError as error:
                unreadable.append(str(error))
        sent = self._send(refs, remote)
        return sent._replace(failed=(*unreadable, *sent.failed))

    # -- what is this project's

    def _own_refs(self) -> list[Ref]:
        """What this project owns, but for what a project within it owns as well: that one sends it where it wants."""
        root, names = self._project.workspace.root, dict[Path, Workspace | None]()

        def is_within(ref: Ref) -> bool:
            if ref.name.namespace is not Namespace.DATASETS:
                return False
            path = root / _path_of(ref)
            if path.parent not in names:
                names[path.parent] = _workspace_between(root, path.parent)
            inner = names[path.parent]
            return inner is not None and self._cache.ref(inner.dataset_ref(path, ref.digest)) is not None

        return [ref for ref in self._project.own_refs(self._cache) if not is_within(ref)]

    def _own_what_pointers_name(self) -> _Named:
        """Make the refs of what pointer files name and is here, where they are missing."""
        named = _Named({}, [])

        def unreadable(error: OSError) -> None:
            self._progress.note(f"{os.fsdecode(error.filename)}: cannot be looked into ({error.strerror})")

        for place in find_own_pointers(self._project.workspace.root, unreadable):
            path = target_path(place)
            try:
                pointer = load_pointer(place)
            except WorkspaceError as error:
                named.unreadable.append(str(error))
                continue
            if self._cache.ref(self._project.workspace.dataset_ref(path, pointer.digest)) is not None:
                continue
            if not is_complete(self._cache, pointer.digest, pointer.kind):
                named.away[path] = ref_of(self._cache, self._project, path, pointer)
            elif (other := find_workspace(path.parent)) != self._project.workspace.root:
                self._progress.note(
                    f"{self._show(path)}: lies in {self._show(other)}, which has a name of its own, "
                    f"and goes from here only where it is asked for: 'hitsave push {self._show(path)}'"
                )
            else:
                self._owned(path, pointer)
        return named

    def _owned(self, path: Path, pointer: Pointer) -> Ref:
        """The ref of what a pointer file names, as it is here; it is made where all that it owns is here."""
        ref = ref_of(self._cache, self._project, path, pointer)
        known = self._cache.ref(ref.name)
        if known is None and is_complete(self._cache, ref.digest, ref.kind):
            if ref.name in self._forgotten:
                shown = f"{self._show(path)}@{ref.digest.short}"
                self._progress.note(f"{shown}: was forgotten, and is owned again, since its pointer file names it")
            self._exchange.own(ref)
        return known or ref

    @cached_property
    def _forgotten(self) -> set[RefName]:
        return forgotten(self._cache)

    def _nowhere(self, away: dict[Path, Ref], remote: RemoteConfig) -> list[str]:
        """What the remote does not have either, told for each."""
        absent = find_absent(self._cache, self._exchange, away.values(), remote.name) if away else set()
        return [
            f"{self._show(path)}: what its pointer file names is neither wholly here nor in {remote.name}; "
            "run 'hitsave push' where it was added"
            for path, ref in away.items()
            if ref.digest in absent
        ]

    # -- what is in part here

    def _leave_out_parts(self, refs: Iterable[Ref], remote: str | None) -> tuple[list[Ref], list[str]]:
        """The refs of which all can be pushed, and what was left out, told for each.

        Left out are those of which only a part was ever fetched, where this remote does not have the rest; evaluations
        whose results never came are others' to send, and are only noted. Nothing is made public, nor again: somebody
        else may have taken it back.
        """
        chosen = [ref for ref in refs if ref.name.namespace is not Namespace.PUBLIC]
        in_part = self._cache.partial_refs()
        partial = [ref for ref in chosen if ref.name in in_part]
        if not partial:
            return chosen, []
        view = self._exchange.remote(remote, create=True).latest()
        held = view.held_of({ref.name for ref in partial})
        away = [ref for ref in partial if ref.name not in held]
        there = {ref.name for ref in away if self._rest_is_there(view, ref)}
        lacking = [ref for ref in away if ref.name not in there]
        calls = sum(ref.name.namespace is Namespace.EVALUATIONS for ref in lacking)
        if calls:
            self._progress.note(f"evaluations of which only a part is here were not pushed: {calls}")
        told = [self._only_in_part(ref) for ref in lacking if ref.name.namespace is not Namespace.EVALUATIONS]
        left_out = in_part - there
        return [ref for ref in chosen if ref.name not in left_out], told

    def _rest_is_there(self, view: View, ref: Ref) -> bool:
        """Whether the remote has all of a dataset that is not here: files were added to one that it has."""
        if ref.name.namespace is not Namespace.DATASETS:
            return False
        try:
            find_wanted(self._cache, view, [ref])
        except ObjectNotFound:
            return False
        return True

    def _only_in_part(self, ref: Ref) -> str:
        reason = f"{_name_of(ref)}: was not pushed, since only a part of it is here"
        if ref.name.namespace is not Namespace.DATASETS:
            return reason
        path = _path_of(ref)
        if self._is_named(self._project.workspace.root / path, ref.digest):
            return f"{reason}; 'hitsave fetch {path}' brings the rest first"
        return f"{reason}; 'hitsave snapshot --restore {ref.digest.short} OUT' brings the rest first"

    @staticmethod
    def _is_named(path: Path, digest: Digest) -> bool:
        """Whether the pointer file of a dataset names this version."""
        try:
            return load_pointer(pointer_path(path)).digest == digest
        except (OSError, WorkspaceError):
            return False

    # -- sending

    def _send(self, refs: Sequence[Ref], remote: str | None) -> Sent:
        """Send what refs own, without those of which something is not here."""
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
        if self._cache.is_partial(ref.name):
            return self._only_in_part(ref)
        lost, name = getattr(error, "digest", str(ref.digest)), _name_of(ref)
        if ref.name.namespace is Namespace.DATASETS and self._cache.ref(ref.name) is None:
            fetch = f"'hitsave fetch {_path_of(ref)}' brings what is elsewhere"
            return f"{name}: was not pushed, since {lost} is not here; {fetch}"
        return (
            f"{name}: was not pushed, since {lost} is lost here; 'hitsave fsck --repair' brings "
            f"it back where a remote has it, 'hitsave forget {name}' gives this version up"
        )

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

    def _show(self, path: Path) -> str:
        return self._project.relative(path).as_posix()


def ref_of(cache: Cache, project: Project, path: Path, pointer: Pointer) -> Ref:
    """The ref that a project owns a dataset by, or will: as it is here, or was before it was forgotten."""
    name = project.workspace.dataset_ref(path, pointer.digest)
    return project.make_again(cache, name, pointer.digest, pointer.kind, path)


def find_absent(cache: Cache, exchange: Exchange, refs: Iterable[Ref], remote: str | None) -> set[Digest]:
    """What these refs hold, and is neither here nor in a remote."""
    digests = cache.missing(ref.digest for ref in refs)
    held = exchange.remote(remote).latest().has_many(digests)
    return {digest for digest in digests if digest not in held}


def _path_of(ref: Ref) -> str:
    """The path of a dataset in its project."""
    return os.fsdecode(unquote_name(ref.name.name.rpartition("@")[0].partition("/")[2]))


def _name_of(ref: Ref) -> str:
    """How a ref is called on the command line."""
    if ref.name.namespace is Namespace.DATASETS:
        return f"{_path_of(ref)}@{ref.digest.short}"
    if ref.name.namespace is Namespace.EVALUATIONS:
        return str(ref.name)
    return f"{ref.name.namespace}/{ref.digest.short}"


def _workspace_between(root: Path, folder: Path) -> Workspace | None:
    """The project that a folder lies in beneath the one at `root`; None where that is `root` itself."""
    inner = project_between(root, folder)
    try:
        return None if inner is None else Workspace(inner, load(inner, os.environ).project)
    except ConfigError:
        return None
