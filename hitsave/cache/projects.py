"""Under which name a workspace last owned what is in the cache: a project's name follows its folder, or its repository.

A note by the folder's path, and one by what the file system knows the folder by, which stays when it is moved.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hitsave.cache.database import Database
from hitsave.cache.evaluationrows import rename_project as rename_in_rows
from hitsave.cache.refs import WHOLE

_BY_PATH, _BY_FOLDER = "project at ", "project of folder "


class Noted(NamedTuple):
    """A project's name, where it stood, and whether that is the very folder that was asked about."""

    project: str
    path: str
    same_folder: bool


def noted_project(database: Database, root: Path) -> Noted | None:
    """The name that a workspace had, or that of one which stood elsewhere and was moved here."""
    folder = _folder(root)
    here = _read(database, _BY_PATH + os.fspath(root))
    if here is not None and here[1] == folder:
        return Noted(here[0], os.fspath(root), True)
    moved = _read(database, _BY_FOLDER + folder)
    if moved is not None and not os.path.lexists(moved[1]):
        return Noted(*moved, same_folder=False)  # The number of a folder that was deleted may be another's now.
    return None if here is None else Noted(here[0], os.fspath(root), False)


def note_project(database: Database, root: Path, project: str) -> None:
    """Note the name that a workspace has now."""
    folder = _folder(root)
    before = _read(database, _BY_FOLDER + folder)
    rows = (
        (_BY_PATH + os.fspath(root), json.dumps([project, folder])),
        (_BY_FOLDER + folder, json.dumps([project, os.fspath(root)])),
    )
    with database.writing() as connection:
        if before is not None and not os.path.lexists(before[1]):
            connection.execute("DELETE FROM settings WHERE key = ?", (_BY_PATH + before[1],))
        connection.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", rows)


def stands_elsewhere(database: Database, project: str, root: Path) -> bool:
    """Whether another workspace that is still there had this name, too."""
    rows = database.rows("SELECT key, value FROM settings WHERE key GLOB ?", _BY_PATH + "*")
    others = [key.removeprefix(_BY_PATH) for key, value in rows if json.loads(value)[0] == project]
    return any(other != os.fspath(root) and os.path.isdir(other) for other in others)


def rename_owner(connection: sqlite3.Connection, old: str, new: str, keep: bool = False) -> int:
    """Give the datasets whose names begin with `old` such as begin with `new`, inside a transaction; how many.

    With `keep`, another workspace goes on with the old ones. What is owned by either stays so.
    """
    query = "SELECT name, partial FROM refs WHERE namespace = 'datasets' AND substr(name, 1, ?) = ?"
    found = connection.execute(query, (len(old), old)).fetchall()
    for name, partial in found:
        renamed = new + name[len(old) :]
        connection.execute(
            "INSERT OR IGNORE INTO refs SELECT namespace, ?, digest, kind, created, by, ?, git, partial FROM refs "
            "WHERE namespace = 'datasets' AND name = ?",
            (renamed, renamed.rpartition("@")[0], name),
        )
        if partial == WHOLE:
            query = "UPDATE refs SET partial = ? WHERE namespace = 'datasets' AND name = ?"
            connection.execute(query, (WHOLE, renamed))
    if not keep:
        connection.executemany("DELETE FROM refs WHERE namespace = 'datasets' AND name = ?", [row[:1] for row in found])
    return len(found)


def rename_project(connection: sqlite3.Connection, old: str, new: str) -> int:
    """As `rename_owner` of all that a project has, also what `undo` may bring back, and where things were taken."""
    renamed = rename_owner(connection, old, new)
    values = (new, len(old) + 1, len(old), old)
    moved = connection.execute("UPDATE refs SET path = ? || substr(path, ?) WHERE substr(path, 1, ?) = ?", values)
    rename_in_rows(connection, old.rstrip("/"), new.rstrip("/"))
    for column, where in (("path", ""), ("name", " AND namespace = 'datasets'")):
        query = f"UPDATE OR IGNORE dropped_refs SET {column} = ? || substr({column}, ?) "
        connection.execute(f"{query} WHERE substr({column}, 1, ?) = ?{where}", values)
    return renamed + moved.rowcount


def versions_beneath(database: Database, prefix: str) -> Iterable[tuple[str, bytes]]:
    """What follows a project's prefix in the names of its datasets, with the digest of each version."""
    query = "SELECT name, digest FROM refs WHERE namespace = 'datasets' AND substr(name, 1, ?) = ?"
    for name, digest in database.rows(query, len(prefix), prefix):
        yield name.removeprefix(prefix).rpartition("@")[0], digest


def _folder(root: Path) -> str:
    try:
        found = os.stat(root)
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


def _read(database: Database, key: str) -> tuple[str, str] | None:
    value = database.setting(key)
    if value is None:
        return None
    first, second = json.loads(value)
    return first, second
