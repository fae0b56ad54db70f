"""Objects that are files of their own: large blobs, and copies of small ones whose path was asked for ("derived").

A row says which size and time a file had when its content was known to be right. A file of which these differ is
hashed again, and set aside where its content is another's: links lead into the cache, and people edit through them.

A file that is not where its row says may be on its way: a collection moves files before it commits. Whoever wants to
call it lost looks again under the write lock, when all moves are either done or taken back.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from pathlib import Path
from typing import NamedTuple

from hitsave.cache.database import Database
from hitsave.cache.files import READ_ONLY, install, write_all
from hitsave.cache.hashing import hash_descriptor
from hitsave.cache.refs import doubt_all
from hitsave.errors import CorruptObject
from hitsave.objects.digest import Digest

_TRIES = 5
_QUERY_AT_ONCE = 500


class _Row(NamedTuple):
    size: int
    mtime_ns: int
    derived: int


def object_file(digest: bytes) -> str:
    """Where a whole object lies in the cache."""
    name = digest.hex()
    return f"objects/{name[:2]}/{name}"


class WholeFiles:
    """The whole files of one cache."""

    def __init__(self, root: Path, database: Database) -> None:
        self._root = os.fspath(root)
        self._database = database

    def recorded(self, digest: bytes) -> bool:
        """Whether the cache keeps such a file, without a look at it."""
        return self._row(digest) is not None

    def among(self, digests: list[Digest]) -> set[Digest]:
        """Those of `digests` of which the cache keeps a file, without a look at them."""
        found: set[Digest] = set()
        for at in range(0, len(digests), _QUERY_AT_ONCE):
            some = [bytes(digest) for digest in digests[at : at + _QUERY_AT_ONCE]]
            marks = ",".join("?" * len(some))
            rows = self._database.rows(f"SELECT digest FROM files WHERE digest IN ({marks})", *some)
            found.update(Digest(row[0]) for row in rows)
        return found

    def find(self, digest: Digest) -> Path | None:
        """The file of an object; None where none is kept. Raises CorruptObject where it was changed or is missing.

        It is then set aside: the next look finds none.
        """
        path = os.path.join(self._root, object_file(digest))
        for _ in range(_TRIES):
            row = self._row(digest)
            if row is None:
                return None
            found = _look(path)
            if found == (row.size, row.mtime_ns) or (found is not None and self._still_right(digest, path, found)):
                return Path(path)
            with self._database.writing() as connection:
                if self._row(digest) != row or _look(path) != found:
                    continue  # It was on its way, or changed once more.
                self._set_aside(connection, digest, path, bool(row.derived))
            reason = "its file is missing" if found is None else "its file was changed, and is in quarantine now"
            reason += "; 'hitsave add' of the intact file mends that, or 'hitsave fsck --repair' from a remote"
            raise CorruptObject(str(digest), path, reason)
        raise CorruptObject(str(digest), path, "its file changes while it is looked at")

    def derive(self, digest: Digest, content: bytes) -> Path:
        """Make a file of an object that lies in a pack."""
        temporary = os.path.join(self._root, "tmp", f"derive-{secrets.token_hex(8)}")
        target = os.path.join(self._root, object_file(digest))
        # Written under the write lock, so that a collection knows every such file that it sees for a left-over.
        with self._database.writing() as connection:
            if self._row(digest) is not None:
                return Path(target)  # Another process was quicker.
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), READ_ONLY)
            try:
                write_all(fd, content)
            except BaseException:
                os.unlink(temporary)
                raise
            finally:
                os.close(fd)
            install(temporary, target)
            found = os.stat(target)
            connection.execute(
                "INSERT INTO files VALUES (?, ?, ?, 1)", (bytes(digest), found.st_size, found.st_mtime_ns)
            )
        return Path(target)

    def _row(self, digest: bytes) -> _Row | None:
        rows = self._database.rows("SELECT size, mtime_ns, derived FROM files WHERE digest = ?", bytes(digest))
        return _Row(*rows[0]) if rows else None

    def _still_right(self, digest: Digest, path: str, found: tuple[int, int]) -> bool:
        if not _has_digest(path, digest):
            return False
        with self._database.writing() as connection:
            connection.execute("UPDATE files SET size = ?, mtime_ns = ? WHERE digest = ?", (*found, bytes(digest)))
        return True

    def set_aside(self, digest: Digest) -> bool:
        """Take a file that was found to be damaged out of the cache, unless it is right by now; whether it was not."""
        path = os.path.join(self._root, object_file(digest))
        row, found = self._row(digest), _look(path)
        if row is None or (found is not None and _has_digest(path, digest)):
            return False
        with self._database.writing() as connection:
            if self._row(digest) == row and _look(path) == found:
                self._set_aside(connection, digest, path, bool(row.derived))
        return True

    def _set_aside(self, connection: sqlite3.Connection, digest: Digest, path: str, derived: bool) -> None:
        connection.execute("DELETE FROM files WHERE digest = ?", (bytes(digest),))
        if not derived:
            doubt_all(connection)
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, os.path.join(self._root, "quarantine", f"{digest}.{secrets.token_hex(4)}"))


def _has_digest(path: str, digest: Digest) -> bool:
    try:
        with open(path, "rb") as file:
            return hash_descriptor(file.fileno()) == digest
    except FileNotFoundError:
        return False


def _look(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns
