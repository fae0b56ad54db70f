"""What running calls hold: objects that nobody owns yet, and that a collection leaves alone all the same.

A hold is dropped in the transaction that publishes what owns the object, or when its process is gone. Safety does not
depend on it: whoever publishes checks, in the same transaction, that everything is still there. Without holds, though,
a long call would lose the snapshots that it takes to the next collection, and would have to run again.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable

from hitsave.cache.database import Database
from hitsave.cache.processes import Process, is_gone, this_process
from hitsave.objects.digest import Digest, ObjectKind

#: A hold that is older, in seconds, is dropped whether its process is there or not.
LONGEST_HOLD = 30 * 24 * 3600


def held_objects(database: Database) -> list[tuple[Digest, ObjectKind]]:
    """What is held, each once."""
    rows = database.rows("SELECT DISTINCT digest, kind FROM holds")
    return [(Digest(digest), ObjectKind(kind)) for digest, kind in rows]


def hold(connection: sqlite3.Connection, token: str, objects: Iterable[tuple[bytes, ObjectKind]]) -> None:
    """Hold objects for this process, inside a write transaction."""
    owner, now = this_process(), int(time.time())
    connection.executemany(
        "INSERT OR IGNORE INTO holds VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(token, bytes(digest), int(kind), *owner, now) for digest, kind in objects],
    )


def release(connection: sqlite3.Connection, token: str) -> None:
    """Drop all that is held under a token, inside a write transaction."""
    connection.execute("DELETE FROM holds WHERE token = ?", (token,))


def drop_dead_holds(database: Database, now: int) -> int:
    """Drop what processes hold that are gone, and what is held for too long at `now`. Returns how many objects."""
    query = "SELECT token, host, pid, started, MAX(created) FROM holds GROUP BY token, host, pid, started"
    dead = [
        (token, host, pid, started)
        for token, host, pid, started, created in database.rows(query)
        if created + LONGEST_HOLD < now or is_gone(Process(host, pid, started))
    ]
    if not dead:
        return 0
    with database.writing() as connection:
        query = "DELETE FROM holds WHERE token = ? AND host = ? AND pid = ? AND started = ?"
        return connection.executemany(query, dead).rowcount
