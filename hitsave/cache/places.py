"""What working paths were last made to hold: of which version their files are, and which part of it was asked for.

A place that is not known is no fault: it was never written from here, or the cache was cleared since.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from hitsave.cache.database import Database
from hitsave.objects.digest import Digest


class Part(NamedTuple):
    """The files that one `pull --include` asked for: patterns of those that were wanted, and of those that were not."""

    included: tuple[str, ...]
    excluded: tuple[str, ...]


class Place(NamedTuple):
    """The version that a path holds; `parts` is empty where all of it was asked for."""

    version: Digest
    parts: tuple[Part, ...] = ()

    def with_part(self, version: Digest, part: Part) -> Place:
        """The same with another part, now of this version."""
        return Place(version, (*(other for other in self.parts if other != part), part))


class Places:
    """One row for each working path of a dataset."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, path: bytes) -> Place | None:
        """What an absolute path was last made to hold."""
        rows = self._database.rows("SELECT version, parts FROM places WHERE path = ?", path)
        if not rows:
            return None
        version, parts = rows[0]
        return Place(Digest(version), tuple(Part(tuple(wanted), tuple(not_)) for wanted, not_ in json.loads(parts)))

    def save(self, path: bytes, place: Place) -> None:
        """Note what an absolute path holds now."""
        if self.find(path) == place:
            return
        with self._database.writing() as connection:
            row = (path, bytes(place.version), json.dumps(place.parts))
            connection.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?)", row)
