"""The verbs on datasets: add, status, checkout. A dataset is a path of the workspace with a pointer file beside it.

Order of `add`: contents and their ref are published in the cache, then the pointer file is written, then `.gitignore`.
A pointer file never names what is not stored. Adding what is stored and owned already changes nothing and reads nothing.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hitsave.cache.files import remove_tree
from hitsave.cache.store import Cache
from hitsave.errors import ObjectNotFound, ReliedOnLost, UnsavedChanges, WorkspaceError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.refs import Ref, RefName, quote_name
from hitsave.progress import Progress
from hitsave.snapshots.capture import Captured, CaptureOptions, IntoIntake, NameOnly, capture
from hitsave.snapshots.diff import Change, diff_trees
from hitsave.snapshots.gitignore import add_to_gitignore
from hitsave.snapshots.ignore import rules_above
from hitsave.snapshots.materialise import DEFAULT_LINKS, materialise_blob, materialise_tree
from hitsave.snapshots.pointer import (
    Pointer,
    check_pointer_name,
    is_pointer,
    load_pointer,
    pointer_path,
    save_pointer,
)
from hitsave.snapshots.update import update_tree
from hitsave.snapshots.workspace import Workspace

#: Makes the ref of a captured path: the clock, the user and the git commit are the caller's to know.
MakeRef = Callable[[Captured], Ref]
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Kept:
    """What was captured, and how much of it the cache did not have; `new_size` in bytes."""

    captured: Captured
    new_objects: int
    new_size: int


@dataclass(frozen=True, slots=True)
class Added:
    """One dataset after `add`; sizes in bytes, `read` counts files whose content was read."""

    path: Path
    digest: Digest
    kind: ObjectKind
    size: int
    files: int
    read: int
    new_objects: int
    new_size: int


class State(StrEnum):
    """How a dataset's working files stand to its pointer file."""

    CLEAN = "clean"
    MODIFIED = "modified"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class DatasetStatus:
    """One dataset: its state, what differs (where the old tree is here), and whether the cache has all of it."""

    path: Path
    pointer: Pointer
    state: State
    changes: tuple[Change, ...]
    in_cache: bool


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """One dataset after `checkout`: how many files were written and removed."""

    path: Path
    digest: Digest
    written: int
    removed: int


def keep(cache: Cache, path: Path, options: CaptureOptions, make_ref: MakeRef, progress: Progress) -> Kept:
    """Store a file or directory and own it by a ref. Reads only what the stat cache does not know, or the cache lost."""
    distrusted: frozenset[bytes] = frozenset()
    for _ in range(_TRIES):
        with cache.intake() as intake:
            into = IntoIntake(intake, distrusted)
            captured = capture(path, into, cache.stats, options, progress)
            ref = make_ref(captured)
            if cache.owns_whole(captured.digest) and intake.new_objects == 0:
                if cache.ref(ref.name) is None:
                    intake.publish([ref], [captured.digest])
                return Kept(captured, 0, 0)
            unread = list(into.unread())
            lost = cache.missing(digest for digest in unread if not intake.rely_on(digest))
            if lost:
                distrusted |= lost
                continue
            try:
                intake.publish([ref], unread)
            except ReliedOnLost:
                continue
            return Kept(captured, intake.new_objects, intake.new_bytes)
    raise WorkspaceError(f"{path}: what it shares with older datasets is being collected again and again; try later")


def add(
    cache: Cache,
    workspace: Workspace,
    path: Path,
    *,
    symlinks: str,
    ref_of: Callable[[RefName, Captured, str], Ref],
    progress: Progress,
) -> Added:
    """Store a dataset and write its pointer file. Raises WorkspaceError, SnapshotError."""
    path = Path(os.path.abspath(path))
    _check_addable(workspace, path)
    relative = workspace.relative(path)
    options = _options(workspace, path, symlinks)

    def make_ref(captured: Captured) -> Ref:
        return ref_of(workspace.dataset_ref(path, captured.digest), captured, quote_name(relative))

    kept = keep(cache, path, options, make_ref, progress)
    found = kept.captured
    executable = found.executable and found.kind is ObjectKind.BLOB
    pointer = Pointer(found.digest, found.kind, found.size, found.files, executable)
    save_pointer(pointer_path(path), pointer)
    if workspace.in_git:
        try:
            add_to_gitignore(path)
        except ValueError as error:
            progress.note(f"{path}: {error}; keep it out of git yourself")
    return Added(path, found.digest, found.kind, found.size, found.files, found.read, kept.new_objects, kept.new_size)


def _check_addable(workspace: Workspace, path: Path) -> None:
    if not os.path.lexists(path):
        hint = " (its pointer file is here: 'hitsave pull' fetches it)" if pointer_path(path).is_file() else ""
        raise WorkspaceError(f"{path}: does not exist{hint}")
    if is_pointer(path) and path.is_file():
        raise WorkspaceError(f"{path}: is a pointer file; add what it points to")
    if path == workspace.root or path in workspace.root.parents:
        raise WorkspaceError(f"{path}: holds the workspace itself; add folders within it")
    if above := workspace.dataset_above(path):
        raise WorkspaceError(f"{path}: lies in the dataset {above}; add that one")
    if path.name == ".git":
        raise WorkspaceError(f"{path}: is git's own folder")
    check_pointer_name(path)


def status(
    cache: Cache, workspace: Workspace, paths: Iterable[Path], symlinks: str, progress: Progress
) -> list[DatasetStatus]:
    """How each dataset's working files differ from its pointer file. Reads only files that changed."""
    return [_status_of(cache, workspace, path, symlinks, progress) for path in paths]


def _status_of(cache: Cache, workspace: Workspace, path: Path, symlinks: str, progress: Progress) -> DatasetStatus:
    pointer = load_pointer(pointer_path(path))
    in_cache = is_complete(cache, pointer.digest, pointer.kind)
    if not os.path.lexists(path):
        return DatasetStatus(path, pointer, State.MISSING, (), in_cache)
    names = NameOnly()
    found = _identify(cache, workspace, path, symlinks, progress, names)
    if _matches(found, pointer):
        return DatasetStatus(path, pointer, State.CLEAN, (), in_cache)
    return DatasetStatus(path, pointer, State.MODIFIED, _changes(cache, pointer, found, names), in_cache)


def _identify(
    cache: Cache, workspace: Workspace, path: Path, symlinks: str, progress: Progress, names: NameOnly
) -> Captured:
    return capture(path, names, cache.stats, _options(workspace, path, symlinks), progress)


def _options(workspace: Workspace, path: Path, symlinks: str) -> CaptureOptions:
    return CaptureOptions(symlinks, rules_above(os.fsencode(path.parent), os.fsencode(workspace.root)))


def _matches(found: Captured, pointer: Pointer) -> bool:
    return found.digest == pointer.digest and found.kind is pointer.kind and found.executable == pointer.executable


def _changes(cache: Cache, pointer: Pointer, found: Captured, names: NameOnly) -> tuple[Change, ...]:
    """What differs from the pointer's tree; empty where that is not here, or one of the two is a file."""
    if pointer.kind is not ObjectKind.TREE or found.kind is not ObjectKind.TREE:
        return ()

    def load(digest: Digest) -> bytes:
        return names.trees[digest] if digest in names.trees else cache.read(digest)

    try:
        return tuple(diff_trees(pointer.digest, found.digest, load, load))
    except ObjectNotFound:
        return ()


def is_complete(cache: Cache, digest: Digest, kind: ObjectKind) -> bool:
    """Whether an object and everything beneath it is in the cache."""
    if cache.owns_whole(digest):
        return True
    try:
        return not cache.missing(cache.reachable([(digest, kind)]))
    except ObjectNotFound:
        return False


def checkout(
    cache: Cache,
    workspace: Workspace,
    path: Path,
    *,
    symlinks: str,
    links: Sequence[str] = DEFAULT_LINKS,
    force: bool = False,
    progress: Progress,
) -> CheckedOut:
    """Make working files match the pointer file. Raises UnsavedChanges where that would lose something."""
    pointer = load_pointer(pointer_path(path))
    if not os.path.lexists(path):
        return _write_new(cache, path, pointer, links, progress)
    names = NameOnly()
    found = _identify(cache, workspace, path, symlinks, progress, names)
    if _matches(found, pointer):
        return CheckedOut(path, pointer.digest, 0, 0)
    if not is_complete(cache, found.digest, found.kind):
        if not force:
            changed = [os.fsdecode(change.path) for change in _changes(cache, pointer, found, names)]
            raise UnsavedChanges(os.fspath(path), changed or [path.name])
        _keep_without_owner(cache, path, _options(workspace, path, symlinks), progress)
    if found.kind is ObjectKind.TREE and pointer.kind is ObjectKind.TREE and not path.is_symlink():
        done = update_tree(cache, found.digest, pointer.digest, path, links=links, force=force, progress=progress)
        return CheckedOut(path, pointer.digest, done.files, done.removed)
    return _replace(cache, path, pointer, links, progress)


def _keep_without_owner(cache: Cache, path: Path, options: CaptureOptions, progress: Progress) -> None:
    """Even what is to be discarded is kept until the next collection: a slip of the hand can be mended."""
    with cache.intake() as intake:
        into = IntoIntake(intake)
        captured = capture(path, into, cache.stats, options, progress)
        intake.publish([])
    progress.note(f"{path}: what was discarded is kept as {captured.digest.short} until the next 'hitsave gc'")


def _write_new(cache: Cache, path: Path, pointer: Pointer, links: Sequence[str], progress: Progress) -> CheckedOut:
    if pointer.kind is ObjectKind.TREE:
        done = materialise_tree(cache, pointer.digest, path, links=links, progress=progress)
    else:
        done = materialise_blob(cache, pointer.digest, path, executable=pointer.executable, links=links)
    return CheckedOut(path, pointer.digest, done.files, 0)


def _replace(cache: Cache, path: Path, pointer: Pointer, links: Sequence[str], progress: Progress) -> CheckedOut:
    """A file where a directory was, or the other way round, or another file."""
    was_directory = stat.S_ISDIR(os.lstat(path).st_mode)
    if pointer.kind is ObjectKind.BLOB and not was_directory:
        return _write_new(cache, path, pointer, links, progress)
    aside = path.with_name(f".hitsave-{secrets.token_hex(6)}")
    os.rename(path, aside)
    try:
        done = _write_new(cache, path, pointer, links, progress)
    except BaseException:
        os.rename(aside, path)
        raise
    remove_tree(os.fspath(aside)) if was_directory else os.unlink(aside)
    return done
