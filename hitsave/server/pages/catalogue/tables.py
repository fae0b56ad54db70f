"""The tables of the catalogue, and connections to them.

Nothing depends on it but speed: refs, what evaluations say of themselves, and which object needs which. What digests
name never changes, so that a row is only ever added, or dropped when no ref leads to it any more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hitsave.errors import CacheError

#: A file with other tables is made anew.
_VERSION = 3
_WAIT_SECONDS = 60.0

_TABLES = """
CREATE TABLE settings(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE objects(
    id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, kind INTEGER NOT NULL, size INTEGER,
    known INTEGER NOT NULL DEFAULT 0);
CREATE INDEX objects_by_size ON objects(kind, size, id);
CREATE INDEX objects_unknown ON objects(kind) WHERE known = 0;
CREATE TABLE edges(
    parent INTEGER NOT NULL, name BLOB NOT NULL, child INTEGER NOT NULL, PRIMARY KEY (parent, name)) WITHOUT ROWID;
CREATE INDEX edges_by_child ON edges(child);
CREATE TABLE refs(
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL, object INTEGER NOT NULL,
    created INTEGER NOT NULL, by TEXT NOT NULL, path TEXT NOT NULL, git TEXT NOT NULL, UNIQUE (namespace, name));
CREATE INDEX refs_by_object ON refs(object);
CREATE INDEX refs_by_owner ON refs(namespace, owner, created);
CREATE TABLE versions(id INTEGER PRIMARY KEY, function TEXT NOT NULL, code BLOB NOT NULL, UNIQUE (function, code));
CREATE TABLE evaluations(
    id INTEGER PRIMARY KEY, version INTEGER NOT NULL, started INTEGER NOT NULL, elapsed INTEGER NOT NULL,
    size INTEGER NOT NULL, experiment INTEGER NOT NULL, by TEXT NOT NULL, git TEXT NOT NULL, python TEXT NOT NULL);
CREATE INDEX evaluations_by_start ON evaluations(started);
CREATE INDEX evaluations_by_version ON evaluations(version, started, experiment, elapsed, size);
CREATE INDEX evaluations_by_elapsed ON evaluations(version, elapsed);
CREATE INDEX evaluations_by_size ON evaluations(version, size);
CREATE TABLE fields(
    id INTEGER PRIMARY KEY, version INTEGER NOT NULL, path TEXT NOT NULL, UNIQUE (version, path));
CREATE TABLE field_values(
    evaluation INTEGER NOT NULL, field INTEGER NOT NULL, number REAL, text TEXT NOT NULL,
    PRIMARY KEY (evaluation, field)) WITHOUT ROWID;
CREATE INDEX values_by_number ON field_values(field, number, text);
"""


class Tables:
    """One catalogue's file. A connection is opened for each use: no thread is kept waiting for another's."""

    def __init__(self, path: Path) -> None:
        """Opens the file, and makes it where it is missing or of another version. Raises CacheError."""
        self._path = path
        try:
            self._prepare()
        except sqlite3.Error as error:
            raise CacheError(f"{path}: cannot be used for the pages ({error})") from None

    def _prepare(self) -> None:
        with self._connected() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN IMMEDIATE")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != _VERSION:
                drop = connection.execute("SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")
                for kind, name in drop.fetchall():
                    if kind == "table":
                        connection.execute(f'DROP TABLE "{name}"')
                for statement in _TABLES.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version={_VERSION}")
            connection.execute("COMMIT")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous=NORMAL")
            yield connection
        finally:
            connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state. Raises CacheError."""
        try:
            with self._connected() as connection:
                connection.execute("BEGIN")
                yield connection
        except sqlite3.Error as error:
            raise CacheError(f"{self._path}: cannot be read ({error})") from None

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A write transaction, after a wait for others; rolled back where the block raises. Raises CacheError."""
        try:
            with self._connected() as connection:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        connection.rollback()
                    raise
        except sqlite3.Error as error:
            raise CacheError(f"{self._path}: cannot be written ({error})") from None
