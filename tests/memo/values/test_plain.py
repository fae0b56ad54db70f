"""Values of Python's own types: equal ones have equal digests, all others have others."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import fractions
import functools
import math
import operator
import pathlib
import random
import re
import struct
import types
import uuid
import zoneinfo
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from hitsave.memoisation.values.digest import digest_value
from tests.memo.values.conftest import refer

Digest = Callable[[object], str]

_SUMMER = datetime.datetime(2026, 10, 25, 2, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))

#: No two of these are the same to a function.
DIFFERENT: list[object] = [
    None, True, False, 0, 1, -1, 255, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**5000, -(10**5000),
    0.0, -0.0, 1.0, math.inf, -math.inf, math.nan, struct.unpack("<d", b"\1\0\0\0\0\0\xf8\x7f")[0], 5e-324,
    0j, complex(-0.0, 0.0), complex(0.0, -0.0), 1 + 0j, 1j, ..., NotImplemented,
    "", "a", "1", "é", "e\u0301", "\ud800", "\ud800\udc00", "\U00010000", "a" * 1014, "a" * 1015, "a" * 1016,
    "a" * 5000,
    b"", b"a", b"1", bytes(1014), bytes(1015), bytes(1016), bytes(5000),
    bytearray(), bytearray(b"a"), bytearray(5000), memoryview(b"a"), memoryview(bytearray(b"a")), memoryview(b"a")[:0],
    memoryview(b"abcd").cast("B", (2, 2)), memoryview(b"abcd").cast("H"), memoryview(b"abcd"),
    [], [1], [1.0], [True], [[1]], [[1], [1]], [[[1], [1]]], [1, 2], [12], ["12"], ["1", "2"], ["a", ""], ["", "a"],
    (), (1,), (1.0,), ((1,),), (1, 2), ((), ()), [(), ()], list(range(64)), tuple(range(64)), [*range(63), 63.0],
    [*range(63), True], [*range(63), 2**64], list(map(float, range(64))), list(map(str, range(64))),
    ["ab", *["c"] * 63], ["a", "bc", *["c"] * 62], [*map(str, range(63)), b"63"],
    {}, {1: 2}, {2: 1}, {1: 2, 3: 4}, {3: 4, 1: 2}, {"1": 2}, {(1,): 2}, {1: {}}, {1: []},
    set(), {1}, {1, 2}, {(1, 2)}, frozenset(), frozenset({1}), frozenset({1, 2}), {frozenset({1}), frozenset({2})},
    {frozenset({1, 2})}, range(3), range(0, 4, 2), range(0, 3, 2), slice(3), slice(0, 3), slice(None),
    collections.OrderedDict(), collections.OrderedDict({1: 2}), collections.OrderedDict({1: 2, 3: 4}),
    collections.OrderedDict({3: 4, 1: 2}), collections.defaultdict(list), collections.defaultdict(int),
    collections.defaultdict(None), collections.defaultdict(int, {1: 2}), collections.Counter("aab"),
    collections.Counter("baa"),
    collections.deque(), collections.deque([1]), collections.deque([1], 3), collections.deque([None]),
    collections.ChainMap({1: 2}), collections.ChainMap({}, {1: 2}), types.MappingProxyType({1: 2}),
    types.SimpleNamespace(), types.SimpleNamespace(a=1), types.SimpleNamespace(a=2), types.SimpleNamespace(b=1),
    {1: 2}.keys(), {1: 2}.values(), {1: 2}.items(), {2: 1}.values(),
    datetime.date(2026, 1, 2), datetime.datetime(2026, 1, 2), datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
    _SUMMER, _SUMMER.replace(fold=1), _SUMMER.astimezone(datetime.UTC),
    _SUMMER.replace(tzinfo=zoneinfo.ZoneInfo("Europe/Paris")),
    datetime.time(2), datetime.time(2, fold=1), datetime.time(2, tzinfo=datetime.UTC), datetime.timedelta(1),
    datetime.timedelta(seconds=1), datetime.UTC, datetime.timezone(datetime.timedelta(hours=1)),
    datetime.timezone(datetime.timedelta(hours=1), "CET"), zoneinfo.ZoneInfo("UTC"), zoneinfo.ZoneInfo("Europe/Berlin"),
    decimal.Decimal("1"), decimal.Decimal("1.0"), decimal.Decimal("-0"), decimal.Decimal("0"), decimal.Decimal("nan"),
    decimal.Decimal("1E+2"), decimal.Decimal("100"), fractions.Fraction(1), fractions.Fraction(1, 2),
    uuid.UUID(int=1), uuid.UUID(int=2), re.compile("a"), re.compile("a", re.I), re.compile(b"a"), re.compile("b"),
    pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a"), pathlib.Path("a"), pathlib.Path("/a"), pathlib.Path("b"),
    array.array("i", [1, 2]), array.array("l", [1, 2]), array.array("i"), array.array("d", [1, 2]), array.array("B",
    b"a"),
    functools.partial(int), functools.partial(int, 1), functools.partial(int, base=2), functools.partial(float),
    operator.itemgetter(1), operator.itemgetter(1, 2), operator.attrgetter("a"), operator.methodcaller("a", 1),
    int, bool, len, abs, print, math, operator, [].append, [1].append, [].extend, str.upper, str.lower, "a".upper,
    "b".upper,
    int.__add__, (1).__add__, dict.fromkeys, collections.OrderedDict.fromkeys, list[int], list[str], int | str,
    int | None,
    ValueError("a"), ValueError("b"), KeyError("a"), ValueError("a", 1), random.Random(1), random.Random(2),
]  # fmt: skip


def test_each_different_value_has_a_digest_of_its_own(digest: Digest) -> None:
    seen: dict[str, object] = {}
    for value in DIFFERENT:
        for shape in (value, ["in", value], {"in": value}):
            found = digest(shape)
            assert found not in seen, f"{shape!r} and {seen[found]!r}"
            seen[found] = shape


def test_equal_values_made_in_different_ways_have_one_digest(digest: Digest) -> None:
    text = "".join(["in", "terned?"])
    one = [1, 2]
    pairs: list[tuple[object, object]] = [
        (["interned?", "interned?"], [text, "".join(["in", "terned?"])]),
        ([one, one], [[1, 2], [1, 2]]),
        ({1, 1000, "a", (2,)}, {(2,), "a", 1000, 1}),
        ({8, 0}, {0, 8}),
        (frozenset({frozenset({8, 0})}), frozenset({frozenset({0, 8})})),
        (list(range(1000)), [*range(500), *range(500, 1000)]),
        (10**30, int("1" + "0" * 30)),
        (memoryview(b"abcdef")[::2], memoryview(b"ace")),
        (types.SimpleNamespace(a=1, b=2), types.SimpleNamespace(b=2, a=1)),
        (re.compile("a(b)"), re.compile("".join(["a", "(b)"]))),
        (random.Random(5), random.Random(5)),
        (pathlib.Path("a//b"), pathlib.Path("a/b")),
    ]
    for left, right in pairs:
        assert digest(left) == digest(right), f"{left!r} and {right!r}"


def test_a_chain_of_shared_lists_is_digested_once_for_each(digest: Digest) -> None:
    value: object = "x" * 2000
    for level in range(500):
        value = [value, value, level]
    assert digest(value) == digest(value)


def test_a_callable_object_is_asked_for_once(digest: Digest) -> None:
    asked: list[object] = []

    def label(thing: object) -> str:
        asked.append(thing)
        return "f"

    digest_value([len, [len, {"a": len}], abs], label)
    assert asked == [len, abs]


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
_HASHABLE = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=2) | st.floats(allow_nan=False, width=16),
    lambda inner: st.frozensets(inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=6,
)
_VALUES = st.recursive(
    _SCALARS | _HASHABLE | st.sets(_HASHABLE, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(_HASHABLE, inner, max_size=3)
        | st.lists(st.integers(), min_size=62, max_size=66)
    ),
    max_leaves=8,
)


def _canonical(value: object) -> str:
    """Another text that only equal values share."""
    if isinstance(value, float):
        return "float " + struct.pack("<d", value).hex()
    if isinstance(value, complex):
        return "complex " + struct.pack("<dd", value.real, value.imag).hex()
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({','.join(map(_canonical, value))})"
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__}({','.join(sorted(map(_canonical, value)))})"
    if isinstance(value, dict):
        return "dict(" + ",".join(f"{_canonical(key)}:{_canonical(item)}" for key, item in value.items()) + ")"
    return f"{type(value).__name__} {value!r}"


@given(_VALUES, _VALUES)
def test_digests_are_equal_exactly_where_values_are(left: object, right: object) -> None:
    same = _canonical(left) == _canonical(right)
    assert (digest_value(left, refer) == digest_value(right, refer)) == same


#: No element equals one of another type, as 1 and True do: which of the two a set keeps depends on which came first.
_ELEMENTS = st.recursive(
    st.integers() | st.text(max_size=2), lambda inner: st.frozensets(inner, max_size=4) | st.tuples(inner), max_leaves=6
)


@given(st.lists(_ELEMENTS, max_size=8), st.randoms())
def test_the_order_in_which_a_set_was_filled_does_not_count(elements: list[object], shuffled: random.Random) -> None:
    others = list(elements)
    shuffled.shuffle(others)
    assert digest_value(set(elements), refer) == digest_value(set(others), refer)
    assert digest_value(frozenset(elements), refer) == digest_value(frozenset(others), refer)
