"""What is shown of an evaluation, to be saved: texts and figures as they are, numbers and tables as CSV. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from hitsave.objects.shapes import Array, Plot, Series, Shape, Table, Text

#: What a spreadsheet takes for the beginning of a formula.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def saved_as(shape: Shape) -> tuple[str, str] | None:
    """The end of a file's name and its text; None for what is no text."""
    match shape:
        case Text(text, _):
            return ".txt", text
        case Series(_, _, points):
            return ".csv", _csv([("index", "value"), *points])
        case Table(_, _, _, names, _, head, labels):
            rows = [names, *head]
            return ".csv", _csv(
                [(label, *row) for label, row in zip(("", *labels), rows, strict=True)] if labels else rows
            )
        case Array(corner=corner) if corner:
            return ".csv", _csv(corner)
        case Plot(figure=figure) if figure:
            return ".json", figure
    return None


def _csv(rows: Iterable[Sequence[object]]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows([_cell(value) for value in row] for row in rows)
    return file.getvalue()


def _cell(value: object) -> object:
    """A value that no spreadsheet runs; texts come from whoever pushes. Numbers stay what they are."""
    if not isinstance(value, str) or not value.startswith(_FORMULAS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
