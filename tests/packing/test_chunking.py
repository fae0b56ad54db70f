"""Chunks: where large objects are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.packing.chunking import FixedChunking
from tests.objects.values import modest

# -- fixed sizes


@modest
@given(st.integers(0, 1 << 20), st.integers(1 << 12, 1 << 16))
def test_cuts_of_a_size_cover_the_object_exactly(length: int, size: int) -> None:
    cuts = list(FixedChunking(size).cuts(memoryview(bytes(length))))
    end = 0
    for offset, taken in cuts:
        assert offset == end
        assert 0 < taken <= size
        end += taken
    assert end == length
    assert all(taken == size for _, taken in cuts[:-1])


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, []),
        (1, [(0, 1)]),
        (4095, [(0, 4095)]),
        (4096, [(0, 4096)]),
        (4097, [(0, 4096), (4096, 1)]),
        (8192, [(0, 4096), (4096, 4096)]),
    ],
)
def test_cuts_of_a_size_at_the_edges(length: int, expected: list[tuple[int, int]]) -> None:
    assert list(FixedChunking(4096).cuts(memoryview(bytes(length)))) == expected
