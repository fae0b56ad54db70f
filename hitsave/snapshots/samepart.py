"""The part of a dataset that another version of it is to be checked out as, where a part was pulled.

That is what was asked for, and what is here besides: a file that was added outside of the part belongs to its version
as others do, and must neither stay in another one nor be missing there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from hitsave.cache.store import Cache
from hitsave.snapshots.leftout import place_of
from hitsave.snapshots.listing import paths_beneath
from hitsave.snapshots.partial import Globs, include_globs
from hitsave.snapshots.place import behind_links


class SamePart:
    """Tells by its path whether a file was asked for or is here, and of a directory whether it may hold such."""

    def __init__(self, asked: Sequence[Globs], here: Iterable[tuple[bytes, bool]]) -> None:
        """`here` are paths inside the dataset, and whether they are directories."""
        self._asked = asked
        self._files: set[bytes] = set()
        self._directories: set[bytes] = set()
        for path, is_directory in here:
            (self._directories if is_directory else self._files).add(path)

    def __call__(self, path: bytes) -> bool:
        return path in self._files or any(part(path) for part in self._asked)

    def wants_empty(self, directory: bytes) -> bool:
        """Whether a directory without files is wanted."""
        return directory in self._directories or any(part.wants_empty(directory) for part in self._asked)

    def may_hold(self, directory: bytes) -> bool:
        """Whether something beneath a directory may be wanted."""
        return directory in self._directories or any(part.may_hold(directory) for part in self._asked)


def same_part(cache: Cache, path: Path) -> SamePart | None:
    """What of any version belongs into the working files of a dataset; None where that is all of it."""
    place = place_of(cache, path)
    if place is None or not place.parts or not path.is_dir() or behind_links(cache, path).is_symlink():
        return None
    asked = [include_globs(part.included, part.excluded) for part in place.parts]
    return SamePart([part for part in asked if part is not None], paths_beneath(os.fsencode(path)))
