"""The index of evaluations: what their objects say, in columns, so that a lookup reads none of them.

Nothing depends on it but speed. An evaluation that is published here gets its row in the same transaction. One that
came otherwise, by a pull or an `undo`, is noted in the table `unindexed`, and is read when somebody first asks. A row
counts only with a ref that holds the evaluation, and goes with it.

Functions of different projects may have the same name. Where a lookup takes a `project`, quoted as in refs' paths, it
sees the evaluations of that one, and those of which no project is known; without one, all. What counts as a result is
looked for by its key among all, since the key is the code's, and not the project's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any, NamedTuple

from hitsave.cache.database import Database
from hitsave.cache.evaluationrows import add_row, after_all, project_of
from hitsave.objects.digest import Digest
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
_COLUMNS = "refs.name, refs.digest, function, code, arguments, started, elapsed, size, experiment, project"
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
    "SELECT value FROM known WHERE value IS NOT NULL "
    "AND EXISTS (SELECT 1 FROM evaluations WHERE function = value{of_project})"
)
_DISTINCT_CODES = (
    "WITH RECURSIVE known(value) AS (SELECT MIN(code) FROM evaluations WHERE function = ? UNION ALL "
    "SELECT (SELECT MIN(code) FROM evaluations WHERE function = ? AND code > value) FROM known "
    "WHERE value IS NOT NULL) SELECT value FROM known WHERE value IS NOT NULL"
)


class Held(NamedTuple):
    """An evaluation by the ref that owns it; `foreign` where that is another project's."""

    name: RefName
    digest: Digest
    foreign: bool


class EvaluationRow(NamedTuple):
    """What is known of an evaluation without reading it.

    `name` is the ref that owns it, `digest` its own; `function` is module and name of the function; `key`, `code` and
    `arguments` are the digests by which a call finds it. `started` is in microseconds since 1970, `elapsed` in
    microseconds, `size` the bytes of the result; `experiment` whether `@experiment` made it; `project` that of the
    function's file, quoted as in refs' paths, or empty.
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
    project: str


class FunctionTotals(NamedTuple):
    """What a project's evaluations of one function come to; `elapsed` and `last` in microseconds, `size` in bytes."""

    function: str
    evaluations: int
    experiments: int
    elapsed: int
    size: int
    last: int
    project: str


class Chosen(NamedTuple):
    """Which evaluations are wanted: all that are as is said. Times are in microseconds since 1970."""

    function: str | None = None
    code: Digest | None = None
    since: int | None = None
    before: int | None = None
    experiments: bool = False
    project: str | None = None


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

    def find(self, function: str, key: bytes, project: str) -> list[Held]:
        """The evaluations of one key by their refs alone: the project's own first, then others', each the newest first.

        Those of which no project is known are everybody's own.
        """
        low = evaluation_prefix(function, key)
        rows = self._database.rows(
            "SELECT name, digest, created, path FROM refs WHERE namespace = 'evaluations' AND name >= ? AND name < ?",
            low,
            after_all(low),
        )
        if len(rows) > 1:
            self._sort(rows)
        found = [
            Held(RefName(Namespace.EVALUATIONS, name), Digest(digest), project_of(path) not in (project, ""))
            for name, digest, _, path in rows
        ]
        return sorted(found, key=lambda held: held.foreign) if len(found) > 1 else found

    def was_forgotten(self, function: str, key: bytes, project: str) -> bool:
        """Whether a project has forgotten an evaluation of this key, as far back as 'hitsave undo' knows."""
        low, path = evaluation_prefix(function, key), f"{project}/"
        query = (
            "SELECT 1 FROM operations CROSS JOIN dropped_refs WHERE operations.kind = 'forget' AND undone = 0 "
            "AND operation = operations.id AND namespace = 'evaluations' AND name >= ? AND name < ? "
            "AND substr(path, 1, ?) = ? LIMIT 1"
        )
        return bool(self._database.rows(query, low, after_all(low), len(path), path))

    def _sort(self, rows: list[tuple[Any, ...]]) -> None:
        started = {}
        for _, digest, *_ in rows:
            found = self._database.rows("SELECT started FROM evaluations WHERE digest = ?", digest)
            started[digest] = found[0][0] if found else 0
        rows.sort(key=lambda row: (row[2], started[row[1]], row[1]), reverse=True)

    def of(self, function: str, project: str | None = None) -> list[EvaluationRow]:
        """All of one function, the newest first."""
        query = f"{_OWNED} AND function = :function{_of_project(project)} {_NEWEST_FIRST}"
        return self._select(query, function=function, project=project)

    def newest(self, function: str, limit: int, project: str | None = None) -> list[EvaluationRow]:
        """The newest of one function, the newest first."""
        query = f"{_OWNED} AND function = :function{_of_project(project)} {_NEWEST_FIRST} LIMIT :limit"
        return self._select(query, function=function, limit=limit, project=project)

    def same_arguments(
        self, function: str, arguments: bytes, limit: int, project: str | None = None
    ) -> list[EvaluationRow]:
        """Those with the same arguments, whatever the code; the newest first."""
        which = f"arguments = :arguments AND +function = :function{_of_project(project)}"
        query = f"{_OWNED} AND {which} {_NEWEST_FIRST} LIMIT :limit"
        return self._select(query, function=function, arguments=bytes(arguments), limit=limit, project=project)

    def same_code(self, function: str, code: bytes, limit: int, project: str | None = None) -> list[EvaluationRow]:
        """Those with the same code, whatever the arguments; the newest first."""
        which = f"function = :function AND code = :code{_of_project(project)}"
        query = f"{_OWNED} AND {which} {_NEWEST_FIRST} LIMIT :limit"
        return self._select(query, function=function, code=bytes(code), limit=limit, project=project)

    def functions(self) -> list[tuple[str, int]]:
        """Every function of which there are evaluations, and how many; by name."""
        rows = self._database.rows(
            "SELECT substr(name, 1, instr(name, '/') - 1) AS function, COUNT(*) FROM refs "
            "WHERE namespace = 'evaluations' AND substr(name, instr(name, '/') + 1, 9) != 'accepted-' "
            "GROUP BY function"
        )
        return sorted((unquote_name(function).decode("utf-8", "replace"), count) for function, count in rows)

    def names(self, project: str | None = None) -> list[str]:
        """Every function of which there are evaluations, by name; looked up one by one, whatever their number."""
        self._catch_up()
        query = _DISTINCT_FUNCTIONS.format(of_project=_of_project(project))
        return [row[0] for row in self._database.named_rows(query, project=project)]

    def codes(self, function: str, project: str | None = None) -> list[EvaluationRow]:
        """The newest evaluation of each version of a function's code, the newest version first."""
        self._catch_up()
        codes = self._database.rows(_DISTINCT_CODES, function, function)
        found = [self.same_code(function, code, 1, project) for (code,) in codes]
        return sorted((rows[0] for rows in found if rows), key=lambda row: row.started, reverse=True)

    def count(self, function: str, code: bytes) -> int:
        """How many evaluations there are of one version of a function's code."""
        self._catch_up()
        query = "SELECT COUNT(*) FROM evaluations WHERE function = ? AND code = ?"
        return int(self._database.rows(query, function, bytes(code))[0][0])

    def sums(self, function: str, project: str | None = None) -> tuple[int, int, int]:
        """Of a function's evaluations without experiments: how many, the bytes of their results, the first start."""
        self._catch_up()
        query = (
            "SELECT COUNT(*), TOTAL(size), COALESCE(MIN(started), 0) FROM evaluations "
            f"WHERE function = :function AND experiment = 0{_of_project(project)}"
        )
        count, size, oldest = self._database.named_rows(query, function=function, project=project)[0]
        return count, int(size), oldest

    def totals(self, project: str | None = None) -> list[FunctionTotals]:
        """Every function of every project with what its evaluations come to, the one that ran last first."""
        self._catch_up()
        rows = self._database.named_rows(
            "SELECT function, COUNT(*), SUM(experiment), TOTAL(elapsed), TOTAL(size), MAX(started), project "
            f"FROM evaluations WHERE TRUE{_of_project(project)} "
            "GROUP BY function, project ORDER BY MAX(started) DESC, function, project",
            project=project,
        )
        return [
            FunctionTotals(function, number, experiments, int(elapsed), int(size), last, owner)
            for function, number, experiments, elapsed, size, last, owner in rows
        ]

    def listed(self, chosen: Chosen, order: Order, limit: int | None) -> list[EvaluationRow]:
        """Those that are chosen, in an order."""
        conditions = {
            "function = :function": chosen.function,
            "code = :code": chosen.code,
            "started >= :since": chosen.since,
            "started < :before": chosen.before,
            "experiment": chosen.experiments or None,
        }
        used = [condition for condition, value in conditions.items() if value is not None]
        where = (" AND ".join(used) or "TRUE") + _of_project(chosen.project)
        inner = f"SELECT * FROM evaluations WHERE {where} ORDER BY {order.value} LIMIT :limit"
        return self._select(
            f"SELECT {_COLUMNS} FROM ({inner}) AS evaluations CROSS JOIN refs WHERE refs.digest = evaluations.digest "
            f"AND +refs.namespace = 'evaluations' ORDER BY {order.value}",
            **chosen._asdict(),
            limit=-1 if limit is None else limit,
        )

    def acceptances(self, function: str, project: str) -> list[tuple[RefName, Digest]]:
        """A project's acceptances of a function by their refs alone, the newest first."""
        low = acceptances_prefix(function)
        rows = self._database.rows(
            "SELECT name, digest, path FROM refs WHERE namespace = 'evaluations' AND name >= ? AND name < ? "
            "ORDER BY created DESC, name",
            low,
            after_all(low),
        )
        own = [row for row in rows if project_of(row[2]) in (project, "")]
        return [(RefName(Namespace.EVALUATIONS, name), Digest(digest)) for name, digest, _ in own]

    def all(self) -> Iterator[EvaluationRow]:
        """Every one, by its ref's name."""
        last = ""
        query = f"{_BY_NAME} AND refs.name > :last ORDER BY refs.name LIMIT {_AT_ONCE}"
        while rows := self._select(query, last=last):
            yield from rows
            last = rows[-1].name.name

    def _select(self, query: str, **values: object) -> list[EvaluationRow]:
        self._catch_up()
        rows = self._database.named_rows(query, **values)
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
                    query = "SELECT path FROM refs WHERE digest = ? AND namespace = 'evaluations' ORDER BY path DESC"
                    path = connection.execute(query, (bytes(digest),)).fetchone()
                    add_row(connection, digest, content, "" if path is None else path[0])
                    connection.execute("DELETE FROM unindexed WHERE digest = ?", (bytes(digest),))


def _of_project(project: str | None) -> str:
    """A further condition. The index by which rows are found has the column, too."""
    return "" if project is None else " AND +evaluations.project IN (:project, '')"


def _row(row: tuple[Any, ...]) -> EvaluationRow | None:
    name, digest, function, code, arguments, started, elapsed, size, experiment, project = row
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
        project,
    )
