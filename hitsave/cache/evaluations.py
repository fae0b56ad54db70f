"""The index of evaluations: what their objects say, in columns, so that a lookup reads none of them.

Nothing depends on it but speed. An evaluation that is published here gets its row in the same transaction. One that
came otherwise, by a pull or an `undo`, is noted in the table `unindexed`, and is read when somebody first asks. A row
counts only with a ref that holds the evaluation, and goes with it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any, NamedTuple

from hitsave.cache.database import Database
from hitsave.errors import MalformedObject
from hitsave.objects.digest import Digest
from hitsave.objects.evaluation import Evaluation, decode_evaluation
from hitsave.objects.refs import (
    Namespace,
    RefName,
    acceptances_prefix,
    evaluation_prefix,
    parse_evaluation_name,
    unquote_name,
)

_AT_ONCE = 2000
#: Evaluations that are read together, some 30 MB: they lie in blocks, and come here by their digests.
_READ_AT_ONCE = 50_000
_COLUMNS = "refs.name, refs.digest, function, code, arguments, started, elapsed, size, experiment"
# A cross join is carried out in the order in which it is written. Left to choose, SQLite reads all refs first.
_OWNED = (
    f"SELECT {_COLUMNS} FROM evaluations CROSS JOIN refs "
    "WHERE refs.digest = evaluations.digest AND +refs.namespace = 'evaluations'"
)
_BY_NAME = (
    f"SELECT {_COLUMNS} FROM refs CROSS JOIN evaluations "
    "WHERE refs.digest = evaluations.digest AND refs.namespace = 'evaluations'"
)
_NEWEST_FIRST = "ORDER BY started DESC, evaluations.id DESC"
# From each value to the next one by the index, instead of over all rows.
_DISTINCT_FUNCTIONS = (
    "WITH RECURSIVE known(value) AS (SELECT MIN(function) FROM evaluations UNION ALL "
    "SELECT (SELECT MIN(function) FROM evaluations WHERE function > value) FROM known WHERE value IS NOT NULL) "
    "SELECT value FROM known WHERE value IS NOT NULL"
)
_DISTINCT_CODES = (
    "WITH RECURSIVE known(value) AS (SELECT MIN(code) FROM evaluations WHERE function = ?1 UNION ALL "
    "SELECT (SELECT MIN(code) FROM evaluations WHERE function = ?1 AND code > value) FROM known "
    "WHERE value IS NOT NULL) SELECT value FROM known WHERE value IS NOT NULL"
)


class EvaluationRow(NamedTuple):
    """What is known of an evaluation without reading it.

    `name` is the ref that owns it, `digest` its own; `function` is module and name of the function; `key`, `code` and
    `arguments` are the digests by which a call finds it. `started` is in microseconds since 1970, `elapsed` in
    microseconds, `size` the bytes of the result; `experiment` whether `@experiment` made it.
    """

    name: RefName
    digest: Digest
    function: str
    key: bytes
    code: Digest
    arguments: Digest
    started: int
    elapsed: int
    size: int
    experiment: bool


class FunctionTotals(NamedTuple):
    """What the evaluations of one function come to; `elapsed` and `last` in microseconds, `size` in bytes."""

    function: str
    evaluations: int
    experiments: int
    elapsed: int
    size: int
    last: int


class Chosen(NamedTuple):
    """Which evaluations are wanted: all that are as is said. Times are in microseconds since 1970."""

    function: str | None = None
    code: Digest | None = None
    since: int | None = None
    before: int | None = None
    experiments: bool = False


class Order(Enum):
    """In which order evaluations are listed; the value is the order's SQL."""

    TIME = "started DESC, evaluations.id DESC"
    ELAPSED = "elapsed DESC, started DESC, evaluations.id DESC"
    SIZE = "size DESC, started DESC, evaluations.id DESC"
    FUNCTION = "function, started DESC, evaluations.id DESC"


class EvaluationIndex:
    """Lookups. `read_many` gives the contents of those evaluations that are here and can be read."""

    def __init__(
        self, database: Database, read_many: Callable[[list[Digest]], Iterable[tuple[Digest, bytes | memoryview]]]
    ) -> None:
        self._database = database
        self._read_many = read_many

    def find(self, function: str, key: bytes) -> list[tuple[RefName, Digest]]:
        """The evaluations of one key, the newest first, by their refs alone."""
        low = evaluation_prefix(function, key)
        rows = self._database.rows(
            "SELECT name, digest, created FROM refs WHERE namespace = 'evaluations' AND name >= ? AND name < ?",
            low,
            _after(low),
        )
        if len(rows) > 1:
            self._sort(rows)
        return [(RefName(Namespace.EVALUATIONS, row[0]), Digest(row[1])) for row in rows]

    def _sort(self, rows: list[tuple[Any, ...]]) -> None:
        started = {}
        for _, digest, _ in rows:
            found = self._database.rows("SELECT started FROM evaluations WHERE digest = ?", digest)
            started[digest] = found[0][0] if found else 0
        rows.sort(key=lambda row: (row[2], started[row[1]], row[1]), reverse=True)

    def of(self, function: str) -> list[EvaluationRow]:
        """All of one function, the newest first."""
        return self._select(f"{_OWNED} AND function = ? {_NEWEST_FIRST}", function)

    def newest(self, function: str, limit: int) -> list[EvaluationRow]:
        """The newest of one function, the newest first."""
        return self._select(f"{_OWNED} AND function = ? {_NEWEST_FIRST} LIMIT ?", function, limit)

    def same_arguments(self, function: str, arguments: bytes, limit: int) -> list[EvaluationRow]:
        """Those with the same arguments, whatever the code; the newest first."""
        query = f"{_OWNED} AND arguments = ? AND +function = ? {_NEWEST_FIRST} LIMIT ?"
        return self._select(query, bytes(arguments), function, limit)

    def same_code(self, function: str, code: bytes, limit: int) -> list[EvaluationRow]:
        """Those with the same code, whatever the arguments; the newest first."""
        query = f"{_OWNED} AND function = ? AND code = ? {_NEWEST_FIRST} LIMIT ?"
        return self._select(query, function, bytes(code), limit)

    def functions(self) -> list[tuple[str, int]]:
        """Every function of which there are evaluations, and how many; by name."""
        rows = self._database.rows(
            "SELECT substr(name, 1, instr(name, '/') - 1) AS function, COUNT(*) FROM refs "
            "WHERE namespace = 'evaluations' AND substr(name, instr(name, '/') + 1, 9) != 'accepted-' "
            "GROUP BY function"
        )
        return sorted((unquote_name(function).decode("utf-8", "replace"), count) for function, count in rows)

    def names(self) -> list[str]:
        """Every function of which there are evaluations, by name; looked up one by one, whatever their number."""
        self._catch_up()
        return [row[0] for row in self._database.rows(_DISTINCT_FUNCTIONS)]

    def codes(self, function: str) -> list[EvaluationRow]:
        """The newest evaluation of each version of a function's code, the newest version first."""
        self._catch_up()
        found = [self.same_code(function, row[0], 1) for row in self._database.rows(_DISTINCT_CODES, function)]
        return sorted((rows[0] for rows in found if rows), key=lambda row: row.started, reverse=True)

    def count(self, function: str, code: bytes) -> int:
        """How many evaluations there are of one version of a function's code."""
        self._catch_up()
        query = "SELECT COUNT(*) FROM evaluations WHERE function = ? AND code = ?"
        return int(self._database.rows(query, function, bytes(code))[0][0])

    def sums(self, function: str) -> tuple[int, int, int]:
        """Of a function's evaluations without experiments: how many, the bytes of their results, the first start."""
        self._catch_up()
        query = (
            "SELECT COUNT(*), TOTAL(size), COALESCE(MIN(started), 0) FROM evaluations "
            "WHERE function = ? AND experiment = 0"
        )
        count, size, oldest = self._database.rows(query, function)[0]
        return count, int(size), oldest

    def totals(self) -> list[FunctionTotals]:
        """Every function with what its evaluations come to, the one that ran last first."""
        self._catch_up()
        rows = self._database.rows(
            "SELECT function, COUNT(*), SUM(experiment), TOTAL(elapsed), TOTAL(size), MAX(started) "
            "FROM evaluations GROUP BY function ORDER BY MAX(started) DESC, function"
        )
        return [FunctionTotals(name, *map(int, numbers)) for name, *numbers in rows]

    def listed(self, chosen: Chosen, order: Order, limit: int | None) -> list[EvaluationRow]:
        """Those that are chosen, in an order."""
        conditions = {
            "function = ?": chosen.function,
            "code = ?": chosen.code,
            "started >= ?": chosen.since,
            "started < ?": chosen.before,
            "experiment = ?": True if chosen.experiments else None,
        }
        used = {condition: value for condition, value in conditions.items() if value is not None}
        where = " AND ".join(used) or "TRUE"
        inner = f"SELECT * FROM evaluations WHERE {where} ORDER BY {order.value} LIMIT ?"
        return self._select(
            f"SELECT {_COLUMNS} FROM ({inner}) AS evaluations CROSS JOIN refs WHERE refs.digest = evaluations.digest "
            f"AND +refs.namespace = 'evaluations' ORDER BY {order.value}",
            *used.values(),
            -1 if limit is None else limit,
        )

    def acceptances(self, function: str) -> list[tuple[RefName, Digest]]:
        """The acceptances of a function by their refs alone, the newest first."""
        low = acceptances_prefix(function)
        rows = self._database.rows(
            "SELECT name, digest FROM refs WHERE namespace = 'evaluations' AND name >= ? AND name < ? "
            "ORDER BY created DESC, name",
            low,
            _after(low),
        )
        return [(RefName(Namespace.EVALUATIONS, name), Digest(digest)) for name, digest in rows]

    def all(self) -> Iterator[EvaluationRow]:
        """Every one, by its ref's name."""
        last = ""
        while rows := self._select(f"{_BY_NAME} AND refs.name > ? ORDER BY refs.name LIMIT ?", last, _AT_ONCE):
            yield from rows
            last = rows[-1].name.name

    def _select(self, query: str, *values: object) -> list[EvaluationRow]:
        self._catch_up()
        rows = self._database.rows(query, *values)
        return [found for row in rows if (found := _row(row)) is not None]

    # -- what came by other ways

    def _catch_up(self) -> None:
        """Index what was noted. What cannot be read stays noted: it may be repaired."""
        last = b""
        while rows := self._database.rows(
            "SELECT digest FROM unindexed WHERE digest > ? ORDER BY digest LIMIT ?", last, _READ_AT_ONCE
        ):
            last = rows[-1][0]
            self._index([Digest(row[0]) for row in rows])

    def _index(self, digests: list[Digest]) -> None:
        found: dict[Digest, bytes] = {}
        for digest, content in self._read_many(digests):
            found[digest] = bytes(content)
        if found:
            with self._database.writing() as connection:
                for digest, content in found.items():
                    add_row(connection, digest, content)
                    connection.execute("DELETE FROM unindexed WHERE digest = ?", (bytes(digest),))


def _after(prefix: str) -> str:
    """What comes after everything that begins with a prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _row(row: tuple[Any, ...]) -> EvaluationRow | None:
    name, digest, function, code, arguments, started, elapsed, size, experiment = row
    try:
        key = parse_evaluation_name(RefName(Namespace.EVALUATIONS, name)).key
    except ValueError:  # Somebody else's name, which no lookup finds.
        return None
    return EvaluationRow(
        RefName(Namespace.EVALUATIONS, name),
        Digest(digest),
        function,
        key,
        Digest(code),
        Digest(arguments),
        started,
        elapsed,
        size,
        bool(experiment),
    )


# -- inside write transactions


def first_with(connection: sqlite3.Connection, prefix: str, besides: Iterable[RefName]) -> RefName | None:
    """A ref in `evaluations` whose name begins so, other than those of `besides`."""
    known = {ref.name for ref in besides}
    query = "SELECT name FROM refs WHERE namespace = 'evaluations' AND name >= ? AND name < ? ORDER BY created, name"
    for (name,) in connection.execute(query, (prefix, _after(prefix))):
        if name not in known:
            return RefName(Namespace.EVALUATIONS, name)
    return None


def add_row(connection: sqlite3.Connection, digest: bytes, content: bytes) -> None:
    """Index an evaluation; nothing is done with an acceptance, or with what is neither."""
    try:
        evaluation = decode_evaluation(content)
    except MalformedObject:
        return
    if isinstance(evaluation, Evaluation):
        connection.execute(
            "INSERT OR IGNORE INTO evaluations(digest, function, code, arguments, started, elapsed, size, experiment) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                bytes(digest),
                evaluation.function,
                bytes(evaluation.code),
                bytes(evaluation.arguments),
                evaluation.started,
                evaluation.elapsed,
                min(evaluation.size, (1 << 63) - 1),
                int(evaluation.experiment),
            ),
        )


def note_unindexed(connection: sqlite3.Connection, digest: bytes) -> None:
    """Note that an evaluation's row is to be made, unless there is one."""
    connection.execute(
        "INSERT OR IGNORE INTO unindexed SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM evaluations WHERE digest = ?1)",
        (bytes(digest),),
    )


def drop_row(connection: sqlite3.Connection, digest: bytes) -> None:
    """Drop the row of an evaluation whose ref was dropped, unless another ref holds it."""
    query = "SELECT 1 FROM refs WHERE digest = ? AND namespace = 'evaluations'"
    if connection.execute(query, (digest,)).fetchone() is None:
        connection.execute("DELETE FROM evaluations WHERE digest = ?", (digest,))
        connection.execute("DELETE FROM unindexed WHERE digest = ?", (digest,))
