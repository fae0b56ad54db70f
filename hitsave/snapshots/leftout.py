"""Which files of a dataset are not there because nobody asked for them: no changes, and nothing that `add` may drop.

What was asked for at a path is known from `cache.places`. Where it is not, what the cache never had was left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from hitsave.cache.places import Place
from hitsave.cache.store import Cache
from hitsave.objects.digest import Digest
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.snapshots.diff import Change, ChangeKind
from hitsave.snapshots.partial import include_globs
from hitsave.snapshots.workspace import Workspace


def place_of(cache: Cache, path: Path) -> Place | None:
    """What a working path was last made to hold."""
    return cache.places.find(os.fsencode(os.path.abspath(path)))


def note_place(cache: Cache, path: Path, place: Place) -> None:
    """Note what a working path holds now."""
    cache.places.save(os.fsencode(os.path.abspath(path)), place)


def version_before(cache: Cache, path: Path, version: Digest) -> Digest | None:
    """The version that a working path was last made to hold, where that is another one; None where it is not known."""
    place = place_of(cache, path)
    return None if place is None or place.version == version else place.version


def is_part(cache: Cache, workspace: Workspace, path: Path, version: Digest) -> bool:
    """Whether a dataset's working files may be a part of this version on purpose."""
    place = place_of(cache, path)
    if place is None and cache.owns_part(version):
        return True  # They are a copy, or have another name now.
    return bool(place and place.parts) or cache.is_partial(workspace.dataset_ref(path, version))


def left_out_of(cache: Cache, path: Path, changes: Iterable[Change]) -> dict[bytes, TreeEntry]:
    """The files, and directories as a whole, of a dataset that is a part, that were never asked for, by path inside."""
    removed = {change.path: change.old for change in changes if change.kind is ChangeKind.REMOVED and change.old}
    missing = cache.missing(entry.digest for entry in removed.values())
    place = place_of(cache, path)
    parts = [include_globs(part.included, part.excluded) for part in place.parts] if place else []

    def unwanted(inner: bytes, entry: TreeEntry) -> bool:
        # A directory is a change by itself where its tree is not here, or nothing is in it.
        return entry.kind is EntryKind.TREE or not any(part is None or part(inner) for part in parts)

    return {
        inner: entry
        for inner, entry in removed.items()
        if entry.digest in missing or (parts and unwanted(inner, entry))
    }


def count_files(left_out: Mapping[bytes, TreeEntry]) -> int:
    """How many files these entries are, those beneath directories counted."""
    return sum(entry.files if entry.kind is EntryKind.TREE else 1 for entry in left_out.values())
