"""Which datasets git moved to other versions. Only pointer files are read, and what is noted of working paths."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from hitsave.cache.store import Cache
from hitsave.errors import WorkspaceError
from hitsave.snapshots.leftout import place_of
from hitsave.snapshots.pointer import load_pointer, target_path


class Moved(NamedTuple):
    """A dataset whose files are not here, or not of the version of its pointer file; whether the cache has that."""

    path: Path
    in_cache: bool


def find_moved(cache: Cache, changed: Iterable[Path]) -> Iterator[Moved]:
    """Of pointer files that git changed, those that name another version than was last checked out.

    One that cannot be read is passed over: whoever needs it says what is wrong.
    """
    for place in changed:
        try:
            pointer = load_pointer(place)
        except (WorkspaceError, OSError):
            continue
        path = target_path(place)
        held = place_of(cache, path)
        if held is None or held.version != pointer.digest or not os.path.lexists(path):
            yield Moved(path, cache.owns_whole(pointer.digest))
