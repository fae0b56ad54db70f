"""Arrays of numpy: equal whatever their layout, different by dtype, shape and content."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.memoisation.values.digest import digest_value
from tests.memo.values.conftest import refer

Digest = Callable[[object], str]
_LARGE = (5000, 5000)


def _layouts(array: np.ndarray) -> dict[str, np.ndarray]:
    """The same array, lying in memory in other ways."""
    wide = np.zeros((*array.shape[:-1], array.shape[-1] * 3), array.dtype)
    wide[..., ::3] = array
    return {
        "C": array,
        "F": np.asfortranarray(array),
        "strided": wide[..., ::3],
        "negative": array[::-1, ::-1].copy()[::-1, ::-1],
        "inner axis first": np.ascontiguousarray(np.moveaxis(array, -1, 0)).transpose(*range(1, array.ndim), 0),
        "read-only": _read_only(array),
    }


def _read_only(array: np.ndarray) -> np.ndarray:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


@pytest.mark.parametrize(
    "dtype", ["f8", "f4", "i2", "u1", "?", "c16", "M8[s]", "m8[ns]", "U3", "S3", ">f8", "O", "V4", "g"]
)
@pytest.mark.parametrize("shape", [(3, 4), (1, 5), (5, 1), (0, 3), (2, 3, 4), (700, 900)])
def test_the_layout_does_not_count(digest: Digest, dtype: str, shape: tuple[int, ...]) -> None:
    numbers = np.arange(int(np.prod(shape))).reshape(shape) % 251
    array = numbers.astype("i4").view("V4") if dtype == "V4" else numbers.astype(dtype)
    found = {name: digest(one) for name, one in _layouts(array).items()}
    assert set(found.values()) == {found["C"]}


def test_broadcast_arrays_are_what_they_look_like(digest: Digest) -> None:
    row = np.arange(10.0)
    assert digest(np.broadcast_to(row, (7, 10))) == digest(np.tile(row, (7, 1)))


def test_a_memory_map_is_the_array_that_it_holds(digest: Digest, tmp_path: Path) -> None:
    array = np.arange(1000.0)
    np.save(tmp_path / "a.npy", array)
    assert digest(np.load(tmp_path / "a.npy", mmap_mode="r")) == digest(array)


def test_each_different_array_has_a_digest_of_its_own(digest: Digest) -> None:
    padded = np.dtype({"names": ["a", "b"], "formats": ["u1", "f8"]}, align=True)
    packed = np.dtype({"names": ["a", "b"], "formats": ["u1", "f8"]})
    masked = np.ma.MaskedArray([1.0, 2.0], [True, False])
    different = [
        np.zeros(0), np.zeros((0, 1)), np.zeros((1, 0)), np.zeros(0, "f4"), np.zeros(()), np.zeros(1), np.zeros((1, 1)),
        np.float64(0), np.float32(0), np.int64(0), np.uint64(0), np.longlong(0) + np.longlong(1), np.bool_(False),
        0.0, 0, False,
        [0.0], np.array([0.0, 1.0]), np.array([-0.0, 1.0]), np.array([0.0, 1.0], ">f8"), np.array([0, 1]),
        np.array([0, 1], "i4"),
        np.array([0, 1], "M8[s]"), np.array([0, 1], "M8[ns]"), np.array([0, 1], "m8[s]"), np.array(["a"]),
        np.array(["a"], "U2"),
        np.array([b"a"]), np.array(["a"], object), np.array([b"a"], object), np.array([["a"]], object), np.str_("a"),
        np.bytes_(b"a"),
        np.array([None]), np.array([[1], [2]], object), np.array([1, 2], object), np.zeros(1, padded), np.zeros(1,
        packed),
        np.zeros((), padded), np.zeros(1, padded)[0], np.zeros(1, [("a", "u1"), ("c", "f8")]), np.zeros(1, [("a",
        "f8", 2)]),
        np.zeros((1, 2), [("a", "f8")]), np.zeros(1, [("a", object)]), np.array(["a"], np.dtypes.StringDType()),
        np.array(["b"], np.dtypes.StringDType()), np.array(["a"], np.dtypes.StringDType(na_object=None)),
        np.matrix([[1.0]]), np.array([[1.0]]), np.rec.array([(1,)], dtype=[("a", "i8")]), np.array([(1,)],
        dtype=[("a", "i8")]),
        masked, np.ma.MaskedArray([1.0, 2.0], [False, True]), np.ma.MaskedArray([1.0, 2.0]),
        np.ma.MaskedArray([1.0, 2.0], [True, False], fill_value=7), np.dtype("f8"), np.dtype("f4"), np.float64,
        padded, packed,
        np.random.default_rng(1), np.random.default_rng(2), np.random.RandomState(1), np.add, np.subtract,
        np.poly1d([1, 2]),
        np.arange(1000.0), np.arange(1000), np.longdouble(1) / 3, np.longdouble(1), np.zeros(3, "V2"), np.zeros(3,
        "V3"),
    ]  # fmt: skip
    found: dict[str, object] = {}
    for value in different:
        assert digest(value) not in found, f"{value!r} and {found[digest(value)]!r}"
        found[digest(value)] = value


def test_bytes_between_the_fields_do_not_count(digest: Digest) -> None:
    padded = np.dtype({"names": ["a", "b"], "formats": ["u1", "f8"]}, align=True)
    clean, dirty = np.zeros(3, padded), np.full(3 * padded.itemsize, 255, "u1").view(padded)
    dirty["a"], dirty["b"] = 0, 0
    assert clean.tobytes() != dirty.tobytes()
    assert digest(clean) == digest(dirty)


@pytest.mark.skipif(np.finfo("g").nmant != 63, reason="long doubles have no padding here")
def test_the_padding_of_long_doubles_does_not_count(digest: Digest) -> None:
    clean = np.arange(5, dtype="g")
    dirty = clean.copy()
    dirty.view("u1").reshape(5, -1)[:, 10:] = 255
    assert digest(clean) == digest(dirty)


def test_the_state_of_a_generator_counts(digest: Digest) -> None:
    left, right = np.random.default_rng(1), np.random.default_rng(1)
    assert digest(left) == digest(right)
    right.random()
    assert digest(left) != digest(right)


def test_a_subclass_keeps_its_attributes(digest: Digest) -> None:
    class Measured(np.ndarray):
        unit = "m"

    metres, others, feet = (np.arange(3.0).view(Measured) for _ in range(3))
    feet.unit = "ft"
    assert digest(metres) == digest(others)
    assert len({digest(metres), digest(feet), digest(np.arange(3.0))}) == 3


_LAYOUTS = {
    "C": lambda: np.zeros(_LARGE),
    "F": lambda: np.zeros(_LARGE).T,
    "reversed": lambda: np.zeros(_LARGE)[::-1, ::-1],
    "strided": lambda: np.zeros((5000, 10000))[:, ::2],
    "one long row": lambda: np.zeros((1, 50_000_000))[:, ::2],
}


@pytest.mark.parametrize("layout", _LAYOUTS)
def test_an_array_of_200_mb_is_not_copied(digest: Digest, layout: str) -> None:
    array = _LAYOUTS[layout]()
    tracemalloc.start()
    try:
        digest(array)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


def test_a_large_array_met_twice_is_hashed_once(digest: Digest) -> None:
    class Counted(np.ndarray):
        views = 0

        def view(self, *args: object) -> np.ndarray:  # type: ignore[override]
            Counted.views += 1
            return super().view(*args)  # type: ignore[arg-type]

    array = np.zeros(10000).view(Counted)
    Counted.views = 0
    digest([array, {"again": array}])
    assert Counted.views == 1


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=3),
    st.lists(st.integers(0, 3), min_size=1, max_size=3),
    st.sampled_from(["i1", "u1", "i2", "S1"]),
    st.sampled_from(["i1", "u1", "i2", "S1"]),
)
def test_arrays_are_equal_exactly_where_dtype_shape_and_bytes_are(
    left: list[int], right: list[int], left_type: str, right_type: str
) -> None:
    one, other = np.zeros(left, left_type), np.zeros(right, right_type)
    same = (left, left_type) == (right, right_type)
    assert (digest_value(one, refer) == digest_value(other, refer)) == same
