"""Tables: pandas, polars and Arrow, by content; not by blocks, chunks, offsets, or what lies under a null."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from hitsave.errors import Undigestable

Digest = Callable[[object], str]


def _assert_all_different(digest: Digest, values: list[object]) -> None:
    found: dict[str, object] = {}
    for value in values:
        assert digest(value) not in found, f"{value!r} and {found[digest(value)]!r}"
        found[digest(value)] = value


# -- pandas --


def test_frames_of_one_content_in_different_blocks_are_equal(digest: Digest) -> None:
    numbers = np.arange(12.0).reshape(4, 3)
    frames = [
        pd.DataFrame(numbers, columns=list("abc")),
        pd.DataFrame(np.asfortranarray(numbers), columns=list("abc")),
        pd.DataFrame({name: numbers[:, place].copy() for place, name in enumerate("abc")}),
        pd.concat(
            [pd.DataFrame(numbers[:, :1], columns=["a"]), pd.DataFrame(numbers[:, 1:], columns=["b", "c"])], axis=1
        ),
        pd.DataFrame(np.repeat(numbers, 2, 0), columns=list("abc"))[::2].reset_index(drop=True),
    ]
    assert len({digest(frame) for frame in frames}) == 1


def test_what_pandas_keeps_after_a_look_does_not_count(digest: Digest) -> None:
    frame = pd.DataFrame({"a": [3, 1, 2], "b": list("xyz")}, index=pd.Index([5, 6, 7]))
    before = digest(frame)
    _ = frame["a"], frame.index.is_unique, frame.index.get_loc(6), frame.columns.get_loc("b"), frame.T
    assert digest(frame) == before


def test_each_different_pandas_value_has_a_digest_of_its_own(digest: Digest) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    with_attrs, unique = frame.copy(), frame.set_flags(allows_duplicate_labels=False)
    with_attrs.attrs["source"] = "x"
    days = pd.date_range("2026-01-01", periods=3)
    pairs = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])
    texts = ["a", "b"]
    _assert_all_different(digest, [
        frame, frame[["b", "a"]], frame.rename(columns={"a": "c"}), frame.rename_axis("n"), frame.rename_axis("n",
        axis=1),
        frame.astype("f8"), frame.astype({"a": "i4"}), frame.set_axis([1, 2]), frame.set_axis([0, 1]), with_attrs,
        unique, frame.T,
        frame.iloc[:0], frame.iloc[:, :0], pd.DataFrame(), pd.DataFrame({"a": [1, 2]}), pd.Series([1, 2], name="a"),
        pd.Series([1, 2]),
        pd.Series([1, 2], index=[1, 2]), pd.Series([1, 2], dtype="Int64"), pd.Series([1, None], dtype="Int64"),
        pd.Series([1, 0], dtype="Int64"), pd.Series([1.0, np.nan]), pd.Series([1, 2], dtype="int64[pyarrow]"),
        pd.Series([True, False]),
        pd.Series([True, None], dtype="boolean"), pd.Series([True, False], dtype="boolean"), pd.Index([1, 2]),
        pd.RangeIndex(1, 3),
        pd.Index([1, 2], name="a"), pd.Index(texts), pd.Index(texts, dtype=object), pairs, pairs.set_names(["x",
        "y"]), pairs[:1],
        pairs[:1].remove_unused_levels(), days, pd.DatetimeIndex(list(days)), days.tz_localize("UTC"),
        days.as_unit("s"),
        days.tz_localize("Europe/Berlin"), days - days[0], days.to_period("D"), days.to_period("M"), pd.Series(days),
        pd.Series(days).dt.date,
        pd.Series(texts, dtype=object), pd.Series(texts, dtype="string"), pd.Series(texts, dtype="string[python]"),
        pd.Series(texts),
        pd.Series(texts, dtype="category"), pd.Series(pd.Categorical(texts, ["a", "b", "c"])),
        pd.Series(pd.Categorical(texts, ["b", "a"])),
        pd.Series(pd.Categorical(texts, ordered=True)), pd.arrays.SparseArray([0, 0, 1]), pd.arrays.SparseArray([0,
        1, 0]),
        pd.arrays.SparseArray([1, 1, 0], fill_value=1), pd.interval_range(0, 3), pd.interval_range(0, 3,
        closed="left"), pd.NA, pd.NaT,
        pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-01", tz="UTC"), pd.Timedelta(1), pd.Period("2026-01"),
        pd.Interval(0, 1),
        pd.CategoricalDtype(texts), pd.Int64Dtype(), pd.offsets.Day(1), pd.offsets.Day(2),
    ])  # fmt: skip


def test_what_lies_under_a_missing_value_does_not_count(digest: Digest) -> None:
    mask = np.array([False, True])
    left, right = (pd.Series(pd.arrays.IntegerArray(np.array([1, junk]), mask)) for junk in (7, 8))
    assert digest(left) == digest(right)


def test_string_columns_of_one_content_are_equal(digest: Digest) -> None:
    for dtype in ("string", "string[python]", "str", "category", object):
        whole = pd.Series(["x", "abc", "", "é"] * 30, dtype=dtype)
        sliced = pd.concat([whole, whole])[60:180].reset_index(drop=True)
        assert digest(pd.concat([whole[:50], whole[50:]], ignore_index=True)) == digest(whole)
        assert digest(sliced) == digest(pd.concat([whole[60:], whole[:60]], ignore_index=True))


def test_a_subclass_of_a_frame_keeps_what_it_adds(digest: Digest) -> None:
    class Measured(pd.DataFrame):
        _metadata = ["unit"]  # noqa: RUF012

    one, same, other = (Measured({"a": [1]}) for _ in range(3))
    one.unit = same.unit = "m"
    other.unit = "ft"
    assert digest(one) == digest(same)
    assert len({digest(one), digest(other), digest(pd.DataFrame({"a": [1]}))}) == 3


# -- Arrow --

_STRUCT = pa.struct([("x", pa.int8()), ("y", pa.string())])
_ARROW = {
    "int64": (pa.int64(), [1, None, 3, 4, 5]),
    "float": (pa.float32(), [1.0, 2.0, None, 4.0, 5.0]),
    "bool": (pa.bool_(), [True, None, False, True, True]),
    "string": (pa.string(), ["a", None, "", "bcd", "é"]),
    "large string": (pa.large_string(), ["a", None, "", "bcd", "é"]),
    "string view": (pa.string_view(), ["a", None, "", "bcd", "é" * 20]),
    "binary": (pa.binary(), [b"a", b"", b"bcd", None, b"e"]),
    "fixed": (pa.binary(2), [b"ab", None, b"cd", b"ef", b"gh"]),
    "null": (pa.null(), [None] * 5),
    "timestamp": (
        pa.timestamp("us", "UTC"),
        [datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), None, None, None, None],
    ),
    "date": (pa.date32(), [datetime.date(2026, 1, 1), None, None, None, None]),
    "decimal": (pa.decimal128(9, 2), [decimal.Decimal("1.25"), None, decimal.Decimal("2.00"), None, None]),
    "list": (pa.list_(pa.int32()), [[1, 2], None, [], [3, None], [4]]),
    "large list": (pa.large_list(pa.string()), [["a"], None, [], ["b", None], ["c"]]),
    "fixed list": (pa.list_(pa.int16(), 2), [[1, 2], None, [3, 4], [5, 6], [7, 8]]),
    "struct": (_STRUCT, [{"x": 1, "y": "a"}, None, {"x": None, "y": "b"}, {"x": 3, "y": None}, {"x": 4, "y": "c"}]),
    "list of structs": (pa.list_(_STRUCT), [[{"x": 1, "y": "a"}], None, [], [{"x": 2, "y": "b"}, None], []]),
    "map": (pa.map_(pa.string(), pa.int64()), [[("a", 1)], None, [], [("b", 2), ("c", None)], [("d", 4)]]),
    "dictionary": (pa.dictionary(pa.int32(), pa.string()), ["a", "b", None, "a", "b"]),
}


@pytest.mark.parametrize("name", _ARROW)
def test_chunks_and_offsets_do_not_count(digest: Digest, name: str) -> None:
    kind, values = _ARROW[name]
    array = pa.array(values, kind)
    padded = (
        pa.concat_arrays([pa.array(values[2:], kind), array, pa.array(values[:2], kind)])
        if name != "dictionary"
        else array
    )
    offset = 3 if name != "dictionary" else 0
    assert digest(padded.slice(offset, 5)) == digest(array)
    chunkings = [
        [array],
        [array[:2], array[2:]],
        [array[:0], array[:1], array[1:4], array[4:]],
        [padded.slice(offset, 5)],
    ]
    assert len({digest(pa.chunked_array(chunks, kind)) for chunks in chunkings}) == 1
    assert len({digest(pa.table({"a": pa.chunked_array(chunks, kind)})) for chunks in chunkings}) == 1
    assert len(
        {
            digest(array),
            digest(array[:4]),
            digest(array[1:]),
            digest(pa.array([values[1], values[0], *values[2:]], kind)),
        }
    ) >= 3 - (name == "null")
    assert digest(pa.ipc.open_stream(_stream(array)).read_all()) == digest(pa.table({"a": array}))


def _stream(array: pa.Array) -> pa.Buffer:
    table = pa.table({"a": array})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def test_what_lies_under_a_null_does_not_count(digest: Digest) -> None:
    validity = pa.py_buffer(b"\x05")
    left, right = (
        pa.Array.from_buffers(pa.int32(), 3, [validity, pa.array([1, junk, 3], pa.int32()).buffers()[1]])
        for junk in (7, 8)
    )
    padded = pa.Array.from_buffers(pa.int32(), 3, [pa.py_buffer(b"\xfd"), left.buffers()[1]])
    assert digest(left) == digest(right) == digest(padded) == digest(pa.array([1, None, 3], pa.int32()))


def test_each_different_arrow_value_has_a_digest_of_its_own(digest: Digest) -> None:
    arrays = [pa.array(values, kind) for kind, values in _ARROW.values()]
    column = arrays[0]
    _assert_all_different(digest, [
        *arrays, *(pa.chunked_array([array]) for array in arrays), pa.array([1, 0, 3, 4, 5]), pa.array([1, 2],
        pa.int32()),
        pa.array([1, 2], pa.uint32()), pa.array([1.0, 2.0]), pa.array(["ab", "c"]), pa.array(["a", "bc"]),
        pa.array(["abc", ""]),
        pa.array([[1], [2, 3]]), pa.array([[1, 2], [3]]), pa.table({"a": column}), pa.table({"b": column}),
        pa.table({"a": column, "b": column}),
        pa.table({"a": column}).replace_schema_metadata({"k": "v"}), pa.record_batch({"a": column}), pa.schema([("a",
        pa.int64())]),
        pa.schema([pa.field("a", pa.int64(), nullable=False)]), pa.field("a", pa.int64()), pa.int64(),
        pa.struct([("a", pa.int64())]),
        pa.struct([("a: int64, b", pa.int64())]), pa.struct([("a", pa.int64()), ("b", pa.int64())]), pa.scalar(1),
        pa.scalar(2),
        pa.scalar(None, pa.int64()), pa.scalar(1, pa.int32()), pa.py_buffer(b"a"), pa.py_buffer(b"b"),
    ])  # fmt: skip


# -- polars --


def test_polars_frames_of_one_content_are_equal(digest: Digest) -> None:
    frame = pl.DataFrame(
        {"a": [1, 2, None, 4], "b": ["x", None, "", "yz"], "c": [[1], None, [], [2, 3]], "d": [{"e": 1}] * 4}
    )
    pieces = pl.concat([frame[:1], frame[1:3], frame[3:]], rechunk=False)
    assert pieces.n_chunks() == 3
    assert digest(pieces) == digest(frame) == digest(pieces.rechunk()) == digest(pl.concat([frame, frame])[4:])


def test_categories_of_polars_do_not_depend_on_what_was_seen_before(digest: Digest) -> None:
    first = digest(pl.Series(["b", "a"], dtype=pl.Categorical))
    assert pl.Series(["zz", "yy"], dtype=pl.Categorical).len() == 2
    assert digest(pl.Series(["a", "b", "a"], dtype=pl.Categorical)[1:]) == first


def test_each_different_polars_value_has_a_digest_of_its_own(digest: Digest) -> None:
    _assert_all_different(digest, [
        pl.DataFrame(), pl.DataFrame({"a": [1]}), pl.DataFrame({"b": [1]}), pl.DataFrame({"a": [1], "b": [1]}),
        pl.DataFrame({"b": [1], "a": [1]}), pl.DataFrame({"a": []}), pl.Series("a", [1]), pl.Series("b", [1]),
        pl.Series([1]),
        pl.Series([1], dtype=pl.Int32), pl.Series([1.0]), pl.Series([None, 1]), pl.Series([0, 1]), pl.Series(["1"]),
        pl.Series([b"1"]),
        pl.Series(["1"], dtype=pl.Categorical), pl.Series(["1"], dtype=pl.Enum(["1"])), pl.Series(["1"],
        dtype=pl.Enum(["1", "2"])),
        pl.Series([[1], [2, 3]]), pl.Series([[1, 2], [3]]), pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int64, 2)),
        pl.Series([datetime.date(2026, 1, 1)]), pl.Series([datetime.datetime(2026, 1, 1)]),
        pl.Series([decimal.Decimal("1")]),
        pl.Series([datetime.datetime(2026, 1, 1)]).dt.replace_time_zone("UTC"), pl.Series([True]),
        pl.Series([object], dtype=pl.Object),
    ])  # fmt: skip


def test_a_plan_of_polars_has_no_digest(digest: Digest) -> None:
    with pytest.raises(Undigestable, match=r"collect\(\)"):
        digest(pl.DataFrame({"a": [1]}).lazy())
