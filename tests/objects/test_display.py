"""Displays: one value, one encoding; whatever a stranger sends is refused or bounded."""

from __future__ import annotations

import contextlib
import json
import math
import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.errors import MalformedObject
from hitsave.objects.canonical import encode_json
from hitsave.objects.digest import ObjectKind
from hitsave.objects.display import decode_display, encode_display, encoded_size
from hitsave.objects.shapes import (
    LARGEST,
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
    Plot,
    Series,
    Shape,
    SnapshotShown,
    Table,
    Text,
)
from tests.objects.values import digests, modest, mutations, numbers, texts

_ROW = st.lists(texts, min_size=2, max_size=2).map(tuple)


def png(width: int, height: int, rest: bytes = b"") -> bytes:
    """The beginning of a PNG."""
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + rest


def _series(name: str, points: dict[int, float], more: int) -> Series:
    return Series(name, max(points, default=0) + 1 + more, tuple(sorted(points.items())))


numerals = st.floats(allow_nan=False) | st.integers(-(10**39) + 1, 10**39)
sides = st.integers(1, MOST_PIXELS)
parts = st.one_of(
    st.just(Nothing()),
    st.builds(Number, texts, numerals),
    st.builds(lambda text, more: Text(text, len(text) + more), texts, st.integers(0, 9)),
    st.builds(_series, texts, st.dictionaries(st.integers(0, 2000), numerals, max_size=4), st.integers(0, 9)),
    st.lists(_ROW, max_size=2).map(
        lambda rows: Table("t", 2, 3, ("a", "b"), ("", ""), tuple(rows), ("x",) * len(rows))
    ),
    st.builds(
        Array,
        texts,
        texts,
        st.lists(numbers, max_size=3).map(tuple),
        st.none() | st.tuples(numerals, numerals, numerals),
    ),
    st.lists(st.tuples(numerals, numerals), min_size=1, max_size=3).map(
        lambda corner: Array("t", "", (7, len(corner), 2), None, tuple(corner))
    ),
    st.builds(Image, texts, numbers, numbers, st.builds(png, sides, sides, st.binary(max_size=9))),
    st.builds(Plot, texts, texts, st.sampled_from(["", "{}", '{"data":[1.5],"layout":{"a":null}}'])),
    st.builds(SnapshotShown, digests, st.sampled_from([ObjectKind.BLOB, ObjectKind.TREE]), numbers, texts),
    st.builds(Other, texts, texts),
)


@st.composite
def groups(draw: st.DrawFn) -> Group:
    paths = draw(st.lists(texts, max_size=4, unique=True))
    split = draw(st.integers(0, len(paths)))
    metrics = tuple((path, draw(numerals)) for path in paths[:split])
    return Group(draw(texts), draw(texts), metrics, tuple((path, draw(parts)) for path in paths[split:]))


shapes: st.SearchStrategy[Shape] = parts | groups()
displays = st.builds(
    Display, st.lists(st.tuples(texts, shapes), max_size=3, unique_by=lambda pair: pair[0]).map(tuple), shapes
)


@modest
@given(displays)
def test_a_display_comes_back_from_its_encoding(value: Display) -> None:
    encoded = encode_display(value)
    assert decode_display(encoded) == value
    assert encode_display(decode_display(encoded)) == encoded


@modest
@given(displays, st.data())
def test_changed_bytes_are_refused_or_mean_something_else(value: Display, data: st.DataObject) -> None:
    changed = data.draw(mutations(encode_display(value)))
    try:
        found = decode_display(changed)
    except MalformedObject:
        return
    assert encode_display(found) == changed


_JSON = st.recursive(
    st.integers(-2, 1 << 64) | texts | st.sampled_from(["number", "group", "table", "none", "1", "nan"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["kind", "value", "type", "parts", "path", "head", "result"]), inner)
    ),
    max_leaves=8,
)


@modest
@given(_JSON, _JSON)
def test_whatever_json_a_stranger_sends_is_decoded_or_refused(arguments: Any, result: Any) -> None:
    data = encode_json({"arguments": arguments, "result": result})
    with contextlib.suppress(MalformedObject):
        assert encode_display(decode_display(data)) == data


@pytest.mark.parametrize(
    "data",
    [b"[" * 100_000, b'{"a":' * 50_000, b'{"arguments":[],"result":%d}\n' % 10**4000, b"\xff" * 10, b"\0" * LARGEST],
)
def test_what_would_exhaust_a_reader_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedObject):
        decode_display(data)


@pytest.mark.parametrize("nested", ["[" * 50_000, '{"data":[' * 20_000])
def test_a_figure_that_is_nested_without_end_is_refused(nested: str) -> None:
    with pytest.raises(ValueError, match="figure"):
        encode_display(Display((), Plot("", "", nested)))


def test_a_display_that_is_too_large_is_neither_written_nor_read() -> None:
    room = LARGEST - len(encode_display(Display((), Text("", LARGEST))))
    whole = encode_display(Display((), Text("a" * room, LARGEST)))
    assert len(whole) == LARGEST
    assert decode_display(whole).result == Text("a" * room, LARGEST)
    with pytest.raises(ValueError, match="larger"):
        encode_display(Display((), Text("a" * (room + 1), LARGEST)))


IMAGE = Image("i", 1, 1, png(1, 1))


@pytest.mark.parametrize(
    "shape",
    [
        Number("int", 10**40),
        Number("int", True),
        Text("abc", 2),
        Text("\ud800", 1),
        Series("list", 2, ((1, 1), (0, 1))),
        Series("list", MOST_POINTS + 1, tuple((at, 1) for at in range(MOST_POINTS + 1))),
        Table("t", 99, 1, ("a",), ("b",), (("c",),) * (MOST_ROWS + 1)),
        Table("t", 1, 1, ("a",), ("b",), (("c", "d"),)),
        replace(IMAGE, png=png(MOST_PIXELS + 1, 1)),
        replace(IMAGE, png=b"<svg>"),
        replace(IMAGE, width=-1),
        Plot("p", "", '{"data":[NaN]}'),
        Group("g", "", (("a", 1),), (("a", Nothing()),)),
        Group("g", "", (), (("a", Group("g", "")),)),  # type: ignore[arg-type]
    ],
)
def test_a_shape_that_breaks_a_rule_is_not_encoded(shape: Shape) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        encode_display(Display((), shape))
    with pytest.raises(ValueError, match=r"\S"):
        encode_display(Display((("a", shape),), Nothing()))


def test_an_argument_twice_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="twice"):
        encode_display(Display((("a", Nothing()), ("a", Nothing())), Nothing()))


def test_what_is_not_a_number_is_one_here() -> None:
    found = decode_display(encode_display(Display((), Number("float", math.nan)))).result
    assert isinstance(found, Number)
    assert math.isnan(found.value)


def test_metrics_are_the_numbers_by_their_paths() -> None:
    group = Group("dict", "", (("loss.val", 0.5), ("epochs", 3)), (("few", Series("list", 2, ((0, 1), (1, 2)))),))
    many = Series("list", 9, tuple((at, at) for at in range(9)))
    display = Display((("rate", Number("float", 0.1)), ("config", group), ("many", many), ("t", Text("", 0))), group)
    of_group = {"loss.val": 0.5, "epochs": 3}  # What has a place in a list has no name.
    assert display.metrics == {
        "arguments.rate": 0.1,
        **{f"arguments.config.{path}": value for path, value in of_group.items()},
        **{f"result.{path}": value for path, value in of_group.items()},
    }
    assert Display((), Number("int", 5)).metrics == {"result": 5}
    assert json.loads(json.dumps(display.metrics)) == display.metrics


@modest
@given(shapes)
def test_the_size_of_a_shape_is_what_it_adds(shape: Shape) -> None:
    empty = len(encode_display(Display((), Nothing())))
    assert len(encode_display(Display((), shape))) - empty == encoded_size(shape) - encoded_size(Nothing())
