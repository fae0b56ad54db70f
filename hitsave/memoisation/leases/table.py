"""Who computes what, in a small database that all processes share. Losing its contents costs double work at most.

Every method is one short statement of its own. They raise sqlite3.Error and OSError; `Leases` decides what then.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from hitsave.cache.files import is_network_folder, make_empty
from hitsave.cache.processes import Process

_WAIT_SECONDS = 10.0
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS leases(key BLOB PRIMARY KEY, token BLOB NOT NULL, host TEXT NOT NULL,"
    " pid INTEGER NOT NULL, began TEXT NOT NULL, beat INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS waits(token BLOB NOT NULL, key BLOB NOT NULL, PRIMARY KEY (token, key)) WITHOUT ROWID",
)
#: From the holder of a key along everything that holders wait for.
_BLOCKED = """
WITH RECURSIVE blocked(token) AS (
    SELECT token FROM leases WHERE key = ?
    UNION SELECT leases.token FROM blocked
        JOIN waits ON waits.token = blocked.token JOIN leases ON leases.key = waits.key)
SELECT token FROM blocked"""


class Held(NamedTuple):
    """A lease as the table has it. `beat` grows while its owner's process runs."""

    token: bytes
    owner: Process
    beat: int


class LeaseTable:
    """One connection, used by one thread at a time. It is closed before a fork, since none may cross it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    # -- leases

    def insert(self, key: bytes, token: bytes, owner: Process) -> bool:
        """Take a key that nobody holds; False where somebody does."""
        statement = "INSERT INTO leases VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING"
        return self._change(statement, key, token, *owner) == 1

    def replace(self, key: bytes, seen: Held, token: bytes, owner: Process) -> bool:
        """Take a key over from a holder who did not stir since it was `seen`; False where it did, or is another."""
        owned = "token = ?, host = ?, pid = ?, began = ?, beat = 0"
        statement = f"UPDATE leases SET {owned} WHERE key = ? AND token = ? AND beat = ?"
        return self._change(statement, token, *owner, key, seen.token, seen.beat) == 1

    def held(self, key: bytes) -> Held | None:
        """Who holds a key."""
        rows = self._rows("SELECT token, host, pid, began, beat FROM leases WHERE key = ?", key)
        return Held(rows[0][0], Process(*rows[0][1:4]), rows[0][4]) if rows else None

    def delete(self, key: bytes, token: bytes) -> None:
        """Let go of a key, unless it was taken over."""
        self._change("DELETE FROM leases WHERE key = ? AND token = ?", key, token)

    def beat(self, leases: Iterable[tuple[bytes, bytes]]) -> None:
        """Show that the owner of these keys and tokens lives."""
        for lease in leases:
            self._change("UPDATE leases SET beat = beat + 1 WHERE key = ? AND token = ?", *lease)

    # -- who waits for whom

    def begin_wait(self, tokens: Sequence[bytes], key: bytes) -> None:
        """Note that the holders of `tokens` go on only when `key` is free."""
        for token in tokens:
            self._change("INSERT OR IGNORE INTO waits VALUES (?, ?)", token, key)

    def end_wait(self, tokens: Sequence[bytes], key: bytes) -> None:
        """The opposite."""
        for token in tokens:
            self._change("DELETE FROM waits WHERE token = ? AND key = ?", token, key)

    def waits_for(self, tokens: Sequence[bytes], key: bytes) -> bool:
        """Whether the holder of `key` waits for one of `tokens`, itself or through others, or is one of them."""
        return any(row[0] in tokens for row in self._rows(_BLOCKED, key))

    # -- the connection

    def _change(self, statement: str, *values: object) -> int:
        with self._lock:
            return self._open().execute(statement, values).rowcount

    def _rows(self, query: str, *values: object) -> list[tuple[bytes, str, int, str, int]]:
        with self._lock:
            return self._open().execute(query, values).fetchall()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            make_empty(self.path)
            connection = sqlite3.connect(
                self.path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._set_up(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _set_up(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous=OFF")
        mode = "truncate" if is_network_folder(self.path.parent) else "wal"
        deadline = time.monotonic() + _WAIT_SECONDS
        while connection.execute("PRAGMA journal_mode").fetchone()[0] != mode:
            try:
                connection.execute(f"PRAGMA journal_mode={mode}")
                break
            except sqlite3.OperationalError:  # Another process does the same; SQLite does not wait for it here.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        for statement in _SCHEMA:
            connection.execute(statement)

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()

    def before_fork(self) -> None:
        """Keep every thread out, and close: SQLite's knowledge of its own locks must not be inherited."""
        self._lock.acquire()
        self.close()

    def after_fork(self) -> None:
        """Let threads in again, in the parent."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Begin anew."""
        self._lock = threading.RLock()
