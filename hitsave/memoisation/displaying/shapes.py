"""What a value is, for people: a number, a text, a table, an image, or a group of such.

No code of the project runs here, beside what `describe` may ask of a value. Libraries are not imported: where a value
is one of theirs, they are loaded. What one of them cannot do costs the shape alone.
"""

from __future__ import annotations

import enum
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from itertools import islice
from typing import Any

from hitsave.memoisation.code.describe import describe
from hitsave.memoisation.displaying.numbers import number_of, series_of
from hitsave.memoisation.displaying.room import LONGEST_NAME, LONGEST_TEXT, Room, cut, type_name
from hitsave.objects.canonical import unicode_text
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.shapes import FEW_POINTS, Group, Nothing, Number, Other, Part, Shape, SnapshotShown, Text

#: Modules here that know the values of a library, and their functions.
_LIBRARIES = {
    "PIL": ("pictures", "shape_of_pillow"),
    "matplotlib": ("pictures", "shape_of_matplotlib"),
    "numpy": ("arrays", "shape_of_numpy"),
    "pandas": ("tables", "shape_of_pandas"),
    "plotly": ("plots", "shape_of_plotly"),
    "polars": ("tables", "shape_of_polars"),
    "pyarrow": ("tables", "shape_of_arrow"),
    "torch": ("arrays", "shape_of_torch"),
}
_SCALARS = (bool, int, float)
#: What holds things by their places.
_UNNAMED = (list, tuple)
#: What has attributes that say nothing about a result.
_OPAQUE = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType, enum.Enum)
#: In characters, of what stands for a value in a line.
LONGEST_LINE = 200
_MOST_METRICS = 100
_MOST_PARTS = 20
_MOST_VISITED = 500
_DEPTH = 4
_SIZE_OF_NUMBER = 60
#: The most that an escaped character takes, and what stands around the text of a group.
_ESCAPED = 12
_AROUND_GROUP = 2000


def shape_of(value: object, room: Room, text: str | None = None, several: bool = False) -> Shape:
    """What a value is; `text` is its short text, where that is known. With `several`, a short tuple is several values.

    Never raises an exception.
    """
    kind = type(value)
    several = several and kind is tuple and len(value) <= FEW_POINTS  # type: ignore[arg-type]
    try:
        found: Shape | None = None if several else _part(value, kind, room)
        if found is None and (kind is dict or next(_members(value, kind), None) is not None):
            found = _group(value, kind, short_text(value) if text is None else text, room, several)
    except Exception:  # Whatever a library raises: people get the text.
        found = None
    return found or Other(type_name(kind), short_text(value) if text is None else text)


def short_text(value: object) -> str:
    """A value in a line. Never raises an exception."""
    try:
        return cut(describe(value, LONGEST_LINE), LONGEST_LINE)
    except Exception:  # A value's own code may be asked for its shape.
        return f"a {type_name(type(value))}"


def _part(value: Any, kind: type, room: Room) -> Part | None:
    """What is no group; None where it may be one, or nothing is known of it."""
    if value is None:
        return Nothing()
    if kind in _SCALARS:
        return number_of(value)
    if kind is str:
        return Text(unicode_text(value[:LONGEST_TEXT]), len(value))
    if kind is list or kind is tuple:
        return series_of(value) or _table_of_dicts(value)
    return _snapshot(value, kind) or _of_library(value, kind, room)


def _table_of_dicts(value: Any) -> Part | None:
    if not value or type(value[0]) is not dict:
        return None
    from hitsave.memoisation.displaying.tables import table_of_dicts

    return table_of_dicts(value)


def _snapshot(value: Any, kind: type) -> SnapshotShown | None:
    api = sys.modules.get("hitsave.api")
    if api is None or kind not in (api.FileSnapshot, api.DirectorySnapshot):
        return None
    path = "" if value.relpath is None else cut(value.relpath.as_posix(), 10 * LONGEST_NAME)
    return SnapshotShown(Digest(bytes.fromhex(value.digest)), ObjectKind(value._kind), value.content_length, path)


def _of_library(value: object, kind: type, room: Room) -> Part | None:
    for base in kind.__mro__:
        library = base.__module__.partition(".")[0]
        if library in _LIBRARIES and library in sys.modules:
            module, name = _LIBRARIES[library]
            find: Callable[[object, Room], Part | None] = getattr(
                import_module(f"hitsave.memoisation.displaying.{module}"), name
            )
            return find(value, room)
    return None


# -- groups


def _group(value: object, kind: type, text: str, room: Room, several: bool) -> Group:
    """The numbers and other things in a value, the nearest first.

    Numbers that have a place in a list, and no name, are no metrics: another list is longer, or in another order.
    """
    inner = replace(room, left=room.left - _ESCAPED * len(text) - _AROUND_GROUP)
    metrics: dict[str, int | float] = {}
    parts: dict[str, Part] = {}
    waiting = deque([("", value, kind, _DEPTH, several or kind not in _UNNAMED)])
    seen = {id(value)}
    visited = 0
    while waiting:
        above, holder, holder_kind, depth, named = waiting.popleft()
        for name, each in _members(holder, holder_kind):
            visited += 1
            path = unicode_text(f"{above}.{name}" if above else name)
            if visited > _MOST_VISITED or len(path) > LONGEST_NAME or path in metrics or path in parts:
                continue
            part = _guarded(each, inner)
            if isinstance(part, Number) and part.truth is not None:
                # It is no metric. All that are true are one object: each is another part.
                if named and len(parts) < _MOST_PARTS and inner.fit(path, part) is not None:
                    parts[path] = part
            elif isinstance(part, Number):
                if named and len(metrics) < _MOST_METRICS and inner.take(path, _SIZE_OF_NUMBER):
                    metrics[path] = part.value
            elif part is None:
                if depth > 1 and id(each) not in seen:
                    seen.add(id(each))
                    waiting.append((path, each, type(each), depth - 1, named and type(each) not in _UNNAMED))
            elif not isinstance(part, Nothing | Text | Other) and id(each) not in seen and len(parts) < _MOST_PARTS:
                seen.add(id(each))
                fitting = inner.fit(path, part)
                if fitting is not None:
                    assert not isinstance(fitting, Group)
                    parts[path] = fitting
    room.elements = inner.elements
    return Group(type_name(kind), text, tuple(metrics.items()), tuple(parts.items()))


def _guarded(value: object, room: Room) -> Part | None:
    """As `_part`, of a part of a group, which gets half of what is left."""
    half = replace(room, left=room.left // 2)
    try:
        return _part(value, type(value), half)
    except Exception:
        return Other(type_name(type(value)), "")
    finally:
        room.elements = half.elements


def _members(value: Any, kind: type) -> Iterator[tuple[str, object]]:
    """What a value holds, each with the step of a path that leads to it."""
    if issubclass(kind, dict):
        items = islice(dict.items(value), _MOST_VISITED)
        yield from ((str(key), each) for key, each in items if type(key) in (str, int, float, bool))
    elif issubclass(kind, tuple) and type(getattr(kind, "_fields", None)) is tuple:
        yield from zip(kind._fields, tuple.__iter__(value), strict=False)  # type: ignore[attr-defined]
    elif kind is list or kind is tuple:
        few = value if len(value) <= FEW_POINTS else value[:_MOST_PARTS]
        yield from ((str(at), each) for at, each in enumerate(few))
    elif not issubclass(kind, _OPAQUE):
        yield from _attributes(value, kind)


def _attributes(value: object, kind: type) -> Iterator[tuple[str, object]]:
    """Attributes that an instance simply holds, and that are no secret of its class."""
    held = getattr(value, "__dict__", None)
    if type(held) is dict:
        yield from ((name, each) for name, each in islice(held.items(), _MOST_VISITED) if not name.startswith("_"))
    for name in getattr(kind, "__dataclass_fields__", {}):
        slot = next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)
        if type(slot) is types.MemberDescriptorType and not name.startswith("_"):
            yield name, slot.__get__(value)
