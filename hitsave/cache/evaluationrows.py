"""The rows of the index of evaluations, as they are written: inside the transactions that make and drop refs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from hitsave.errors import MalformedObject
from hitsave.objects.evaluation import Evaluation, decode_evaluation
from hitsave.objects.refs import Namespace, RefName


def after_all(prefix: str) -> str:
    """What comes after everything that begins with a prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def first_with(connection: sqlite3.Connection, prefix: str, besides: Iterable[RefName]) -> RefName | None:
    """A ref in `evaluations` whose name begins so, other than those of `besides`."""
    known = {ref.name for ref in besides}
    query = "SELECT name FROM refs WHERE namespace = 'evaluations' AND name >= ? AND name < ? ORDER BY created, name"
    for (name,) in connection.execute(query, (prefix, after_all(prefix))):
        if name not in known:
            return RefName(Namespace.EVALUATIONS, name)
    return None


def project_of(path: str) -> str:
    """The project in a ref's path, quoted as there; empty where none is known."""
    return path.partition("/")[0]


def add_row(connection: sqlite3.Connection, digest: bytes, content: bytes, path: str) -> None:
    """Index an evaluation; nothing is done with an acceptance, or with what is neither. `path` is that of its ref."""
    try:
        evaluation = decode_evaluation(content)
    except MalformedObject:
        return
    if isinstance(evaluation, Evaluation):
        connection.execute(
            "INSERT OR IGNORE INTO evaluations(digest, function, code, arguments, started, elapsed, size, experiment, "
            "project) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                bytes(digest),
                evaluation.function,
                bytes(evaluation.code),
                bytes(evaluation.arguments),
                evaluation.started,
                evaluation.elapsed,
                min(evaluation.size, (1 << 63) - 1),
                int(evaluation.experiment),
                project_of(path),
            ),
        )


def note_unindexed(connection: sqlite3.Connection, digest: bytes) -> None:
    """Note that an evaluation's row is to be made, unless there is one."""
    connection.execute(
        "INSERT OR IGNORE INTO unindexed SELECT ? WHERE NOT EXISTS (SELECT 1 FROM evaluations WHERE digest = ?)",
        (bytes(digest), bytes(digest)),
    )


def drop_row(connection: sqlite3.Connection, digest: bytes) -> None:
    """Drop the row of an evaluation whose ref was dropped, unless another ref holds it."""
    query = "SELECT 1 FROM refs WHERE digest = ? AND namespace = 'evaluations'"
    if connection.execute(query, (digest,)).fetchone() is None:
        connection.execute("DELETE FROM evaluations WHERE digest = ?", (digest,))
        connection.execute("DELETE FROM unindexed WHERE digest = ?", (digest,))


def rename_project(connection: sqlite3.Connection, old: str, new: str) -> None:
    """Follow a change of a project's name, quoted as in paths."""
    connection.execute("UPDATE evaluations SET project = ? WHERE project = ?", (new, old))
