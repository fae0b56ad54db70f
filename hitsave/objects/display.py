"""What a display is, and its canonical encoding (objects_spec.md, section 2.6).

A display tells people, and programs that must run no code of others, what the arguments and the result of a call were:
numbers, the beginnings of texts and tables, small images. Displays come from strangers: who decodes one may trust every
bound of section 2.6.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from hitsave.errors import MalformedObject
from hitsave.objects.canonical import Fields, decode_json, encode_json
from hitsave.objects.digest import ObjectKind
from hitsave.objects.shapes import (
    LARGEST,
    MOST_CORNER,
    MOST_PIXELS,
    MOST_POINTS,
    MOST_ROWS,
    Array,
    Display,
    Group,
    Image,
    Nothing,
    Number,
    Other,
    Part,
    Plot,
    Series,
    Shape,
    SnapshotShown,
    Table,
    Text,
)

_WHAT = "display"
_LONGEST_NUMBER = 40
_INTEGER = re.compile(rf"-?[0-9]{{1,{_LONGEST_NUMBER}}}")
_FLOAT = re.compile(r"-?(?:[0-9]{1,17}(?:\.[0-9]{1,20})?(?:e[+-][0-9]{2,3})?|inf)|nan")
_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_PNG_HEADER = len(_PNG) + 8
_FIGURE = frozenset(("data", "frames", "layout"))
_OBJECTS = {"blob": ObjectKind.BLOB, "tree": ObjectKind.TREE}
_PLAIN = (Nothing, Number, Text, Other)


# -- encoding


def encode_display(value: Display) -> bytes:
    """The canonical encoding. Raises ValueError where the value breaks a rule of section 2.6."""
    arguments = [{"name": name, "value": _members(shape)} for name, shape in value.arguments]
    encoded = encode_json({"arguments": arguments, "result": _members(value.result)})
    try:
        _refuse_twice("name", (name for name, _ in value.arguments))
        # Most calls are small, and are to be kept quickly. What is plain breaks no other rule.
        if len(encoded) > LARGEST or not all(type(shape) in _PLAIN for shape in value.shapes):
            decode_display(encoded)
    except MalformedObject as error:
        raise ValueError(error.reason) from None
    return encoded


def encoded_size(shape: Shape) -> int:
    """How many bytes a shape takes in a display. Raises ValueError for what no display may hold."""
    return len(encode_json(_members(shape)))


def _spell(value: int | float) -> str:
    text = repr(value)
    if len(text) > _LONGEST_NUMBER or type(value) not in (int, float):
        raise ValueError(f"{text[:_LONGEST_NUMBER]!r} is not a number of a display")
    return text


def _members(shape: Shape) -> dict[str, Any]:
    """The members of the object that stands for a shape."""
    match shape:
        case Nothing():
            return {"kind": "none"}
        case Number(type, value):
            return {"kind": "number", "type": type, "value": _spell(value)}
        case Text(text, length):
            if length < len(text):
                raise ValueError("a text is longer than its length")
            return {"kind": "text", "length": length, "text": text}
        case Other(type, text):
            return {"kind": "other", "text": text, "type": type}
        case Group(type, text, metrics, parts):
            return {
                "kind": "group",
                "metrics": [[path, _spell(value)] for path, value in metrics],
                "parts": [{"path": path, "value": _members(part)} for path, part in parts],
                "text": text,
                "type": type,
            }
        case SnapshotShown(digest, kind, size, path):
            return {
                "digest": digest.hex(),
                "kind": "snapshot",
                "object": kind.name.lower(),
                "path": path,
                "size": size,
            }
        case _:
            return _members_of_data(shape)


def _members_of_data(shape: Series | Table | Array | Image | Plot) -> dict[str, Any]:
    match shape:
        case Series(type, length, points):
            indexes, values = [at for at, _ in points], [_spell(value) for _, value in points]
            return {"indexes": indexes, "kind": "series", "length": length, "type": type, "values": values}
        case Table(type, rows, columns, names, types, head, labels):
            return {
                "columns": columns,
                "head": [list(row) for row in head],
                "kind": "table",
                "labels": list(labels),
                "names": list(names),
                "rows": rows,
                "type": type,
                "types": list(types),
            }
        case Array(type, dtype, dimensions, statistics, corner):
            numbers = [] if statistics is None else [_spell(value) for value in statistics]
            first = {"corner": [[_spell(value) for value in row] for row in corner]} if corner else {}
            return first | {
                "dtype": dtype,
                "kind": "array",
                "shape": list(dimensions),
                "statistics": numbers,
                "type": type,
            }
        case Image(type, width, height, png):
            text = b64encode(png).decode()
            return {"height": height, "kind": "image", "png": text, "type": type, "width": width}
        case Plot(type, title, figure):
            return {"figure": figure, "kind": "plot", "title": title, "type": type}


# -- decoding


def decode_display(data: bytes) -> Display:
    """The display that `data` encodes. Raises MalformedObject for anything but its canonical encoding."""
    if len(data) > LARGEST:
        raise MalformedObject(_WHAT, f"is larger than {LARGEST} bytes")
    fields = Fields(decode_json(data, _WHAT), _WHAT)
    fields.only({"arguments", "result"})
    arguments = []
    for row in fields.rows("arguments"):
        row.only({"name", "value"})
        arguments.append((row.text("name"), _decode_shape(row.row("value"))))
    _refuse_twice("name", (name for name, _ in arguments))
    return Display(tuple(arguments), _decode_shape(fields.row("result")))


def _refuse_twice(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise MalformedObject(_WHAT, f"a {what} comes twice")
        seen.add(name)


def _decode_shape(fields: Fields) -> Shape:
    kind = fields.text("kind")
    return _decode_group(fields) if kind == "group" else _decode_part(fields, kind)


def _decode_part(fields: Fields, kind: str) -> Part:
    found = _DECODERS.get(kind)
    if found is None:
        raise MalformedObject(_WHAT, f"{kind[:20]!r} is no kind that can stand here")
    members, decode = found
    fields.only(members)
    return decode(fields)


def _decode_group(fields: Fields) -> Group:
    fields.only({"kind", "metrics", "parts", "text", "type"})
    metrics = tuple((path, _parse_number(text)) for path, text in fields.texts("metrics", 2))
    parts = []
    for row in fields.rows("parts"):
        row.only({"path", "value"})
        value = row.row("value")
        parts.append((row.text("path"), _decode_part(value, value.text("kind"))))
    _refuse_twice("path", (path for path, _ in (*metrics, *parts)))
    return Group(fields.text("type"), fields.text("text"), metrics, tuple(parts))


def _parse_number(text: str) -> int | float:
    value: int | float | None = None
    if _INTEGER.fullmatch(text):
        value = int(text)
    elif _FLOAT.fullmatch(text):
        value = float(text)
    if value is None or len(text) > _LONGEST_NUMBER or repr(value) != text:
        raise MalformedObject(_WHAT, f"{text[:40]!r} is not a number in its one spelling")
    return value


def _decode_text(fields: Fields) -> Text:
    text, length = fields.text("text"), fields.number("length")
    if length < len(text):
        raise MalformedObject(_WHAT, "a text is longer than its length")
    return Text(text, length)


def _decode_series(fields: Fields) -> Series:
    length, indexes = fields.number("length"), fields.numbers("indexes")
    values = tuple(map(_parse_number, fields.strings("values")))
    if len(indexes) != len(values) or len(values) > MOST_POINTS:
        raise MalformedObject(_WHAT, f"'values' are not as many as 'indexes', or more than {MOST_POINTS}")
    if any(later <= earlier for earlier, later in pairwise(indexes)) or (indexes and indexes[-1] >= length):
        raise MalformedObject(_WHAT, "'indexes' are not ascending and below 'length'")
    return Series(fields.text("type"), length, tuple(zip(indexes, values, strict=True)))


def _decode_table(fields: Fields) -> Table:
    names, types = fields.strings("names"), fields.strings("types")
    rows, columns = fields.number("rows"), fields.number("columns")
    head = tuple(map(tuple, fields.texts("head", len(names))))
    if len(types) != len(names) or len(names) > columns:
        raise MalformedObject(_WHAT, "'types' are not as many as 'names', or more than 'columns'")
    if len(head) > min(rows, MOST_ROWS):
        raise MalformedObject(_WHAT, f"'head' has more than 'rows', or more than {MOST_ROWS}")
    if len(labels := fields.strings("labels")) not in (0, len(head)):
        raise MalformedObject(_WHAT, "'labels' are not as many as 'head'")
    return Table(fields.text("type"), rows, columns, names, types, head, labels)


def _decode_array(fields: Fields) -> Array:
    found = tuple(map(_parse_number, fields.strings("statistics")))
    if len(found) not in (0, 3):
        raise MalformedObject(_WHAT, "'statistics' are neither three numbers nor none")
    statistics = (found[0], found[1], found[2]) if found else None
    shape = fields.numbers("shape")
    corner = _decode_corner(fields, shape) if fields.has("corner") else ()
    return Array(fields.text("type"), fields.text("dtype"), shape, statistics, corner)


def _decode_corner(fields: Fields, shape: tuple[int, ...]) -> tuple[tuple[int | float, ...], ...]:
    rows, columns = (min(side, MOST_CORNER) for side in shape[-2:]) if len(shape) > 1 else (0, 0)
    found = fields.texts("corner", columns)
    if len(found) != rows or not rows or not columns:
        raise MalformedObject(_WHAT, f"'corner' is not that of 'shape', of at most {MOST_CORNER} rows and columns")
    return tuple(tuple(map(_parse_number, row)) for row in found)


def _decode_image(fields: Fields) -> Image:
    text = fields.text("png")
    try:
        png = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        png = b""
    size = png_size(png)
    if size is None or b64encode(png).decode() != text or not all(1 <= side <= MOST_PIXELS for side in size):
        raise MalformedObject(_WHAT, f"'png' is not a PNG of at most {MOST_PIXELS} pixels a side in base64")
    return Image(fields.text("type"), fields.number("width"), fields.number("height"), png)


def png_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels of a PNG by its head; None where it does not begin as one."""
    if len(data) < _PNG_HEADER or not data.startswith(_PNG):
        return None
    sides = data[len(_PNG) : _PNG_HEADER]
    return int.from_bytes(sides[:4], "big"), int.from_bytes(sides[4:], "big")


def _decode_plot(fields: Fields) -> Plot:
    figure = fields.text("figure")
    if figure and not _is_figure(figure):
        raise MalformedObject(_WHAT, "'figure' is not the JSON of a figure")
    return Plot(fields.text("type"), fields.text("title"), figure)


def _is_figure(text: str) -> bool:
    """Whether it is a JSON object of at most a list `data`, an object `layout` and a list `frames`."""
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return False
    if not isinstance(found, dict) or not found.keys() <= _FIGURE or not isinstance(found.get("layout", {}), dict):
        return False
    return all(isinstance(found.get(name, []), list) for name in ("data", "frames"))


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _decode_snapshot(fields: Fields) -> SnapshotShown:
    kind = _OBJECTS.get(fields.text("object"))
    if kind is None:
        raise MalformedObject(_WHAT, "'object' is neither 'blob' nor 'tree'")
    return SnapshotShown(fields.digest("digest"), kind, fields.number("size"), fields.text("path"))


_DECODERS: dict[str, tuple[frozenset[str], Callable[[Fields], Part]]] = {
    kind: (frozenset(("kind", *members.split())), decode)
    for kind, members, decode in (
        ("none", "", lambda fields: Nothing()),
        ("number", "type value", lambda fields: Number(fields.text("type"), _parse_number(fields.text("value")))),
        ("text", "length text", _decode_text),
        ("series", "indexes length type values", _decode_series),
        ("table", "columns head labels names rows type types", _decode_table),
        ("array", "corner dtype shape statistics type", _decode_array),
        ("image", "height png type width", _decode_image),
        ("plot", "figure title type", _decode_plot),
        ("snapshot", "digest object path size", _decode_snapshot),
        ("other", "text type", lambda fields: Other(fields.text("type"), fields.text("text"))),
    )
}
