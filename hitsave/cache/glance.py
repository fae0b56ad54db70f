"""A look at the cache for who must not wait, nor change anything: shells that complete a word.

Nothing is made, written or waited for, and every question is bounded: it takes some lookups by an index, however large
the cache is. So of many names that begin alike it gives the next characters instead of all of them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from hitsave.cache.database import SCHEMA_VERSION, Database
from hitsave.cache.inbox import Inbox
from hitsave.cache.packset import PackSet
from hitsave.errors import CacheError, MalformedObject
from hitsave.objects.digest import Digest
from hitsave.objects.refs import Namespace

#: Seconds that a look waits for a writer, which only a cache without a write-ahead log makes it do.
_WAIT = 0.05
#: Bytes of the largest tree that is read.
_LARGEST_TREE = 2 << 20
_LAST = "\x7f"


class Begun(NamedTuple):
    """A name that begins as was asked; where it is not `whole`, several do that go on from here."""

    text: str
    whole: bool = True


class _ReadOnly(Database):
    """A database that is there already, and stays as it is."""

    def _prepare(self) -> None:
        if self.rows("PRAGMA user_version") != [(SCHEMA_VERSION,)]:
            raise CacheError(f"{self._path}: is of another version")

    @property
    def connection(self) -> sqlite3.Connection:
        """The one connection, which cannot write."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            try:
                found = sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, timeout=_WAIT, isolation_level=None)
            except sqlite3.Error as error:
                raise CacheError(f"{self._path}: cannot be opened ({error})") from None
            self._local.connection, self._local.serial = found, 0
        return found


class Glance:
    """What lies in the cache at `path`. Raises CacheError where there is none; so may every method."""

    def __init__(self, path: Path) -> None:
        self._database = _ReadOnly(path / "cache.db")
        self._inbox = Inbox(path, self._database)
        self._packset = PackSet(path, self._database)

    def refs(self, prefix: str, most: int) -> list[Begun]:
        """The full names of refs that begin so."""
        namespace, slash, name = prefix.partition("/")
        if not slash:
            known = [each.value for each in Namespace if each.value.startswith(namespace)]
            query = "SELECT 1 FROM refs WHERE namespace = ? LIMIT 1"
            return [Begun(f"{each}/", False) for each in known if self._database.rows(query, each)]
        query = "SELECT name FROM refs WHERE namespace = ? AND name >= ? AND name < ? ORDER BY name LIMIT ?"

        def between(low: str, high: str, limit: int) -> list[str]:
            return [row[0] for row in self._database.rows(query, namespace, low, high, limit)]

        return [Begun(f"{namespace}/{found.text}", found.whole) for found in _bounded(between, name, most)]

    def functions(self, most: int) -> list[str]:
        """Functions of which evaluations are kept, by name."""
        found: list[str] = []
        query = "SELECT MIN(function) FROM evaluations WHERE function > ?"
        while len(found) < most and (name := self._database.rows(query, found[-1] if found else "")[0][0]) is not None:
            found.append(name)
        return found

    def owned(self, prefix: str, most: int) -> dict[Digest, str]:
        """The digests that begin so and that refs hold, each with the name of one; none where there are more."""
        query = "SELECT digest, namespace, name FROM refs WHERE digest BETWEEN ? AND ? ORDER BY digest LIMIT ?"
        rows = self._database.rows(query, *_bounds(prefix), most + 1)
        return {Digest(row[0]): f"{row[1]}/{row[2]}" for row in rows} if len(rows) <= most else {}

    def objects(self, prefix: str, most: int) -> set[Digest]:
        """The objects whose digests begin so; none where there are more."""
        low, high = _bounds(prefix)
        query = "SELECT digest FROM files WHERE digest BETWEEN ? AND ? LIMIT ?"
        found = {Digest(row[0]) for row in self._database.rows(query, low, high, most + 1)}
        found.update(self._inbox.between(low, high, most + 1))
        for index in self._packset.indexes().values():
            found.update(islice(index.find_prefix(low, high), most + 1))
        return found if len(found) <= most else set()

    def tree(self, digest: Digest) -> bytes | None:
        """The content of a tree; None where it is not here, or large."""
        for index in self._packset.indexes().values():
            with contextlib.suppress(MalformedObject):
                if location := index.find(digest):
                    return self._packset.read(location) if location.length <= _LARGEST_TREE else None
        return self._inbox.read(digest)


def _bounds(prefix: str) -> tuple[bytes, bytes]:
    return bytes.fromhex(prefix.ljust(64, "0")), bytes.fromhex(prefix.ljust(64, "f"))


def _bounded(between: Callable[[str, str, int], list[str]], prefix: str, most: int) -> list[Begun]:
    """Names that begin with `prefix`; where there are more than `most`, how they go on.

    `between` gives the first so many from one name on and before another, ascending; `most` is at least 2.
    """
    found = between(prefix, _after(prefix), most + 1)
    if len(found) <= most:
        return [Begun(name) for name in found]
    heads = list(islice(_heads(between, prefix), most))
    if len(heads) == 1:
        return _bounded(between, heads[0], most)
    return [Begun(head, head == prefix) for head in heads]


def _heads(between: Callable[[str, str, int], list[str]], prefix: str) -> Iterator[str]:
    low = prefix
    while first := between(low, _after(prefix), 1):
        head = first[0][: len(prefix) + 1]
        yield head
        low = f"{prefix}\0" if head == prefix else _after(head)


def _after(prefix: str) -> str:
    """What comes after every name that begins so; names are printable ASCII."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else _LAST
