"""A table of evaluations: which columns it has, and how it is sorted and filtered. Pure.

What is asked for comes as the parameters of an address.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from blake3 import blake3
from starlette.datastructures import QueryParams

from hitsave.server.pages.catalogue.evaluations import EvaluationRow, Sorting
from hitsave.server.pages.catalogue.shown import ARGUMENTS, RESULT, Value
from hitsave.server.pages.catalogue.where import BadFilter, Condition, parse_filter
from hitsave.server.words import show_number

#: Columns that are shown where nobody has chosen.
_MOST_ARGUMENTS, _MOST_RESULTS = 5, 6
_MOST_COLUMNS = 40
#: So many of the newest evaluations say what a column is like.
SAMPLED = 200
#: A text with no more values than this is a category.
_MOST_CATEGORIES = 12
_SORTABLE = ("started", "elapsed", "size")
#: Numbers, which are texts since they have no place in an order.
_NO_NUMBERS = ("nan", "inf", "-inf")


class Cell(NamedTuple):
    """What stands in a table: a text, perhaps shortened, and whether it is a number."""

    text: str
    numeric: bool


class Row(NamedTuple):
    """One evaluation, and its cells in the order of the columns."""

    evaluation: EvaluationRow
    cells: tuple[Cell, ...]


class Column(NamedTuple):
    """A column: its path, what stands above it, and whether it is an argument."""

    path: str
    label: str
    argument: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for. `problem` says what of it cannot be understood.

    `untouched` is the seal of the columns where nobody has chosen others: a form sends it along with them.
    """

    conditions: tuple[Condition, ...]
    sorting: Sorting
    columns: tuple[Column, ...]
    problem: str = ""
    untouched: str = ""


class Kind(NamedTuple):
    """What a column is like in a sample: how many have it, how many values it has, and whether some are texts."""

    there: int
    distinct: int
    texts: bool


class Sample:
    """What columns are like, by the values of some evaluations."""

    def __init__(self, values: Iterable[Mapping[str, Value]]) -> None:
        found: dict[str, list[Value]] = {}
        self.size = 0
        for self.size, each in enumerate(values, 1):
            for path, value in each.items():
                found.setdefault(path, []).append(value)
        self._kinds = {path: _kind(some) for path, some in found.items()}
        self._texts = {path: some[0].text for path, some in found.items()}

    def kind(self, path: str) -> Kind:
        """What a column is like."""
        return self._kinds.get(path, Kind(0, 0, False))

    def constants(self, paths: Iterable[str]) -> list[tuple[str, str]]:
        """What is the same in all, where they are several: arguments and numbers, each with its text."""
        if self.size < 2:
            return []
        return [(path, self._texts[path]) for path in paths if self._is_constant(path)]

    def _is_constant(self, path: str) -> bool:
        kind = self.kind(path)
        return (kind.there, kind.distinct) == (self.size, 1) and path != RESULT

    def categories(self, paths: Iterable[str]) -> list[str]:
        """Arguments that are texts, of few different values."""
        return [path for path in paths if _is_argument(path) and self._is_category(self.kind(path))]

    def varying(self, paths: Iterable[str]) -> list[str]:
        """Arguments that are not the same everywhere, and that evaluations can be told apart by."""
        found = [path for path in paths if _is_argument(path)]
        return [path for path in found if (kind := self.kind(path)).distinct > 1 and self._groups(kind)]

    def _groups(self, kind: Kind) -> bool:
        return not kind.texts or self._is_category(kind)

    def _is_category(self, kind: Kind) -> bool:
        return kind.texts and kind.distinct <= _MOST_CATEGORIES


def _kind(values: Sequence[Value]) -> Kind:
    texts = any(value.number is None and value.text not in _NO_NUMBERS for value in values)
    return Kind(len(values), len({value.text for value in values}), texts)


def _is_argument(path: str) -> bool:
    return path.startswith(ARGUMENTS) and path.count(".") == 1


def parse_asked(query: QueryParams, paths: Sequence[str], sample: Sample) -> Asked:
    """What the parameters of an address ask for, where these fields are known."""
    problem = ""
    conditions: list[Condition] = []
    try:
        conditions = parse_filter(query.get("where", "")[:1000], paths)
    except BadFilter as error:
        problem = str(error)
    name = query.get("sort", "started")
    known = name in _SORTABLE or name in paths
    sorting = Sorting(name if known else "started", query.get("way", "down") != "up")
    chosen = [path for path in query.getlist("column") if path in paths][:_MOST_COLUMNS]
    # A form sends the columns that it showed. Who has left them alone wants those that fit other evaluations as well.
    untouched = not chosen or query.get("untouched") == _seal(query.getlist("column"))
    columns = default_columns(paths, sample) if untouched else chosen
    seal = _seal(columns) if untouched else ""
    return Asked(tuple(conditions), sorting, tuple(map(column_of, columns)), problem, seal)


def _seal(columns: Iterable[str]) -> str:
    """What is another one where the columns are others."""
    return blake3("\n".join(sorted(columns)).encode("utf-8", "replace")).hexdigest(8)


def default_columns(paths: Sequence[str], sample: Sample) -> list[str]:
    """Some arguments, and some values of the result: those that tell evaluations apart, and that most of them have."""
    same = dict(sample.constants(paths))
    arguments = [path for path in paths if _is_argument(path) and path not in same]
    results = [path for path in paths if not path.startswith(ARGUMENTS) and path not in same]
    # What has values of its own needs no summary beside them.
    inner = [path for path in results if path != RESULT]
    if not inner and any(path.startswith(f"{RESULT}.") for path in same):
        results = []
    return _common(arguments, sample, _MOST_ARGUMENTS) + _common(inner or results, sample, _MOST_RESULTS)


def _common(paths: Sequence[str], sample: Sample, most: int) -> list[str]:
    """Of `most` columns, first those that not only a few have; in their order."""
    greatest = max((sample.kind(path).there for path in paths), default=0)
    chosen = set(sorted(paths, key=lambda path: sample.kind(path).there < greatest / 2)[:most])
    return [path for path in paths if path in chosen]


def column_of(path: str) -> Column:
    """A column by its path."""
    if path.startswith(ARGUMENTS):
        return Column(path, path.removeprefix(ARGUMENTS), True)
    return Column(path, path.removeprefix(f"{RESULT}."), False)


def tabulate(
    rows: Sequence[EvaluationRow], values: Mapping[int, Mapping[str, Value]], columns: Sequence[Column]
) -> list[Row]:
    """Rows with their cells."""
    return [Row(row, tuple(cell_of(values[row.id].get(column.path)) for column in columns)) for row in rows]


def column_classes(rows: Sequence[Row], count: int) -> list[str]:
    """How each of `count` columns stands, heading and cells: as numbers, where it has some and nothing else."""
    columns = [[cell for row in rows if (cell := row.cells[at]).text] for at in range(count)]
    return ["number" if cells and all(cell.numeric for cell in cells) else "text" for cells in columns]


def cell_of(value: Value | None) -> Cell:
    """What stands for a value; nothing for none."""
    if value is None:
        return Cell("", False)
    if value.number is None:
        return Cell(value.text, value.text in _NO_NUMBERS)
    whole = value.text.lstrip("-").isdigit()
    return Cell(value.text if whole and len(value.text) < 16 else show_number(value.number), True)
