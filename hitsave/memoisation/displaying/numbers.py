"""Numbers, alone and in rows. What numpy and torch call a number is one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from hitsave.memoisation.displaying.room import type_name
from hitsave.objects.shapes import MOST_POINTS, Number, Series

#: Numbers of more digits are no metrics.
_LARGEST = 10**38
#: So many elements of a list are all looked at; of more, some.
_MOST_LOOKED_AT = 10_000
_PARTS = MOST_POINTS // 2 - 1


def as_number(value: Any) -> int | float | None:
    """What a value is as a number of Python's own; None where it is none."""
    kind = type(value)
    if kind is float:
        return value  # type: ignore[no-any-return]
    if kind is int or kind is bool:
        return int(value) if -_LARGEST < value < _LARGEST else None
    numpy = sys.modules.get("numpy")
    if numpy is None or not issubclass(kind, getattr(numpy, "generic", ())) or kind.__module__ != "numpy":
        return None
    if issubclass(kind, numpy.floating):
        return float(value)
    return int(value) if issubclass(kind, numpy.integer | numpy.bool_) else None


def number_of(value: object) -> Number | None:
    """A number with the name of its type; None where it is none."""
    found = as_number(value)
    return None if found is None else Number(type_name(type(value)), found)


def series_of(values: Sequence[object]) -> Series | None:
    """A list or tuple of numbers; None where something else is in it, as far as one looks."""
    if not values or as_number(values[0]) is None:
        return None
    length = len(values)
    step = 1 if length <= _MOST_LOOKED_AT else -(-length // MOST_POINTS)
    points = []
    for at in range(0, length, step):
        number = as_number(values[at])
        if number is None:
            return None
        points.append((at, number))
    return Series(type_name(type(values)), length, tuple(thinned(points)))


def thinned(points: list[tuple[int, int | float]]) -> list[tuple[int, int | float]]:
    """At most MOST_POINTS of these: the first, the last, and the lowest and highest of equal parts between them."""
    if len(points) <= MOST_POINTS:
        return points
    found = {points[0], points[-1]}
    size = len(points) / _PARTS
    for part in range(_PARTS):
        between = points[round(part * size) : round((part + 1) * size)]
        found |= {min(between, key=_value), max(between, key=_value)}
    return sorted(found)


def _value(point: tuple[int, int | float]) -> int | float:
    return point[1]
