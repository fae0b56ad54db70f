"""Turns a working directory that holds one tree into another, touching only what differs.

Order: everything new is written into a staging folder, so that whatever cannot be read is found before anything
changes; then what goes is removed, directories are made, and each new file is renamed into its place. An interruption
leaves every file either old or new, and running it again completes the work.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hitsave.cache.files import remove_tree
from hitsave.cache.store import Cache
from hitsave.config import DEFAULT_LINKS
from hitsave.errors import ObjectNotFound, UnsavedChanges
from hitsave.objects.digest import Digest
from hitsave.objects.model import EntryKind
from hitsave.progress import Progress
from hitsave.snapshots.diff import Change, ChangeKind, diff_trees
from hitsave.snapshots.layout import Layout, PlannedFile, plan_layout, refuse_collisions
from hitsave.snapshots.listing import paths_beneath
from hitsave.snapshots.materialise import FileWriter, Materialised, refuse_links_out
from hitsave.snapshots.names import parents_of
from hitsave.snapshots.staging import staging_in


@dataclass(frozen=True, slots=True)
class _Plan:
    """`removals` are paths that go, or change between file and directory; `modes` only change their mode."""

    layout: Layout
    arrivals: list[PlannedFile]
    removals: list[bytes]
    old_directories: set[bytes]
    modes: list[tuple[bytes, bool]]
    known: set[bytes]


def update_tree(
    cache: Cache,
    old: Digest,
    new: Digest,
    destination: Path,
    *,
    links: Sequence[str] = DEFAULT_LINKS,
    force: bool = False,
    progress: Progress | None = None,
) -> Materialised:
    """Turn a directory that holds `old` into `new`.

    Files that `old` does not know stay. Where one stands in the way of a new name this is UnsavedChanges, before
    anything is changed; with `force` it is replaced. Raises ObjectNotFound, NameConflict likewise.
    """
    root = os.fsencode(destination)
    plan = _plan(cache, old, new, root)
    refuse_links_out(cache, plan.layout)
    refuse_collisions(plan.layout, root)
    if not force:
        _refuse_obstacles(destination, plan)
    if missing := cache.missing(planned.entry.digest for planned in plan.arrivals):
        raise ObjectNotFound(str(min(missing)))
    with staging_in(_staging_place(destination)) as staging:
        above = os.fsencode(staging)
        staged = [(os.path.join(above, b"%d" % number), item) for number, item in enumerate(plan.arrivals)]
        FileWriter(cache, links, progress=progress).write(staged)
        _carry_out(root, plan, staged)
    return Materialised(len(staged), sum(item.entry.size for _, item in staged), len(plan.removals))


def _staging_place(destination: Path) -> Path:
    """Beside the directory; in it, where that is another file system, or another user's folder."""
    beside = destination.parent
    same = os.stat(beside).st_dev == os.stat(destination).st_dev
    return beside if same and os.access(beside, os.W_OK | os.X_OK) else destination


def _plan(cache: Cache, old: Digest, new: Digest, root: bytes) -> _Plan:
    layout = plan_layout(new, cache.read)
    before = plan_layout(old, cache.read)
    changes = list(diff_trees(old, new, cache.read, cache.read))
    modes = {
        change.path: change.new.kind is EntryKind.EXECUTABLE
        for change in changes
        if change.kind is ChangeKind.MODE and change.new is not None and _is_own(os.path.join(root, change.path))
    }
    arriving = {change.path for change in changes if change.new is not None and change.path not in modes}
    return _Plan(
        layout=layout,
        arrivals=[planned for planned in layout.files if planned.path in arriving],
        removals=[change.path for change in changes if _goes(change)],
        old_directories=set(before.directories),
        modes=list(modes.items()),
        known={planned.path for planned in before.files} | set(before.directories),
    )


def _is_own(place: bytes) -> bool:
    """Whether a file is nobody else's: what is a link into the cache has its mode from there."""
    found = os.lstat(place)
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def _goes(change: Change) -> bool:
    """Whether a path that is a file or link now is to be none."""
    if change.old is None or change.old.kind is EntryKind.TREE:
        return False
    return change.new is None or change.new.kind is EntryKind.TREE


def _refuse_obstacles(destination: Path, plan: _Plan) -> None:
    root = os.fsencode(destination)
    going = set(plan.removals)
    # What seems to stand beneath a link that goes is somewhere else.
    files = [
        item.path for item in plan.arrivals if item.path not in plan.known and going.isdisjoint(parents_of(item.path))
    ]
    found = [path for path in files if os.path.lexists(os.path.join(root, path))]
    for path in plan.layout.directories:
        if path in plan.known or not going.isdisjoint(parents_of(path)):
            continue
        if _no_directory(os.path.join(root, path)):
            found.append(path)
    for item in plan.arrivals:
        if item.path in plan.old_directories:  # A directory makes room for a file, but not with what nobody knows.
            found += (
                item.path + b"/" + inner
                for inner, _ in paths_beneath(os.path.join(root, item.path))
                if item.path + b"/" + inner not in plan.known
            )
    if found:
        raise UnsavedChanges(os.fspath(destination), [os.fsdecode(path) for path in sorted(found)])


def _no_directory(place: bytes) -> bool:
    """Whether something else stands there; a link to a directory is something else: nothing is written beyond it."""
    return os.path.lexists(place) and (os.path.islink(place) or not os.path.isdir(place))


def _carry_out(root: bytes, plan: _Plan, staged: list[tuple[bytes, PlannedFile]]) -> None:
    for path in plan.removals:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(root, path))
    wanted = set(plan.layout.directories)
    leaving = sorted(plan.old_directories - wanted, reverse=True)
    _remove_empty(root, leaving)
    for path in plan.layout.directories:
        place = os.path.join(root, path)
        if path not in plan.old_directories and _no_directory(place):
            os.unlink(place)
        if not os.path.isdir(place):
            os.mkdir(place)
    for source, item in staged:
        place = os.path.join(root, item.path)
        if os.path.isdir(place) and not os.path.islink(place):
            remove_tree(os.fsdecode(place))
        os.replace(source, place)
    umask = os.umask(0)
    os.umask(umask)
    for path, executable in plan.modes:
        os.chmod(os.path.join(root, path), (0o777 if executable else 0o666) & ~umask)


def _remove_empty(root: bytes, directories: list[bytes]) -> None:
    for path in directories:
        with contextlib.suppress(OSError):  # Not empty: it holds files that the old tree did not know.
            os.rmdir(os.path.join(root, path))
