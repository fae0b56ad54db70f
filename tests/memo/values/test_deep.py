"""Deep values, and values that hold themselves."""

from __future__ import annotations

import copy
import inspect
import itertools
import random
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.errors import Undigestable
from hitsave.memoisation.values.deep import encode_deep
from hitsave.memoisation.values.digest import ValueDigester, digest_value
from tests.memo.values.conftest import refer
from tests.memo.values.test_plain import DIFFERENT

Digest = Callable[[object], str]


class Node:
    def __init__(self, value: object = None) -> None:
        self.value = value
        self.next: Node | None = None
        self.previous: Node | None = None
        self.near: Any = ()


def _linked(values: list[object], both_ways: bool = True) -> Node:
    nodes = [Node(value) for value in values]
    for left, right in itertools.pairwise(nodes):
        left.next = right
        right.previous = left if both_ways else None
    return nodes[0]


def test_the_deep_way_gives_what_the_quick_way_gives() -> None:
    for value in DIFFERENT:
        quick, deep = ValueDigester(refer), ValueDigester(refer)
        quick._write([value, value], 0)
        assert bytes(quick.out) == encode_deep(deep, [value, value], "value"), repr(value)


def test_a_hundred_thousand_levels(digest: Digest) -> None:
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    other: object = 2
    for _ in range(100_000):
        other = [other]
    assert digest(deep) != digest(other)
    assert digest([deep, deep]) == digest([deep, deep])


def test_a_caller_near_the_recursion_limit_can_digest(digest: Digest) -> None:
    value = [[[[[[Node(1)]]]]]]
    expected = digest(value)

    def descend(levels: int) -> str:
        return descend(levels - 1) if levels else digest(value)

    depth = len(inspect.stack())
    found = []
    for room in range(15, 75, 3):
        try:
            found.append(descend(sys.getrecursionlimit() - depth - room))
        except RecursionError:
            continue
    assert set(found) == {expected}


def test_long_lists_of_nodes(digest: Digest) -> None:
    for both_ways in (False, True):
        values: list[object] = list(range(10_000))
        alike = [0] * 3000
        assert digest(_linked(values, both_ways)) == digest(_linked(values, both_ways))
        assert digest(_linked(alike, both_ways)) != digest(_linked(alike[1:], both_ways))


def test_cycles_are_told_apart(digest: Digest) -> None:
    one: list[Any] = []
    one.append(one)
    two: list[Any] = [[]]
    two[0].append(two)
    pair: list[Any] = [1]
    pair.append(pair)
    other: list[Any] = [2]
    other.append(other)
    ring, longer = [[]], [[[]]]  # type: ignore[var-annotated]
    ring[0] += [ring, 1]
    longer[0][0] += [longer, 1]
    own: dict[str, Any] = {}
    own["self"] = own
    # A list that holds itself, and one that holds a list that holds it, look alike however far they are followed.
    assert digest(one) == digest(two)
    assert len({digest(value) for value in (one, pair, other, ring, longer, own, [], [[]], [1, []])}) == 9


def test_a_cycle_has_one_digest_wherever_it_is_entered_and_whatever_was_seen_before(digest: Digest) -> None:
    first, second = Node(1), Node(2)
    first.next, second.next = second, first
    again, same = copy.deepcopy([first, second])
    assert digest([first, second]) == digest([again, second]) == digest([first, same])
    assert digest({"a": second, "b": first}) == digest({"a": same, "b": again})
    assert digest(first) != digest(second)
    digester = ValueDigester(refer)
    assert digester.digest(second) == digest_value(second, refer)
    assert digester.digest(first) == digest_value(first, refer)


def _grid(side: int, seed: int) -> list[Node]:
    """Nodes that know their neighbours, in sets: the order in which these are walked changes from run to run."""
    grid = {(row, column): Node((row, column)) for row in range(side) for column in range(side)}
    keep = []
    for (row, column), node in grid.items():
        places = [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
        random.Random(seed).shuffle(places)
        keep.append(bytearray(seed * 16))
        node.near = {grid[place] for place in places if place in grid}
    return list(grid.values())


def test_graphs_take_no_exponential_time(digest: Digest) -> None:
    assert len({digest(_grid(20, seed)[0]) for seed in (1, 2, 3)}) == 1
    grid = _grid(20, 1)
    before = digest(grid[0])
    grid[-1].value = "changed"
    assert digest(grid[0]) != before


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=5))
def test_graphs_are_equal_exactly_where_no_walk_tells_them_apart(rows: list[tuple[int, int, int]]) -> None:
    nodes: list[list[Any]] = [[value] for value, _, _ in rows]
    for node, (_, left, right) in zip(nodes, rows, strict=True):
        node += [nodes[left % len(nodes)], nodes[right % len(nodes)]]
    colours = [node[0] for node in nodes]
    for _ in nodes:
        known = {id(node): colour for node, colour in zip(nodes, colours, strict=True)}
        colours = [hash((node[0], known[id(node[1])], known[id(node[2])])) for node in nodes]
    for left in range(len(nodes)):
        for right in range(len(nodes)):
            if digest_value(nodes[left], refer) == digest_value(nodes[right], refer):
                assert colours[left] == colours[right]
    copied = copy.deepcopy(nodes)
    for node, twin in zip(nodes, copied, strict=True):
        assert digest_value(node, refer) == digest_value(twin, refer)


def test_a_value_without_end_is_refused(digest: Digest, monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless:
        def __getstate__(self) -> object:
            return {"next": Endless()}

    monkeypatch.setattr("hitsave.memoisation.values.deep._DEEPEST", 1000)
    with pytest.raises(Undigestable, match=r"value.*\.\.\.: .* levels deep"):
        digest(Endless())
