"""Refs in the cache's database, each with how much of what it needs is here.

A ref is WHOLE when everything it needs was here as it was published. It is PARTIAL when only a part was asked for (a
pull with --include), and DOUBTFUL when something, of whatever ref, was found to be lost since.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from hitsave.cache.database import Database
from hitsave.cache.evaluationrows import note_unindexed
from hitsave.errors import RefError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.refs import Namespace, Ref, RefName

WHOLE, PARTIAL, DOUBTFUL = 0, 1, 2
COLUMNS = "namespace, name, digest, kind, created, by, path, git"


def ref_of_row(row: tuple[Any, ...]) -> Ref:
    """The ref in a row of COLUMNS."""
    namespace, name, digest, kind, created, by, path, git = row
    return Ref(RefName(Namespace(namespace), name), Digest(digest), ObjectKind(kind), created, by, path, git)


def row_of_ref(ref: Ref) -> tuple[Any, ...]:
    """A row of COLUMNS."""
    return (
        ref.name.namespace.value,
        ref.name.name,
        bytes(ref.digest),
        int(ref.kind),
        ref.created,
        ref.by,
        ref.path,
        ref.git_commit,
    )


def all_refs(database: Database, namespace: Namespace | None = None) -> list[Ref]:
    """Every ref, or those of one namespace, by name."""
    where, values = ("WHERE namespace = ?", (namespace.value,)) if namespace else ("", ())
    return [ref_of_row(row) for row in database.rows(f"SELECT {COLUMNS} FROM refs {where} ORDER BY 1, 2", *values)]


def find_ref(database: Database, name: RefName) -> Ref | None:
    """The ref with this name."""
    query = f"SELECT {COLUMNS} FROM refs WHERE namespace = ? AND name = ?"
    rows = database.rows(query, name.namespace.value, name.name)
    return ref_of_row(rows[0]) if rows else None


def newest_version(database: Database, name: RefName) -> int:
    """When the youngest ref was created whose name differs in its version alone; in seconds since 1970, or 0."""
    prefix = name.name.rpartition("@")[0]
    query = "SELECT max(created) FROM refs WHERE namespace = ? AND name > ? AND name < ?"
    return database.rows(query, name.namespace.value, prefix + "@", prefix + "A")[0][0] or 0  # "A" follows "@".


def owned_whole(database: Database, digest: Digest) -> bool:
    """Whether some ref holds this object, and everything beneath it is here."""
    return bool(database.rows(f"SELECT 1 FROM refs WHERE digest = ? AND partial = {WHOLE} LIMIT 1", bytes(digest)))


def owned_in_part(database: Database, digest: Digest) -> bool:
    """Whether some ref holds this object, and each of them only a part of what is beneath it."""
    query = "SELECT DISTINCT partial FROM refs WHERE digest = ?"
    return database.rows(query, bytes(digest)) == [(PARTIAL,)]


def set_refs(connection: sqlite3.Connection, refs: Iterable[Ref], partial: bool) -> None:
    """Make refs, inside a transaction. One that exists with the same digest stays as it is, but may become whole.

    Raises RefError where a name holds another digest.
    """
    for ref in refs:
        row = row_of_ref(ref)
        query = "SELECT digest, partial FROM refs WHERE namespace = ? AND name = ?"
        found = connection.execute(query, row[:2]).fetchone()
        if found is None:
            connection.execute(
                "INSERT INTO refs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, PARTIAL if partial else WHOLE)
            )
            if ref.name.namespace is Namespace.EVALUATIONS:
                note_unindexed(connection, ref.digest)
        elif found[0] != ref.digest:
            raise RefError(f"{ref.name} holds {found[0].hex()} already")
        elif found[1] != WHOLE and not partial:
            connection.execute(f"UPDATE refs SET partial = {WHOLE} WHERE namespace = ? AND name = ?", row[:2])


def delete_refs(connection: sqlite3.Connection, names: Iterable[RefName]) -> None:
    """Take refs away for good, inside a transaction: those whose objects are lost."""
    rows = [(name.namespace.value, name.name) for name in names]
    connection.executemany("DELETE FROM refs WHERE namespace = ? AND name = ?", rows)


def doubt_all(connection: sqlite3.Connection) -> None:
    """Trust no ref to be whole, nor one that may come back: something that was here is lost."""
    connection.execute(f"UPDATE refs SET partial = {DOUBTFUL} WHERE partial = {WHOLE}")
    connection.execute(f"UPDATE dropped_refs SET partial = {DOUBTFUL} WHERE partial = {WHOLE}")
    bump_generation(connection)


def doubt(connection: sqlite3.Connection, name: RefName) -> None:
    """Trust one ref not to be whole."""
    connection.execute(
        f"UPDATE refs SET partial = {DOUBTFUL} WHERE partial = {WHOLE} AND namespace = ? AND name = ?",
        (name.namespace.value, name.name),
    )


def bump_generation(connection: sqlite3.Connection) -> None:
    """Tell intakes under way that something was taken out, or lost, since they began."""
    query = "INSERT INTO settings VALUES ('generation', '1') ON CONFLICT (key) DO UPDATE SET value = value + 1"
    connection.execute(query)
