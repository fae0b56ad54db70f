"""A tree as a mapping that decodes entries one by one: the same as the tree, and no less strict."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given

from hitsave.errors import MalformedObject
from hitsave.objects.encoding import decode_tree, encode_tree
from hitsave.objects.model import Tree
from hitsave.objects.treetable import TreeTable
from tests.objects.values import modest, mutations, trees


@modest
@given(trees)
def test_it_holds_what_the_tree_holds(tree: Tree) -> None:
    table = TreeTable(encode_tree(tree))
    assert len(table) == len(tree.entries)
    assert [*table] == [entry.name for entry in tree.entries]
    assert [*table.values()] == [*tree.entries]
    assert [*table.items()] == [(entry.name, entry) for entry in tree.entries]
    for entry in tree.entries:
        assert table[entry.name] == entry
        for other in (entry.name + b"x", entry.name[:-1], b""):
            assert table.get(other) == tree.get(other)


@modest
@given(trees.map(encode_tree).flatmap(mutations))
def test_what_is_no_tree_is_refused_alike(data: bytes) -> None:
    def told(decode: Callable[[bytes], object]) -> str:
        try:
            decode(data)
        except MalformedObject as error:
            return str(error)
        return ""

    assert told(TreeTable) == told(decode_tree)
