"""What came of a part of a dataset, made whole: what was never asked for stays as the version before has it.

Only directories of the part are read, and those that the user made beside it where the dataset has one of that name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from hitsave.cache.store import Cache
from hitsave.errors import ReliedOnLost, SnapshotError, WorkspaceError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import decode_tree
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.progress import Progress
from hitsave.snapshots.amend import amend
from hitsave.snapshots.capture import Captured, CaptureOptions
from hitsave.snapshots.datasets import Kept, Owner, is_complete, keep
from hitsave.snapshots.diff import diff_trees
from hitsave.snapshots.leftout import count_files, left_out_of
from hitsave.snapshots.names import Load, parents_of

_TRIES = 20


def keep_part(
    cache: Cache,
    path: Path,
    base: Digest,
    options: CaptureOptions,
    owner: Owner,
    load: Load,
    progress: Progress,
) -> tuple[Kept, int]:
    """Store a part of a dataset's version `base` as it is now, and all else as it was there; how many files these are.

    What is not here is owned in part, as long as it is not.
    """
    for _ in range(_TRIES):
        kept = keep(cache, path, options, None, progress)
        found = kept.captured
        if found.kind is not ObjectKind.TREE:
            raise WorkspaceError(f"{path}: is a file now, and a directory of which only a part is here; pull it first")
        unseen = unseen_of(cache, path, base, found.digest, load)
        if not unseen:
            return keep(cache, path, options, owner, progress), 0
        try:
            whole = _publish_part(cache, found, unseen, owner, load)
        except ReliedOnLost:
            continue  # A collection took what was kept a moment ago, and nobody owned yet.
        return replace(kept, captured=whole), count_files(unseen)
    raise WorkspaceError(f"{path}: what is added is being collected again and again; try later")


def _publish_part(
    cache: Cache, found: Captured, unseen: Mapping[bytes, TreeEntry], owner: Owner, load: Load
) -> Captured:
    with cache.intake() as intake:
        done = amend(found.digest, unseen, load, lambda tree: intake.add(ObjectKind.TREE, tree))
        whole = found._replace(digest=done.root, size=done.size, files=done.files)
        name = owner.name_ref(whole)
        ref = cache.ref(name) or owner.make_ref(name, whole)
        intake.publish([ref], cache.reachable([(found.digest, found.kind)]), partial=True)
    if cache.is_partial(name) and is_complete(cache, done.root, ObjectKind.TREE):
        with cache.intake() as intake:  # Now it is whole.
            intake.publish([ref], cache.reachable([(done.root, ObjectKind.TREE)]))
    return whole


def unseen_of(cache: Cache, path: Path, base: Digest, found: Digest, load: Load) -> dict[bytes, TreeEntry]:
    """The entries of `base` that the working files at `path` lack because nobody asked for them.

    `load` gives trees, also those that are not here. Raises SnapshotError where the user put a file where a directory
    is that was not asked for, or the other way round; ObjectNotFound, RemoteError where a tree is out of reach.
    """

    def away(tree: Digest) -> bool:
        return bool(cache.missing([tree]))

    left_out = left_out_of(cache, path, diff_trees(base, found, load, load, away))
    return dict(_beside(left_out, _Directories(found, load), load))


class _Directories:
    """The directories of a tree by their paths, each read once."""

    def __init__(self, root: Digest, load: Load) -> None:
        self._load = load
        self._known: dict[bytes, dict[bytes, TreeEntry]] = {b"": self._entries(root)}

    def _entries(self, tree: Digest) -> dict[bytes, TreeEntry]:
        return {entry.name: entry for entry in decode_tree(self._load(tree)).entries}

    def at(self, path: bytes) -> TreeEntry | None:
        """What stands at a path. Raises SnapshotError where a file stands in the way to it."""
        above, _, name = path.rpartition(b"/")
        if above not in self._known:
            for place in [*parents_of(path)][::-1]:
                self._read(place)
        return self._known[above].get(name)

    def _read(self, place: bytes) -> None:
        if place in self._known:
            return
        above, _, name = place.rpartition(b"/")
        found = self._known[above].get(name)
        if found is not None and found.kind is not EntryKind.TREE:
            raise _taken(place, "directory")
        self._known[place] = {} if found is None else self._entries(found.digest)


def _beside(left_out: Mapping[bytes, TreeEntry], found: _Directories, load: Load) -> Iterator[tuple[bytes, TreeEntry]]:
    """These entries, but for those whose place the user has taken; of directories that both have, what is in them."""
    pending = list(left_out.items())
    while pending:
        path, entry = pending.pop()
        there = found.at(path)
        if there is None:
            yield path, entry
        elif there.kind is EntryKind.TREE and entry.kind is EntryKind.TREE:
            pending += [(path + b"/" + inner.name, inner) for inner in decode_tree(load(entry.digest)).entries]
        elif EntryKind.TREE in (there.kind, entry.kind):
            raise _taken(path, "directory" if entry.kind is EntryKind.TREE else "file")


def _taken(path: bytes, stands: str) -> SnapshotError:
    shown = path.decode("utf-8", errors="surrogateescape")
    return SnapshotError(f"{shown}: is a {stands} in the dataset, of which only a part is here; name another place")
