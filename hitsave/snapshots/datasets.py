"""Keeping datasets. A dataset is a path of the workspace with a pointer file beside it.

Order of `add`: contents and their ref are published in the cache, then the pointer file is written, then `.gitignore`.
A pointer file never names what is not stored. Adding what is stored and owned already changes and reads nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hitsave.cache.places import Place
from hitsave.cache.store import Cache
from hitsave.errors import MergeConflict, ObjectNotFound, ReliedOnLost, WorkspaceError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.refs import Ref, RefName
from hitsave.progress import Progress
from hitsave.snapshots.capture import Captured, CaptureOptions, capture
from hitsave.snapshots.diff import Change, diff_trees
from hitsave.snapshots.gitignore import add_to_gitignore
from hitsave.snapshots.ignore import rules_above
from hitsave.snapshots.keeping import IntoIntake, NameOnly
from hitsave.snapshots.leftout import count_files, is_part, left_out_of, note_place, place_of
from hitsave.snapshots.pointer import (
    Pointer,
    check_pointer_name,
    is_pointer,
    load_pointer,
    pointer_path,
    save_pointer,
)
from hitsave.snapshots.workspace import Workspace

#: Makes a ref of this name. Asked only where it is not there yet: git, which it asks in turn, takes its time.
MakeRef = Callable[[RefName, Captured], Ref]
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Owner:
    """Who is to own what gets captured: the name of that ref, and the ref itself."""

    name_ref: Callable[[Captured], RefName]
    make_ref: MakeRef


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


def keep(
    cache: Cache,
    path: Path,
    options: CaptureOptions,
    owner: Owner | None,
    progress: Progress,
    hold: str | None = None,
) -> Kept:
    """Store a file or directory; without an owner, the next collection takes it.

    With `hold`, a token, what the owner would own is held for a call that is under way, and no ref is made.

    Reads only what the stat cache does not know, or the cache lost.
    """
    distrusted: frozenset[bytes] = frozenset()
    for _ in range(_TRIES):
        with cache.intake() as intake:
            into = IntoIntake(intake, distrusted)
            captured = capture(path, into, cache.stats, options, progress)
            name = None if owner is None else owner.name_ref(captured)
            if hold is None and intake.new_objects == 0 and _is_kept(cache, name, captured.digest):
                return Kept(captured, 0, 0)
            unread = list(into.unread())
            lost = cache.missing(digest for digest in unread if not intake.rely_on(digest))
            if lost:
                distrusted |= lost
                continue
            try:
                refs = [] if owner is None or name is None else [owner.make_ref(name, captured)]
                intake.publish(refs, unread, hold=hold)
            except ReliedOnLost:
                continue
            return Kept(captured, intake.new_objects, intake.new_bytes)
    raise WorkspaceError(f"{path}: what it shares with older datasets is being collected again and again; try later")


def _is_kept(cache: Cache, name: RefName | None, digest: Digest) -> bool:
    """Whether a ref of this name is there, and all that it needs."""
    return name is not None and cache.ref(name) is not None and cache.owns_whole(digest)


def add(
    cache: Cache,
    workspace: Workspace,
    path: Path,
    *,
    symlinks: str,
    make_ref: MakeRef,
    progress: Progress,
) -> Added:
    """Store a dataset and write its pointer file. Raises WorkspaceError, SnapshotError."""
    path = Path(os.path.abspath(path))
    _check_addable(workspace, path)
    workspace.relative(path)  # Refuses what lies outside before anything is read.
    options = options_for(cache, workspace, path, symlinks)
    _look_at_base(cache, workspace, path, options, progress)

    def name_ref(captured: Captured) -> RefName:
        return workspace.dataset_ref(path, captured.digest)

    progress.start(f"adding {path.name}")
    kept = keep(cache, path, options, Owner(name_ref, make_ref), progress)
    found = kept.captured
    executable = found.executable and found.kind is ObjectKind.BLOB
    pointer = Pointer(found.digest, found.kind, found.size, found.files, executable)
    save_pointer(pointer_path(path), pointer)
    note_place(cache, path, Place(found.digest))
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


def _look_at_base(cache: Cache, workspace: Workspace, path: Path, options: CaptureOptions, progress: Progress) -> None:
    """Whether adding drops what nobody means to drop, because these files were not made from the version before.

    Of a part that was pulled, the rest: raises WorkspaceError. Of two versions in conflict, the other one: raises
    MergeConflict. A version that git brought while the files stayed is noted, and stays owned.
    """
    try:
        pointer = load_pointer(pointer_path(path))
    except MergeConflict:
        raise
    except (FileNotFoundError, WorkspaceError):
        return
    part = pointer.kind is ObjectKind.TREE and is_part(cache, workspace, path, pointer.digest)
    place = place_of(cache, path)
    moved = place is not None and place.version != pointer.digest
    if not part and not moved:
        return
    names = NameOnly()
    found = capture(path, names, cache.stats, options, progress)
    if matches(found, pointer):
        return
    if part and (left_out := left_out_of(cache, path, tree_changes(cache, pointer.digest, found, names))):
        raise WorkspaceError(
            f"{path}: only a part of it is here, and adding it would drop the other {count_files(left_out)} files; "
            f"run 'hitsave pull {path.name}' first"
        )
    if moved:
        progress.note(
            f"{path}: its pointer file named {pointer.digest.short}, which these files were not made from; "
            f"'hitsave diff {pointer.digest.short} {path.name}' shows what is otherwise now"
        )


def options_for(cache: Cache, workspace: Workspace, path: Path, symlinks: str) -> CaptureOptions:
    """How the dataset at a path is captured."""
    rules = rules_above(os.fsencode(path.parent), os.fsencode(workspace.root))
    return CaptureOptions(symlinks, rules, cached=cached_files(cache))


def cached_files(cache: Cache) -> bytes:
    """The beginning of every link to a file of the cache."""
    return os.path.join(os.fsencode(cache.path), b"objects", b"")


def matches(found: Captured, pointer: Pointer) -> bool:
    """Whether working files are what a pointer file says."""
    return found.digest == pointer.digest and found.kind is pointer.kind and found.executable == pointer.executable


def tree_changes(cache: Cache, old: Digest, found: Captured, names: NameOnly) -> tuple[Change, ...]:
    """What working files differ in from a tree; empty where that is not here, or they are no directory."""
    if found.kind is not ObjectKind.TREE:
        return ()

    def load(digest: Digest) -> bytes:
        return names.trees[digest] if digest in names.trees else cache.read(digest)

    def away(digest: Digest) -> bool:
        return digest not in names.trees and bool(cache.missing([digest]))

    try:
        return tuple(diff_trees(old, found.digest, load, load, away))
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
