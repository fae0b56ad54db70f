"""The cache's database: refs, what is known of whole files and of working files, and the log of operations.

All that must be decided together is decided in one write transaction: whoever publishes a ref checks in the same
transaction that everything it relies on is there, and a collection takes away in one transaction, so that neither
can slip between the other's look and deed. Writers wait for each other; readers never do.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hitsave.cache.files import is_network_folder, make_empty
from hitsave.cache.forking import UNDIVIDED
from hitsave.cache.lost import describe_loss, is_loss
from hitsave.cache.room import is_full, what_failed
from hitsave.errors import CacheError

SCHEMA_VERSION = 4
_WAIT_SECONDS = 3600.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refs(
    namespace TEXT NOT NULL, name TEXT NOT NULL, digest BLOB NOT NULL, kind INTEGER NOT NULL,
    created INTEGER NOT NULL, by TEXT NOT NULL, path TEXT NOT NULL, git TEXT NOT NULL,
    partial INTEGER NOT NULL, PRIMARY KEY (namespace, name)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS refs_by_digest ON refs(digest);
CREATE TABLE IF NOT EXISTS indexes(name BLOB PRIMARY KEY, entries INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files(
    digest BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, derived INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_size ON files(size);
CREATE TABLE IF NOT EXISTS stats(
    directory BLOB PRIMARY KEY, signature BLOB NOT NULL, tree BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS places(path BLOB PRIMARY KEY, version BLOB NOT NULL, parts TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS operations(
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, time INTEGER NOT NULL, undone INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS dropped_refs(
    operation INTEGER NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, digest BLOB NOT NULL,
    kind INTEGER NOT NULL, created INTEGER NOT NULL, by TEXT NOT NULL, path TEXT NOT NULL, git TEXT NOT NULL,
    partial INTEGER NOT NULL, PRIMARY KEY (operation, namespace, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trash(
    operation INTEGER NOT NULL, item TEXT NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, derived INTEGER NOT NULL, PRIMARY KEY (operation, item)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS inbox(
    id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, kind INTEGER NOT NULL, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS damaged(
    digest BLOB NOT NULL, pack BLOB NOT NULL, PRIMARY KEY (digest, pack)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holds(
    token TEXT NOT NULL, digest BLOB NOT NULL, kind INTEGER NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL,
    started TEXT NOT NULL, created INTEGER NOT NULL, PRIMARY KEY (token, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS evaluations(
    id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, function TEXT NOT NULL, code BLOB NOT NULL,
    arguments BLOB NOT NULL, started INTEGER NOT NULL, elapsed INTEGER NOT NULL, size INTEGER NOT NULL,
    experiment INTEGER NOT NULL, project TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS evaluations_by_arguments ON evaluations(arguments);
CREATE INDEX IF NOT EXISTS evaluations_by_code ON evaluations(function, code, started, project);
CREATE INDEX IF NOT EXISTS evaluations_by_time ON evaluations(function, started, project);
CREATE TABLE IF NOT EXISTS unindexed(digest BLOB PRIMARY KEY) WITHOUT ROWID;
"""
#: What brings a database of an earlier version up to this one, besides tables that were not there: rows of evaluations
#: are to be made where there are none, and those of version 2 and 3 lack the project.
_MIGRATION = """
INSERT OR IGNORE INTO unindexed
    SELECT digest FROM refs WHERE namespace = 'evaluations' AND digest NOT IN (SELECT digest FROM evaluations);
UPDATE evaluations SET project = COALESCE((
    SELECT substr(path, 1, instr(path, '/') - 1) FROM refs
    WHERE refs.digest = evaluations.digest AND namespace = 'evaluations' AND path != ''), '');
"""
_WITHOUT_PROJECT = """
DROP INDEX IF EXISTS evaluations_by_code;
DROP INDEX IF EXISTS evaluations_by_time;
ALTER TABLE evaluations ADD COLUMN project TEXT NOT NULL DEFAULT '';
"""

_open_databases: weakref.WeakSet[Database] = weakref.WeakSet()


class Database:
    """Connections to one database file: one for each thread, opened on first use.

    None is carried across a fork by the thread that forks: SQLite keeps the books on a process's locks in memory, so
    that a child which inherits them believes that it holds locks which it does not, and can lose what it commits.
    """

    def __init__(
        self,
        path: Path,
        before_writing: Callable[[Database], None] | None = None,
        before_creating: Callable[[], None] | None = None,
    ) -> None:
        """Opens and prepares the file. `before_writing` runs at the start of every write transaction.

        `before_creating` runs before an empty file becomes a database, and may refuse it.
        """
        self._path = path
        self._local = threading.local()
        self._serials = itertools.count()
        self._before_writing = before_writing
        self._before_creating = before_creating
        self._network = is_network_folder(path.parent)
        self._prepare()
        _open_databases.add(self)

    def _prepare(self) -> None:
        make_empty(self._path)
        try:
            self._try_until_free(lambda: self._set_up(self.connection))
        except sqlite3.Error as error:
            raise self._failure("used", error) from None

    def _set_up(self, connection: sqlite3.Connection) -> None:
        # A write-ahead log needs memory shared between processes, which network file systems do not give.
        mode = "TRUNCATE" if self._network else "WAL"
        if not self._is_read_only and connection.execute("PRAGMA journal_mode").fetchone()[0] != mode.lower():
            connection.execute(f"PRAGMA journal_mode={mode}")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise CacheError(f"{self._path}: was written by a newer hitsave (format {version}); upgrade this one")
        if version < SCHEMA_VERSION:
            self._create(connection)

    def _create(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have been quicker, and have stored something since.
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version < SCHEMA_VERSION:
                if version == 0 and self._before_creating is not None:
                    self._before_creating()
                columns = [row[1] for row in connection.execute("PRAGMA table_info(evaluations)")]
                migration = _WITHOUT_PROJECT if columns and "project" not in columns else ""
                for statement in (migration + _SCHEMA + _MIGRATION).split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.rollback()
            raise

    def _try_until_free(self, action: Callable[[], None]) -> None:
        # Switching the journal mode does not wait by itself as other statements do.
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                return action()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) and "busy" not in str(error):
                    raise
                if self.connection.in_transaction:
                    self.connection.rollback()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit mode."""
        if self._is_read_only and not is_full(self._path.parent):
            self.close()  # Somebody has made room, and may write.
        if getattr(self._local, "pid", None) != os.getpid():
            try:
                with UNDIVIDED:
                    connection = self._connect()
            except sqlite3.Error as error:
                raise self._failure("opened", error) from None
            self._local.connection = connection
            self._local.serial = next(self._serials)
            self._local.pid = os.getpid()
        found: sqlite3.Connection = self._local.connection
        return found

    @property
    def _is_read_only(self) -> bool:
        return getattr(self._local, "read_only", False)

    def _connect(self) -> sqlite3.Connection:
        self._local.read_only = False
        connection = sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous=FULL")
        except sqlite3.OperationalError:
            connection.close()
            if not is_full(self._path.parent) or self._has_log():
                raise
            # There is no room for the memory that processes share, so none has a log, and the file alone is all.
            uri = f"{self._path.as_uri()}?immutable=1"
            self._local.read_only = True
            return sqlite3.connect(uri, uri=True, isolation_level=None)
        return connection

    def _has_log(self) -> bool:
        log = self._path.with_name(f"{self._path.name}-wal")
        return log.exists() and log.stat().st_size > 0

    def _failure(self, what: str, error: sqlite3.Error) -> CacheError:
        if is_loss(error):
            return CacheError(describe_loss(self._path, f"is damaged ({error})"))
        reason = what_failed(error, self._path.parent)
        return CacheError(f"{self._path}: the cache's database cannot be {what} ({reason})")

    def close(self) -> None:
        """Close this thread's connection."""
        if getattr(self._local, "pid", None) == os.getpid():
            self._local.connection.close()
            del self._local.pid

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        try:
            return self.connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._failure("read", error) from None

    def named_rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """As `rows`, of a query that names its values, and need not use all of them."""
        try:
            return self.connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._failure("read", error) from None

    def close_before_fork(self) -> None:
        """Close this thread's connection, unless a transaction is under way; the next use opens another."""
        if getattr(self._local, "pid", None) == os.getpid() and not self._local.connection.in_transaction:
            self.close()

    @property
    def version(self) -> tuple[int, int]:
        """What changes when another connection has committed; means something to the thread that asked only."""
        number = int(self.rows("PRAGMA data_version")[0][0])
        return self._local.serial, number

    def settle(self) -> None:
        """Wait for whoever is writing, and take back what a dead writer left half done."""
        if not self.connection.in_transaction:
            with self.writing():
                pass

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A write transaction, after waiting for other writers; rolled back where the block raises."""
        connection = self.connection
        with UNDIVIDED:  # A forked child would find a writer who never ends.
            self._begin(connection)
            yield from self._transaction(connection)

    def _transaction(self, connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        try:
            if self._before_writing is not None:
                self._before_writing(self)
            yield connection
            connection.execute("COMMIT")
        except BaseException as error:
            self._roll_back(connection)
            if isinstance(error, sqlite3.Error):
                raise self._failure("written", error) from None
            raise

    def _begin(self, connection: sqlite3.Connection) -> None:
        try:
            if self._is_read_only:
                raise sqlite3.OperationalError("attempt to write a readonly database")
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise self._failure("written", error) from None

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        # `before_writing` takes back at once what belonged to the transaction. Where that fails, the next writer does.
        with suppress(sqlite3.Error, CacheError, OSError):
            if connection.in_transaction:
                connection.rollback()
            if self._before_writing is not None:
                connection.execute("BEGIN IMMEDIATE")
                self._before_writing(self)
                connection.execute("COMMIT")
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.rollback()

    def setting(self, key: str) -> str | None:
        """A small value that was kept under this key."""
        found = self.rows("SELECT value FROM settings WHERE key = ?", key)
        return found[0][0] if found else None

    def set_setting(self, key: str, value: str) -> None:
        """Keep a small value."""
        with self.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (key, value))


def _close_before_fork() -> None:
    for database in list(_open_databases):
        database.close_before_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_close_before_fork)
