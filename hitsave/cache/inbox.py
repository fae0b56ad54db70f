"""Small objects that lie in the database itself, so that publishing one takes a single sync and makes no file.

A memoised call publishes a few small objects at a time. Were each of these a pack with an index, a million calls would
make a million of both. So they are rows first, written in the same transaction as the ref that owns them. When the
inbox has grown to `LARGEST`, its objects move into packs: the rows go in the very transaction that makes the index of
these packs hold, so that an object is always in one of the two places. Who looks for one looks in packs, in the inbox,
and in packs once more.

Rows are checked against their digests whenever they are read.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from hitsave.cache.database import Database
from hitsave.cache.refs import doubt_all
from hitsave.errors import CorruptObject
from hitsave.objects.digest import Digest, ObjectKind, object_digest

#: The inbox moves into packs whenever its weight passes a multiple of this: bytes of content, and `ROW` for each.
LARGEST = 8 << 20
ROW = 8 << 10
#: Bytes of content that are taken into memory together.
_AT_ONCE = 32 << 20
_QUERY_AT_ONCE = 500
_WEIGHT = "inbox"


class Boxed(NamedTuple):
    """One row."""

    digest: Digest
    kind: ObjectKind
    content: bytes

    @property
    def right(self) -> bool:
        """Whether the content has its digest."""
        return object_digest(self.kind, self.content) == self.digest


class Inbox:
    """The objects that lie in one cache's database."""

    def __init__(self, root: Path, database: Database) -> None:
        self._root = os.fspath(root)
        self._database = database

    @property
    def where(self) -> str:
        """The file that holds it."""
        return os.path.join(self._root, "cache.db")

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it."""
        return not self._database.rows("SELECT 1 FROM inbox LIMIT 1")

    def has(self, digest: bytes) -> bool:
        """Whether an object is here."""
        return bool(self._database.rows("SELECT 1 FROM inbox WHERE digest = ?", bytes(digest)))

    def info(self, digest: bytes) -> tuple[ObjectKind, int] | None:
        """Kind and size in bytes of an object; None where it is not here."""
        rows = self._database.rows("SELECT kind, length(content) FROM inbox WHERE digest = ?", bytes(digest))
        return (ObjectKind(rows[0][0]), rows[0][1]) if rows else None

    def read(self, digest: Digest) -> bytes | None:
        """The content of an object; None where it is not here. Raises CorruptObject."""
        rows = self._database.rows("SELECT kind, content FROM inbox WHERE digest = ?", bytes(digest))
        if not rows:
            return None
        boxed = _boxed(digest, *rows[0])
        if not boxed.right:
            raise CorruptObject(str(digest), self.where)
        return boxed.content

    def read_many(self, digests: list[Digest]) -> dict[Digest, Boxed]:
        """Those of `digests` that are here. Raises CorruptObject."""
        found: dict[Digest, Boxed] = {}
        for digest in self.among(digests):
            for row in self._database.rows("SELECT kind, content FROM inbox WHERE digest = ?", bytes(digest)):
                found[digest] = _boxed(digest, *row)
                if not found[digest].right:
                    raise CorruptObject(str(digest), self.where)
        return found

    def among(self, digests: list[Digest]) -> set[Digest]:
        """Those of `digests` that are here."""
        found: set[Digest] = set()
        for at in range(0, len(digests), _QUERY_AT_ONCE):
            some = [bytes(digest) for digest in digests[at : at + _QUERY_AT_ONCE]]
            marks = ",".join("?" * len(some))
            rows = self._database.rows(f"SELECT digest FROM inbox WHERE digest IN ({marks})", *some)
            found.update(Digest(row[0]) for row in rows)
        return found

    def between(self, low: bytes, high: bytes, limit: int) -> list[Digest]:
        """The digests from `low` to `high`, ascending; no more than `limit`."""
        query = "SELECT digest FROM inbox WHERE digest BETWEEN ? AND ? ORDER BY digest LIMIT ?"
        return [Digest(row[0]) for row in self._database.rows(query, low, high, limit)]

    def rows(self) -> list[tuple[Digest, ObjectKind, int]]:
        """Digest, kind and size in bytes of everything."""
        rows = self._database.rows("SELECT digest, kind, length(content) FROM inbox")
        return [(Digest(digest), ObjectKind(kind), size) for digest, kind, size in rows]

    def batches(self) -> Iterator[list[Boxed]]:
        """Everything, in the order in which it came, unchecked, so much of it at a time as fits in memory."""
        last = 0
        while True:
            batch, last = self._batch(last)
            if not batch:
                return
            yield batch

    def _batch(self, last: int) -> tuple[list[Boxed], int]:
        size, until = 0, last
        for row, length in self._database.rows("SELECT id, length(content) FROM inbox WHERE id > ? ORDER BY id", last):
            until = row
            size += length
            if size > _AT_ONCE:
                break
        query = "SELECT digest, kind, content FROM inbox WHERE id > ? AND id <= ? ORDER BY id"
        return [_boxed(*found) for found in self._database.rows(query, last, until)], until

    def set_aside(self, digest: Digest) -> bool:
        """Move the row of an object that was found to be damaged into the quarantine folder. Returns whether it was."""
        with self._database.writing() as connection:
            row = connection.execute("SELECT kind, content FROM inbox WHERE digest = ?", (bytes(digest),)).fetchone()
            if row is None or _boxed(digest, *row).right:
                return False
            path = os.path.join(self._root, "quarantine", f"{digest}.{secrets.token_hex(4)}")
            Path(path).write_bytes(_boxed(digest, *row).content)
            remove(connection, [digest])
            doubt_all(connection)
        return True


def _boxed(digest: bytes, kind: int, content: object) -> Boxed:
    # A damaged row may hold anything: the number of no kind, or text.
    known = ObjectKind(kind) if kind in ObjectKind.__members__.values() else ObjectKind.BLOB
    return Boxed(Digest(digest), known, content if isinstance(content, bytes) else b"")


# -- inside write transactions


def add(connection: sqlite3.Connection, objects: Iterable[Boxed]) -> bool:
    """Put objects into the inbox. Returns whether it is time to move it into packs."""
    added = 0
    for digest, kind, content in objects:
        cursor = connection.execute(
            "INSERT OR IGNORE INTO inbox(digest, kind, content) VALUES (?, ?, ?)", (bytes(digest), int(kind), content)
        )
        added += cursor.rowcount * (len(content) + ROW)
    weight = _add_weight(connection, added)
    # Each writer that passes a multiple sees to it. Were it each one above the bound, all would do the same work.
    return weight // LARGEST > (weight - added) // LARGEST


def remove(connection: sqlite3.Connection, digests: Iterable[bytes]) -> int:
    """Take objects out of the inbox; how many of them were there."""
    removed = lighter = 0
    for digest in digests:
        row = connection.execute("SELECT length(content) FROM inbox WHERE digest = ?", (bytes(digest),)).fetchone()
        if row is not None:
            connection.execute("DELETE FROM inbox WHERE digest = ?", (bytes(digest),))
            removed += 1
            lighter += row[0] + ROW
    _add_weight(connection, -lighter)
    return removed


def _add_weight(connection: sqlite3.Connection, change: int) -> int:
    found = connection.execute("SELECT CAST(value AS INTEGER) FROM settings WHERE key = ?", (_WEIGHT,)).fetchone()
    weight = max(0, (found[0] if found else 0) + change)
    connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (_WEIGHT, str(weight)))
    return weight
