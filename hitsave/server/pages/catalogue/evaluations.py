"""What the catalogue tells of evaluations: functions, versions of their code, and pages of what ran."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

from hitsave.objects.digest import Digest
from hitsave.objects.refs import Namespace, RefName
from hitsave.server.pages.catalogue.shown import ARGUMENTS, RESULT, Value
from hitsave.server.pages.catalogue.tables import Tables
from hitsave.server.pages.catalogue.where import COLUMNS, Condition, condition_sql

#: Counting goes no further than this.
MOST_COUNTED = 100_000


class FunctionRow(NamedTuple):
    """One function; times in microseconds, the last one since 1970; `size` in bytes."""

    function: str
    versions: int
    evaluations: int
    experiments: int
    elapsed: int
    size: int
    last: int


class VersionRow(NamedTuple):
    """One version of a function's code, and what ran of it; times in microseconds since 1970."""

    id: int
    code: Digest
    evaluations: int
    first: int
    last: int


class EvaluationRow(NamedTuple):
    """One evaluation: `started` in microseconds since 1970, `elapsed` in microseconds, `size` in bytes."""

    id: int
    digest: Digest
    function: str
    code: Digest
    started: int
    elapsed: int
    size: int
    experiment: bool
    by: str
    git: str
    python: str


class Chosen(NamedTuple):
    """Which evaluations are meant: of these versions (of all, where it is None), under all these conditions."""

    versions: tuple[int, ...] | None = None
    conditions: tuple[Condition, ...] = ()
    experiments: bool = False


class Plane(NamedTuple):
    """What points are made of: columns or paths of fields. With `categories`, `x` may be a text."""

    x: str
    y: str
    colour: str | None = None
    categories: bool = False


class Point(NamedTuple):
    """Two values of one evaluation, the text of the first, and what it is told apart by, where it has that."""

    digest: Digest
    x: float
    y: float
    text: str
    colour: Value | None
    version: int


class Sorting(NamedTuple):
    """By a column of evaluations or the path of a field, and which way."""

    name: str = "started"
    descending: bool = True

    @property
    def on_column(self) -> bool:
        """Whether it is by what every evaluation has."""
        return self.name in COLUMNS


#: Numbers that are written into a statement one by one; of more, it has a list.
_MOST_MARKS = 1000
_ROW = "e.id, o.digest, ver.function, ver.code, e.started, e.elapsed, e.size, e.experiment, e.by, e.git, e.python"
_JOINED = "JOIN objects o ON o.id = e.id JOIN versions ver ON ver.id = e.version"


class EvaluationTables:
    """Lookups of evaluations."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def functions(self) -> list[FunctionRow]:
        """Every function, the one that ran last first."""
        query = (
            "SELECT function, COUNT(*), SUM(n), SUM(experiments), SUM(elapsed), SUM(size), MAX(last) FROM versions "
            "JOIN (SELECT version, COUNT(*) n, SUM(experiment) experiments, TOTAL(elapsed) elapsed, TOTAL(size) size, "
            "MAX(started) last FROM evaluations GROUP BY version) ON version = versions.id "
            "GROUP BY function ORDER BY MAX(last) DESC, function"
        )
        with self._tables.reading() as connection:
            return [FunctionRow(name, *map(int, rest)) for name, *rest in connection.execute(query)]

    def versions(self, function: str) -> list[VersionRow]:
        """The versions of a function's code, the one that ran last first."""
        query = (
            "SELECT versions.id, code, COUNT(*), MIN(started), MAX(started) FROM versions "
            "JOIN evaluations ON version = versions.id WHERE function = ? GROUP BY versions.id "
            "ORDER BY MAX(started) DESC, versions.id DESC"
        )
        with self._tables.reading() as connection:
            rows = connection.execute(query, (function,)).fetchall()
        return [VersionRow(number, Digest(code), count, first, last) for number, code, count, first, last in rows]

    def newest_of(self, versions: Sequence[VersionRow]) -> list[Digest]:
        """The newest evaluation of each of some versions."""
        query = (
            "SELECT digest FROM evaluations e JOIN objects o ON o.id = e.id WHERE version = ? "
            "ORDER BY started DESC LIMIT 1"
        )
        with self._tables.reading() as connection:
            return [Digest(connection.execute(query, (version.id,)).fetchone()[0]) for version in versions]

    def paths(self, versions: Sequence[int]) -> list[str]:
        """The fields of versions: arguments first, then the result, each as the first evaluation had it."""
        within, values = _within(versions)
        query = f"SELECT path, MIN(id) FROM fields WHERE version IN {within} GROUP BY path ORDER BY 2"
        with self._tables.reading() as connection:
            found = [path for path, _ in connection.execute(query, values)]
        return sorted(found, key=lambda path: (not path.startswith(ARGUMENTS), path != RESULT and "." not in path))

    def numeric(self, versions: Sequence[int]) -> list[str]:
        """Those fields that have a finite number in some evaluation."""
        within, values = _within(versions)
        query = (
            f"SELECT path, MIN(id) FROM fields f WHERE version IN {within} AND EXISTS (SELECT 1 FROM "
            "field_values WHERE field = f.id AND number BETWEEN -1e300 AND 1e300) GROUP BY path ORDER BY 2"
        )
        with self._tables.reading() as connection:
            return [path for path, _ in connection.execute(query, values)]

    def count(self, chosen: Chosen, sorting: Sorting) -> int:
        """How many are listed in this order, at most 100,000; not those without the value that they are sorted by."""
        where, values = _where(chosen)
        join, more = _sort_join(sorting)
        query = f"SELECT COUNT(*) FROM (SELECT 1 FROM evaluations e {join} WHERE {where} LIMIT {MOST_COUNTED})"
        with self._tables.reading() as connection:
            return int(connection.execute(query, [*more, *values]).fetchone()[0])

    def page(self, chosen: Chosen, sorting: Sorting, offset: int, limit: int) -> list[EvaluationRow]:
        """Some of what is listed."""
        with self._tables.reading() as connection:
            return _rows(connection, _listed(connection, chosen, sorting, offset, limit))

    def listed(self, chosen: Chosen, sorting: Sorting, offset: int, limit: int) -> list[int]:
        """The same, by their numbers alone."""
        with self._tables.reading() as connection:
            return _listed(connection, chosen, sorting, offset, limit)

    def find(self, digest: Digest) -> EvaluationRow | None:
        """One evaluation."""
        query = f"SELECT {_ROW} FROM evaluations e {_JOINED} WHERE o.digest = ?"
        with self._tables.reading() as connection:
            row = connection.execute(query, (bytes(digest),)).fetchone()
        return _row(row) if row else None

    def values(self, evaluations: Sequence[int]) -> dict[int, dict[str, Value]]:
        """The values of evaluations, by their numbers and paths."""
        within, values = _within(evaluations)
        query = (
            "SELECT evaluation, path, text, number FROM field_values JOIN fields ON fields.id = field "
            f"WHERE evaluation IN {within}"
        )
        found: dict[int, dict[str, Value]] = {number: {} for number in evaluations}
        with self._tables.reading() as connection:
            for number, path, text, value in connection.execute(query, values):
                found[number][path] = Value(text, value)
        return found

    def points(self, chosen: Chosen, plane: Plane, most: int) -> list[Point]:
        """What is in a plane of the newest `most` evaluations that have a place there."""
        where, values = _where(chosen)
        x, y = _placed("x", plane.x, plane.categories), _placed("y", plane.y)
        colour = _Placed("NULL, NULL", "", []) if plane.colour is None else _placed("c", plane.colour, True, "LEFT")
        # The newest are found first: to look up the values of all of them would take long.
        newest = f"SELECT * FROM evaluations e WHERE {where} ORDER BY e.started DESC LIMIT ?"
        query = (
            f"SELECT o.digest, e.version, {x.columns}, {y.columns}, {colour.columns} FROM ({newest}) AS e "
            f"CROSS JOIN objects o ON o.id = e.id {x.join} {y.join} {colour.join}"
        )
        with self._tables.reading() as connection:
            rows = connection.execute(query, [*values, most, *x.values, *y.values, *colour.values]).fetchall()
        return [
            Point(
                Digest(digest), float(at or 0), float(value), str(text), None if of is None else Value(of, c), version
            )
            for digest, version, at, text, value, _, c, of in rows
        ]

    def ref_of(self, digest: Digest) -> RefName | None:
        """The ref that owns an evaluation; one of them, where there are several."""
        query = (
            "SELECT name FROM refs JOIN objects ON objects.id = object WHERE digest = ? AND namespace = 'evaluations' "
            "ORDER BY name LIMIT 1"
        )
        with self._tables.reading() as connection:
            row = connection.execute(query, (bytes(digest),)).fetchone()
        return RefName(Namespace.EVALUATIONS, row[0]) if row else None


class _Placed(NamedTuple):
    """The SQL of one value of a point: its number and text, the tables that have it, and their parameters."""

    columns: str
    join: str
    values: list[object]


def _placed(letter: str, name: str, texts: bool = False, way: str = "CROSS") -> _Placed:
    if name in COLUMNS:
        return _Placed(f"{COLUMNS[name]}, ''", "", [])
    number = "" if texts else f"AND v{letter}.number IS NOT NULL"
    join = (
        f"{way} JOIN fields f{letter} ON f{letter}.version = e.version AND f{letter}.path = ? "
        f"{way} JOIN field_values v{letter} ON v{letter}.evaluation = e.id AND v{letter}.field = f{letter}.id {number}"
    )
    return _Placed(f"v{letter}.number, v{letter}.text", join, [name])


def _listed(connection: sqlite3.Connection, chosen: Chosen, sorting: Sorting, offset: int, limit: int) -> list[int]:
    where, values = _where(chosen)
    join, more = _sort_join(sorting)
    way = "DESC" if sorting.descending else "ASC"
    keys = ("s.number", "s.text") if join else (COLUMNS[sorting.name],)
    order = ", ".join(f"{key} {way}" for key in (*keys, "e.id"))
    inner = f"SELECT e.id FROM evaluations e {join} WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"
    return [number for (number,) in connection.execute(inner, [*more, *values, limit, offset])]


def _rows(connection: sqlite3.Connection, ids: Sequence[int]) -> list[EvaluationRow]:
    within, values = _within(ids)
    query = f"SELECT {_ROW} FROM evaluations e {_JOINED} WHERE e.id IN {within}"
    found = {row[0]: _row(row) for row in connection.execute(query, values)}
    return [found[number] for number in ids]


def _row(row: Sequence[Any]) -> EvaluationRow:
    number, digest, function, code, started, elapsed, size, experiment, *rest = row
    return EvaluationRow(
        number, Digest(digest), function, Digest(code), started, elapsed, size, bool(experiment), *rest
    )


def _within(numbers: Sequence[int]) -> tuple[str, list[object]]:
    """What numbers must be in to be one of these, and its values: a statement has no more than 32,766."""
    if len(numbers) > _MOST_MARKS:
        return "(SELECT value FROM json_each(?))", [json.dumps([*numbers])]
    return f"({', '.join('?' * len(numbers))})", [*numbers]


def _where(chosen: Chosen) -> tuple[str, list[object]]:
    parts: list[str] = []
    values: list[object] = []
    if chosen.versions is not None:
        within, values = _within(chosen.versions)
        parts.append(f"e.version IN {within}")
    if chosen.experiments:
        parts.append("e.experiment = 1")
    for condition in chosen.conditions:
        test, more = condition_sql(condition)
        parts.append(test)
        values += more
    return " AND ".join(parts) or "TRUE", values


def _sort_join(sorting: Sorting) -> tuple[str, list[object]]:
    if sorting.on_column:
        return "", []
    join = (
        "JOIN fields sf ON sf.version = e.version AND sf.path = ? "
        "JOIN field_values s ON s.field = sf.id AND s.evaluation = e.id"
    )
    return join, [sorting.name]
