"""Files of numpy: what their headers say and their first values; never a pickle, and never a fault."""

from __future__ import annotations

import io
import pickle
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.server.pages.numpyfiles import NumpyFile, Unreadable, read_numpy
from hitsave.server.pages.previews import DumpPreview, TablePreview, preview
from hitsave.server.words import show_number


def saved(array: Any, **settings: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **settings)
    return file.getvalue()


def read(content: bytes) -> NumpyFile:
    return read_numpy(io.BytesIO(content), len(content))


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<f2", "<i2", ">i8", "|u1", "<u8", "|b1"])
@pytest.mark.parametrize("shape", [(), (3,), (0,), (2, 3), (300, 30), (0, 3), (2, 3, 4), (3, 0, 2)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_first_values_are_shown(dtype: str, shape: tuple[int, ...], order: str) -> None:
    array = np.asarray(np.random.default_rng(1).normal(size=shape) * 50).astype(dtype, order=order)
    found = read(saved(array))
    assert found.shape == shape
    matrix = array.reshape(-1, 1) if array.ndim < 2 else array[(0,) * (array.ndim - 2)] if array.size else array[:0]
    limit = 100 if array.ndim < 2 else 20
    show = str if array.dtype.kind in "iub" else lambda value: show_number(float(value))
    assert found.rows == tuple(tuple(show(cell) for cell in row[:20]) for row in matrix[:limit] if array.size)


def test_texts_and_complex_numbers() -> None:
    assert read(saved(np.array(["ab", "\u00fc"]))).rows == (("ab",), ("\u00fc",))
    assert read(saved(np.array([b"ab", b"c"]))).rows == (("ab",), ("c",))
    assert read(saved(np.array([1 + 2j]))).rows == (("1, 2i",),)


class Bomb:
    def __reduce__(self) -> Any:
        return pytest.fail, ("it was unpickled",)


def test_objects_are_told_and_not_read() -> None:
    array = np.empty(1, dtype=object)
    content = saved(array)
    content = content[: content.index(b"\n") + 1] + pickle.dumps(Bomb())
    found = preview(io.BytesIO(content), b"x.npy", len(content))
    assert isinstance(found.shown, DumpPreview)
    assert "Python objects" in found.note
    content = saved(np.zeros(2, dtype=[("a", "<f4"), ("b", "S3")]))
    records = preview(io.BytesIO(content), b"x.npy", len(content))
    assert "records" in records.note


def test_a_page_says_what_is_shown_of_how_much() -> None:
    content = saved(np.zeros((300, 30)))
    shown = preview(io.BytesIO(content), b"x.npy", len(content)).shown
    assert isinstance(shown, TablePreview)
    assert (shown.about, len(shown.rows), len(shown.names), shown.cut) == (
        "numpy array, float64, 300 \u00d7 30",
        20,
        20,
        True,
    )
    content = saved(np.zeros((2, 2)))
    shown = preview(io.BytesIO(content), b"x", len(content)).shown
    assert isinstance(shown, TablePreview)
    assert not shown.cut


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_are_shown_or_refused(noise: bytes, at: int) -> None:
    content = bytearray(saved(np.zeros((3, 4))))
    content[at : at + len(noise)] = noise
    for data in (bytes(content), bytes(content[:at]), b"\x93NUMPY" + noise):
        with suppress(Unreadable):
            assert len(read(data).rows) <= 100


@pytest.mark.parametrize("shape", ["9999999999999999999, 2", "4, 9999999999999999999", "9, " * 40])
def test_a_header_that_lies_is_refused(shape: str) -> None:
    header = f"{{'descr': '<f8', 'fortran_order': True, 'shape': ({shape}), }}".encode()
    with pytest.raises(Unreadable):
        read(b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + bytes(100))
