"""The chart of a table of evaluations: what is on its axes, and what its points are told apart by.

What is asked for comes as the parameters of an address. Pure but for the catalogue that is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from starlette.datastructures import QueryParams

from hitsave.server.pages.catalogue.evaluations import Chosen, EvaluationTables, Plane, Point, VersionRow
from hitsave.server.pages.catalogue.shown import ARGUMENTS, Value
from hitsave.server.pages.charts import COLOURS, Chart, Dot, scatter
from hitsave.server.pages.tabulation import Sample, column_of
from hitsave.server.words import show_number

#: Evaluations in a chart.
MOST_POINTS = 2000
#: From the smallest to the largest value, where a logarithmic axis shows more.
_DECADES = 50
#: What can be on the axis of a chart besides values, in microseconds and bytes.
_AXES = ("started", "elapsed", "size")
#: What points can be told apart by besides arguments.
CODE, NOTHING = "code", "-"
_NONE = "\N{EN DASH}"


class Axes(NamedTuple):
    """What a chart is of, what colours stand for, and which axes are logarithmic; None where nobody has said."""

    x: str
    y: str
    colour: str
    logs: tuple[bool, bool] | None
    categories: bool


class Choices(NamedTuple):
    """What can be on the axes, and what colours can stand for, each with what people call it."""

    x: list[tuple[str, str]]
    y: list[tuple[str, str]]
    colour: list[tuple[str, str]]


def choices(numeric: Sequence[str], paths: Sequence[str], sample: Sample, versions: int) -> Choices:
    """What can be chosen, where these fields have numbers somewhere, and so many versions are shown."""
    y = [(name, axis_name(name)) for name in (*numeric, *_AXES)]
    texts = [path for path in sample.categories(paths) if path not in numeric]
    colours = [(CODE, "version of the code")] if versions > 1 else []
    colours += [(path, axis_name(path)) for path in sample.varying(paths)]
    x = [(name, axis_name(name)) for name in (*numeric, *texts, *_AXES)]
    return Choices(x, y, [(NOTHING, "nothing"), *colours])


def parse_axes(query: QueryParams, numeric: Sequence[str], found: Choices, sample: Sample) -> Axes | None:
    """What is plotted, also where nobody has said; None where there are no numbers."""
    if not numeric and "y" not in query:
        return None
    arguments = [path for path in numeric if path.startswith(ARGUMENTS)]
    results = [path for path in numeric if not path.startswith(ARGUMENTS)]
    x, y, colour = (query.get(name, "") for name in ("x", "y", "colour"))
    # What is the same everywhere has all points in one place, or in one line.
    if x not in dict(found.x):
        x = next((path for path in arguments if sample.kind(path).distinct > 1), "started")
    if y not in dict(found.y):
        y = next((path for path in results if sample.kind(path).distinct > 1), results[0] if results else "elapsed")
    if colour not in dict(found.colour):
        colour = _default_colour(found, sample)
    logs = ("x" in query.getlist("log"), "y" in query.getlist("log")) if "x" in query else None
    return Axes(x, y, colour, logs, x not in dict(found.y))


def _default_colour(found: Choices, sample: Sample) -> str:
    offered = [name for name, _ in found.colour]
    if CODE in offered:
        return CODE
    return next((name for name in offered if sample.kind(name).texts), NOTHING)


def axis_name(name: str) -> str:
    """What people call an axis."""
    named = {"started": "time of the run (UTC)", "elapsed": "duration, s", "size": "size of the result, bytes"}
    return named.get(name) or column_of(name).label


class Plotted(NamedTuple):
    """A chart, what it is made of, which axes are logarithmic, and the texts that stand along the first, if they do."""

    chart: Chart
    dots: tuple[Dot, ...]
    logs: tuple[bool, bool]
    categories: list[str]


def plot(
    tables: EvaluationTables,
    chosen: Chosen,
    axes: Axes,
    versions: Sequence[VersionRow],
    href: Callable[[str], str],
) -> Plotted:
    """The chart of what is chosen."""
    by_path = axes.colour not in (CODE, NOTHING)
    plane = Plane(axes.x, axes.y, axes.colour if by_path else None, axes.categories)
    found = tables.points(chosen, plane, MOST_POINTS)
    names = (axis_name(axes.x), axis_name(axes.y))
    categories = sorted({point.text for point in found}) if axes.categories else []
    groups, legend = _groups(found, axes.colour, versions)
    dots = []
    for point, group in zip(found, groups, strict=True):
        x = float(categories.index(point.text)) if categories else _scaled(axes.x, point.x)
        y = _scaled(axes.y, point.y)
        at = "" if axes.x == "started" else f"{names[0]} {point.text if categories else show_number(x)}, "
        of = f", {axis_name(axes.colour)} {legend[group]}" if by_path else ""
        dots.append(Dot(x, y, f"{at}{names[1]} {show_number(y)}{of}", href(str(point.digest)), group))
    logs = axes.logs or (axes.x != "started" and _spans_decades([dot.x for dot in dots]), False)
    logs = (logs[0] and not categories, logs[1])
    chart = scatter(dots, f"{names[1]} over {names[0]}", names, logs, axes.x == "started", categories, legend)
    return Plotted(chart, tuple(dots), logs, categories)


def _scaled(name: str, value: float) -> float:
    return value / 1e6 if name == "elapsed" else value


def _spans_decades(values: Sequence[float]) -> bool:
    """Whether values are such as people try in steps of factors: learning rates, sizes."""
    return bool(values) and min(values) > 0 and max(values) / min(values) >= _DECADES


# -- groups


def _groups(points: Sequence[Point], colour: str, versions: Sequence[VersionRow]) -> tuple[list[int], list[str]]:
    """The group of each point, and what the groups are called; no more of these than there are colours."""
    if colour == NOTHING:
        return [0] * len(points), []
    if colour == CODE:
        order = {version.id: number for number, version in enumerate(versions)}
        named = [version.code.short for version in versions[: COLOURS - 1]]
        named += ["older"] if len(versions) > len(named) else []
        return [min(order.get(point.version, 0), len(named) - 1) for point in points], named
    values = [point.colour or Value(_NONE) for point in points]
    names = _group_names(values)
    order_of = {name: number for number, name in enumerate(dict.fromkeys(names.values()))}
    return [order_of[names[value]] for value in values], list(order_of)


def _group_names(values: Sequence[Value]) -> dict[Value, str]:
    """What the group of each value is called, in the order of the groups."""
    counted = Counter(values)
    ordered = sorted(counted, key=lambda value: (value.number is None, value.number or 0.0, value.text))
    if len(ordered) <= COLOURS:
        return {value: value.text for value in ordered}
    most = COLOURS - 1
    if all(value.number is not None for value in ordered):
        parts = [ordered[len(ordered) * at // most : len(ordered) * (at + 1) // most] for at in range(most)]
        return {value: _range(part) for part in parts for value in part}
    common = [value for value, _ in counted.most_common(most)]
    names = {value: value.text for value in ordered if value in common}
    return {**names, **{value: "others" for value in ordered if value not in common}}


def _range(part: Sequence[Value]) -> str:
    return part[0].text if len(part) == 1 else f"{part[0].text} {_NONE} {part[-1].text}"
