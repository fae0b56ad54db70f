"""What an evaluation says of itself, as values by path: `arguments.lr`, `result.loss`. Pure.

Where it has a display, that has the numbers; where it has none, the short texts of the arguments do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from hitsave.errors import MalformedObject
from hitsave.objects.digest import ObjectKind
from hitsave.objects.display import decode_display
from hitsave.objects.evaluation import Evaluation
from hitsave.objects.shapes import (
    Array,
    Display,
    Group,
    Image,
    Nothing,
    Number,
    Other,
    Plot,
    Series,
    Shape,
    SnapshotShown,
    Table,
    Text,
)

#: In characters: texts are for a table's cell, and to be looked for.
_LONGEST = 200
_LONGEST_PATH = 500
_MOST_FIELDS = 200
_BY = " \N{MULTIPLICATION SIGN} "
ARGUMENTS = "arguments."
RESULT = "result"


class Value(NamedTuple):
    """One value: its text, and the number where it is one."""

    text: str
    number: float | None = None


def values_of(evaluation: Evaluation, display: bytes | None) -> dict[str, Value]:
    """Values by path, of arguments and result; at most 200, and none whose path is very long.

    A display that cannot be read counts as none.
    """
    found = _all_values(evaluation, display).items()
    return dict(islice(((path, value) for path, value in found if len(path) <= _LONGEST_PATH), _MOST_FIELDS))


def _all_values(evaluation: Evaluation, display: bytes | None) -> dict[str, Value]:
    found = {f"{ARGUMENTS}{each.name}": parse_value(each.text) for each in evaluation.shown}
    if display is not None:
        try:
            decoded = decode_display(display)
        except MalformedObject:
            return found
        for name, shape in decoded.arguments:
            found[f"{ARGUMENTS}{name}"] = value_of(shape)
        found[RESULT] = value_of(decoded.result)
        for path, value in _inner_values(decoded):
            found.setdefault(path, value)
    return found


def _inner_values(display: Display) -> Iterator[tuple[str, Value]]:
    """The numbers in groups, and what is true or false there."""
    for above, shape in display.named:
        if isinstance(shape, Group):
            yield from ((f"{above}.{path}", of_number(number)) for path, number in shape.metrics)
            yield from ((f"{above}.{path}", value_of(part)) for path, part in shape.parts if isinstance(part, Number))


def of_number(number: int | float) -> Value:
    """The value of a number; one that is none (nan) has a text alone, since it has no place in any order."""
    return Value(repr(number), None if math.isnan(number) else float(number))


def parse_value(text: str) -> Value:
    """The value that a short text stands for."""
    try:
        number = float(text) if len(text) < 40 else math.nan
    except ValueError:
        number = math.nan
    return Value(text[:_LONGEST], None if math.isnan(number) else number)


def value_of(shape: Shape) -> Value:
    """A shape as one value. What is true or false has a text alone."""
    if isinstance(shape, Number) and shape.truth is None:
        return of_number(shape.value)
    return Value(summary(shape)[:_LONGEST])


def summary(shape: Shape) -> str:
    """A shape in a few words."""
    match shape:
        case Nothing():
            return "None"
        case Number(_, value):
            return repr(value if shape.truth is None else shape.truth)
        case Text(text, _):
            return text
        case Series(type, _, points) if shape.is_short:
            text = ", ".join(repr(value) for _, value in points)
            return f"({text})" if type == "tuple" else f"[{text}]"
        case Series(type, length, _):
            return f"{type} of {length} numbers"
        case Table(type, rows, columns):
            return f"{type}, {rows}{_BY}{columns}"
        case Array(type, dtype, dimensions, _):
            return f"{type} {dtype} {_BY.join(map(str, dimensions))}"
        case Image(type, width, height, _):
            return f"{type}, {width}{_BY}{height} pixels"
        case Plot(type, title, _):
            return title or type
        case SnapshotShown(digest, kind, _, path):
            return path or f"{'directory' if kind is ObjectKind.TREE else 'file'} {digest.short}"
        case Group(type, text) | Other(type, text):
            return text or type
