"""Figures of plotly: the JSON that plotly.js draws."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

from hitsave.memoisation.displaying.numbers import as_number
from hitsave.memoisation.displaying.room import Room, cut, type_name
from hitsave.objects.shapes import Part, Plot

#: Numbers and texts in a figure; of a larger one only the title is shown.
_MOST_VALUES = 20_000


class _TooLarge(Exception):
    pass


def shape_of_plotly(value: Any, room: Room) -> Part | None:
    """What stands for a figure; None for anything else of plotly."""
    base = sys.modules.get("plotly.basedatatypes")
    if base is None or not isinstance(value, base.BaseFigure):
        return None
    title = cut(str(value.layout.title.text or ""))
    return Plot(type_name(type(value)), title, _figure(value) if _is_small(value) else "")


def _is_small(figure: Any) -> bool:
    """Whether it is worth making a copy of it, which plotly does."""
    count = 0
    for trace in figure.data:
        for held in trace._props.values():
            count += getattr(held, "size", None) or (len(held) if isinstance(held, list | tuple) else 1)
    return count <= _MOST_VALUES


def _figure(value: Any) -> str:
    made = value.to_plotly_json()
    counted = [0]
    try:
        plain = {key: _plain(made[key], counted) for key in ("data", "layout", "frames") if key in made}
    except _TooLarge:
        return ""
    return json.dumps(plain, separators=(",", ":"), allow_nan=False)


def _plain(value: Any, counted: list[int]) -> Any:
    """A value as JSON has it; what is not a number is null, as plotly writes it."""
    counted[0] += 1
    if counted[0] > _MOST_VALUES:
        raise _TooLarge
    if value is None or type(value) in (str, bool):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(each, counted) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, counted) for each in value]
    if hasattr(value, "tolist") and getattr(value, "shape", ()) != ():
        kind = getattr(getattr(value, "dtype", None), "kind", "")
        return _plain([str(each) for each in value] if kind in "mM" else value.tolist(), counted)
    number = as_number(value)
    if number is not None:
        return number if math.isfinite(number) else None
    return str(value)
