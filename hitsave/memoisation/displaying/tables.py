"""Tables of pandas, polars and pyarrow, and lists of dicts: their shape, and the first rows as texts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from hitsave.memoisation.code.describe import describe
from hitsave.memoisation.displaying.arrays import shape_of_numpy
from hitsave.memoisation.displaying.numbers import as_number
from hitsave.memoisation.displaying.room import LONGEST_NAME, Room, cut, type_name
from hitsave.objects.shapes import MOST_ROWS, Other, Part, Series, Table

_MOST_COLUMNS = 50
#: Libraries whose values say what they are, by code that is not the project's.
_SPEAKING = ("datetime", "decimal", "numpy", "pandas")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if type(value) is str:
        return cut(value)
    number = as_number(value)
    if number is not None:
        return str(bool(value) if type(value).__name__.startswith("bool") else number)
    if type(value).__module__.partition(".")[0] in _SPEAKING:
        return cut(str(value))
    return cut(describe(value, LONGEST_NAME))


def _rows(columns: Sequence[Iterable[object]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(map(_cell, row)) for row in zip(*columns, strict=True))


def shape_of_pandas(value: Any, room: Room) -> Part | None:
    """What stands for a frame or series; None for anything else of pandas."""
    pandas = sys.modules["pandas"]
    if isinstance(value, pandas.Series):
        return _numbers_of(value, room) or _frame(value.to_frame(), type_name(type(value)))
    if isinstance(value, pandas.DataFrame):
        return _frame(value, type_name(type(value)))
    scalar = isinstance(value, pandas.Timestamp | pandas.Timedelta | pandas.Period | pandas.Interval)
    return Other(type_name(type(value)), cut(str(value))) if scalar else None


def _numbers_of(value: Any, room: Room) -> Series | None:
    """A column of numbers."""
    if getattr(value.dtype, "kind", "") not in ("i", "u", "f"):
        return None
    plain = isinstance(value.dtype, sys.modules["numpy"].dtype)
    found = shape_of_numpy(value.to_numpy() if plain else value.to_numpy(float, na_value=float("nan")), room)
    return Series(type_name(type(value)), found.length, found.points) if isinstance(found, Series) else None


def _frame(value: Any, name: str) -> Table:
    rows, columns = value.shape
    first = value.iloc[:MOST_ROWS, :_MOST_COLUMNS]
    shown = [first.iloc[:, at] for at in range(first.shape[1])]
    counted = isinstance(value.index, sys.modules["pandas"].RangeIndex)
    return Table(
        name,
        rows,
        columns,
        tuple(_cell(each) for each in first.columns),
        tuple(cut(str(column.dtype)) for column in shown),
        _rows([column.tolist() for column in shown]),
        () if counted or not shown else tuple(_cell(each) for each in first.index),
    )


def shape_of_polars(value: Any, room: Room) -> Part | None:
    """What stands for a frame or series; None for anything else of polars."""
    polars = sys.modules["polars"]
    name = type_name(type(value))
    if isinstance(value, polars.Series):
        if value.dtype.is_numeric() and not value.dtype.is_decimal():
            found = shape_of_numpy(value.to_numpy(), room)
            return Series(name, found.length, found.points) if isinstance(found, Series) else None
        value = value.to_frame()
    if not isinstance(value, polars.DataFrame):
        return None
    rows, columns = value.shape
    shown = [column.head(MOST_ROWS) for column in value.get_columns()[:_MOST_COLUMNS]]
    return Table(
        name,
        rows,
        columns,
        tuple(cut(column.name) for column in shown),
        tuple(cut(str(column.dtype)) for column in shown),
        _rows([column.to_list() for column in shown]),
    )


def shape_of_arrow(value: Any, room: Room) -> Part | None:
    """What stands for a table or a batch; None for anything else of pyarrow."""
    arrow = sys.modules["pyarrow"]
    if not isinstance(value, arrow.Table | arrow.RecordBatch):
        return None
    fields = list(value.schema)[:_MOST_COLUMNS]
    return Table(
        type_name(type(value)),
        value.num_rows,
        value.num_columns,
        tuple(cut(field.name) for field in fields),
        tuple(cut(str(field.type)) for field in fields),
        _rows([value.column(at).slice(0, MOST_ROWS).to_pylist() for at in range(len(fields))]),
    )


def table_of_dicts(rows: Sequence[object]) -> Table | None:
    """A list of dicts whose keys are texts; None where something else is in it, as far as one looks."""
    first = [row for row in islice(rows, MOST_ROWS) if type(row) is dict]
    if len(first) < min(len(rows), MOST_ROWS) or not first:
        return None
    names = list(dict.fromkeys(name for row in first for name in row))
    if not names or not all(type(name) is str for name in names):
        return None
    shown = names[:_MOST_COLUMNS]
    kinds = [next((row[name] for row in first if row.get(name) is not None), None) for name in shown]
    return Table(
        type_name(type(rows)),
        len(rows),
        len(names),
        tuple(map(cut, shown)),
        tuple(type_name(type(each)) for each in kinds),
        _rows([[row.get(name) for row in first] for name in shown]),
    )
