"""Renames that belong to a transaction: all of them hold, or none.

Order: the list of moves is written and synced, then the files are moved and their folders synced, then the transaction
commits. Whoever next begins a write transaction finds the list: where its transaction was committed the list is stale
and goes, otherwise its writer died or gave up, and every move is taken back. So the list is only ever touched by who
holds the write lock. Readers that miss a file take that lock once before they call it lost.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hitsave.cache.database import Database
from hitsave.cache.files import sync_all, sync_path

_KEY = "moves"


class MoveJournal:
    """The list of moves under way, in one file beside the database."""

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root)
        self._path = os.path.join(self._root, "moves.json")

    @property
    def pending(self) -> bool:
        """Whether there is a list, of a writer at work or of a dead one."""
        return os.path.exists(self._path)

    def recover(self, database: Database) -> None:
        """Take back the moves of a writer that died or gave up; to be called inside a write transaction."""
        if not os.path.exists(self._path):
            return
        with open(self._path, encoding="ascii") as file:
            text = file.read()
        try:
            record = json.loads(text)
        except ValueError:  # Torn: nothing was moved before the list was whole.
            os.unlink(self._path)
            return
        if database.setting(_KEY) != record["token"]:
            self._move_all([(target, source) for source, target in reversed(record["moves"])])
        os.unlink(self._path)

    def _move_all(self, moves: list[tuple[str, str]]) -> None:
        for source, target in moves:
            self._move(source, target)
        folders = {os.path.dirname(path) for move in moves for path in move}
        folders |= {os.path.dirname(folder) for folder in folders}
        sync_all(sorted(path for folder in folders if os.path.isdir(path := os.path.join(self._root, folder))))

    def _move(self, source: str, target: str) -> None:
        source, target = os.path.join(self._root, source), os.path.join(self._root, target)
        if os.path.lexists(source):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.replace(source, target)

    @contextmanager
    def moving(self, connection: sqlite3.Connection, moves: Iterable[tuple[str, str]]) -> Iterator[None]:
        """Carry out moves (paths within the cache) inside a transaction that the caller commits in the block."""
        listed = list(moves)
        token = secrets.token_hex(16)
        with open(self._path, "x", encoding="ascii") as file:
            json.dump({"token": token, "moves": listed}, file)
            file.flush()
            os.fsync(file.fileno())
        sync_path(self._root)
        connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (_KEY, token))
        self._move_all(listed)
        yield
