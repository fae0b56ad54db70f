"""A table of evaluations: which columns it has, how it is sorted and filtered, and the chart of two of its columns.

What is asked for comes as the parameters of an address. Pure but for the catalogue that is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from starlette.datastructures import QueryParams

from hitsave.server.pages.catalogue.evaluations import Chosen, EvaluationRow, EvaluationTables, Sorting, VersionRow
from hitsave.server.pages.catalogue.shown import ARGUMENTS, RESULT, Value
from hitsave.server.pages.catalogue.where import BadFilter, Condition, parse_filter
from hitsave.server.pages.charts import Chart, Dot, scatter
from hitsave.server.words import show_number

#: Columns that are shown where nobody has chosen.
_MOST_ARGUMENTS, _MOST_RESULTS = 6, 6
_MOST_COLUMNS = 40
#: Evaluations in a chart.
MOST_POINTS = 2000
_SORTABLE = ("started", "elapsed", "size")
#: From the smallest to the largest value, where a logarithmic axis shows more.
_DECADES = 50
#: What can be on the axis of a chart besides values, in microseconds and bytes.
_AXES = ("started", "elapsed", "size")


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
    """What an address asks for. `problem` says what of it cannot be understood."""

    conditions: tuple[Condition, ...]
    sorting: Sorting
    columns: tuple[Column, ...]
    problem: str = ""

    @property
    def on_column(self) -> bool:
        """Whether it is sorted by what every evaluation has."""
        return self.sorting.name in _SORTABLE


def parse_asked(query: QueryParams, paths: Sequence[str]) -> Asked:
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
    return Asked(tuple(conditions), sorting, tuple(map(column_of, chosen or default_columns(paths))), problem)


def default_columns(paths: Sequence[str]) -> list[str]:
    """The first arguments, and the first values of the result."""
    arguments = [path for path in paths if path.startswith(ARGUMENTS)]
    plain = [path for path in arguments if path.count(".") == 1]
    results = [path for path in paths if not path.startswith(ARGUMENTS)]
    # What has values of its own needs no summary beside them.
    inner = [path for path in results if path != RESULT]
    return plain[:_MOST_ARGUMENTS] + (inner or results)[:_MOST_RESULTS]


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


def cell_of(value: Value | None) -> Cell:
    """What stands for a value; nothing for none."""
    if value is None:
        return Cell("", False)
    if value.number is None:
        return Cell(value.text, value.text in ("nan", "inf", "-inf"))
    whole = value.text.lstrip("-").isdigit()
    return Cell(value.text if whole and len(value.text) < 16 else show_number(value.number), True)


class Axes(NamedTuple):
    """What a chart is of, and which axes are logarithmic; None where nobody has said."""

    x: str
    y: str
    logs: tuple[bool, bool] | None


def parse_axes(query: QueryParams, numeric: Sequence[str]) -> Axes | None:
    """What is plotted, also where nobody has said; None where there are no numbers."""
    arguments = [path for path in numeric if path.startswith(ARGUMENTS)]
    results = [path for path in numeric if not path.startswith(ARGUMENTS)]
    allowed = (*numeric, *_AXES)
    x, y = query.get("x", ""), query.get("y", "")
    if x not in allowed:
        x = arguments[0] if arguments else "started"
    if y not in allowed:
        y = results[0] if results else "elapsed"
    if not numeric and "y" not in query:
        return None
    logs = ("x" in query.getlist("log"), "y" in query.getlist("log")) if "x" in query else None
    return Axes(x, y, logs)


def axis_choices(numeric: Sequence[str]) -> list[tuple[str, str]]:
    """What can be on an axis, and what people call it."""
    return [*((path, axis_name(path)) for path in numeric), *((name, axis_name(name)) for name in _AXES)]


def axis_name(name: str) -> str:
    """What people call an axis."""
    named = {"started": "time of the run (UTC)", "elapsed": "duration, s", "size": "size of the result, bytes"}
    return named.get(name) or column_of(name).label


class Plotted(NamedTuple):
    """A chart, what it is made of, and which axes are logarithmic."""

    chart: Chart
    dots: tuple[Dot, ...]
    logs: tuple[bool, bool]


def plot(
    tables: EvaluationTables,
    chosen: Chosen,
    axes: Axes,
    versions: Sequence[VersionRow],
    href: Callable[[str], str],
) -> Plotted:
    """The chart of what is chosen."""
    found = tables.points(chosen, axes.x, axes.y, MOST_POINTS)
    groups = {version.id: number for number, version in enumerate(versions)}
    names = (axis_name(axes.x), axis_name(axes.y))

    def scaled(name: str, value: float) -> float:
        return value / 1e6 if name == "elapsed" else value

    dots = []
    for point in found:
        x, y = scaled(axes.x, point.x), scaled(axes.y, point.y)
        at = "" if axes.x == "started" else f"{names[0]} {show_number(x)}, "
        label = f"{at}{names[1]} {show_number(y)}"
        dots.append(Dot(x, y, label, href(str(point.digest)), groups.get(point.version, 0)))
    logs = axes.logs or (axes.x != "started" and _spans_decades([dot.x for dot in dots]), False)
    chart = scatter(dots, f"{names[1]} over {names[0]}", names, logs, axes.x == "started")
    return Plotted(chart, tuple(dots), logs)


def _spans_decades(values: Sequence[float]) -> bool:
    """Whether values are such as people try in steps of factors: learning rates, sizes."""
    return bool(values) and min(values) > 0 and max(values) / min(values) >= _DECADES
