"""Keeping what stands at a path, with the ref that owns it, and telling working files from what is kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hitsave.cache.store import Cache
from hitsave.errors import ObjectNotFound, ReliedOnLost, WorkspaceError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.refs import Ref, RefName
from hitsave.progress import Progress
from hitsave.snapshots.capture import Captured, CaptureOptions, capture
from hitsave.snapshots.diff import Change, diff_trees
from hitsave.snapshots.ignore import rules_above
from hitsave.snapshots.keeping import IntoIntake, NameOnly
from hitsave.snapshots.pointer import (
    Pointer,
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
