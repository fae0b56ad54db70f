"""Values as short texts."""

from __future__ import annotations

import enum
import json
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.memoisation.code.describe import LONGEST, describe


class _Colour(enum.Enum):
    RED = 1


class _Plain:
    def __init__(self) -> None:
        self.x = 1

    def __repr__(self) -> str:
        raise AssertionError("code of the project must not run")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        ("a", "'a'"),
        (True, "True"),
        (None, "None"),
        ([1, (2,)], "[1, (2,)]"),
        ({"a": {1}}, "{'a': {1}}"),
        (frozenset([1]), "frozenset({1})"),
        (describe, "hitsave.memoisation.code.describe.describe"),
        (json, "module json"),
        (_Colour.RED, "_Colour.RED"),
        (_Plain(), "_Plain(x=1)"),
        (PurePosixPath("a"), "PurePosixPath('a')"),
    ],
)
def test_texts(value: object, text: str) -> None:
    assert describe(value) == text


def test_long_and_deep_values() -> None:
    assert describe(10**5000) == "an int of 16610 bits"
    assert describe("x" * 10**6).endswith("...")
    assert len(describe(list(range(10**5)))) <= LONGEST
    assert "(100000 in all)" in describe([0] * 10**5)
    loop: list[object] = []
    loop.append(loop)
    assert len(describe(loop)) <= LONGEST
    wide = [["x" * 1000] * 100] * 100
    assert len(describe(wide)) <= LONGEST


def test_what_is_wide_at_every_level_is_looked_at_only_as_far_as_it_is_shown() -> None:
    looked_at = []

    class _Leaf:
        @property
        def shape(self) -> None:
            looked_at.append(1)

    nested: object = _Leaf()
    for _ in range(4):
        nested = [nested] * 50
    assert len(describe(nested)) == LONGEST
    assert len(looked_at) < 20_000


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(_VALUES, st.integers(10, 3000))
def test_every_value_has_a_text_that_is_short_enough(value: object, longest: int) -> None:
    assert len(describe(value, longest)) <= longest
