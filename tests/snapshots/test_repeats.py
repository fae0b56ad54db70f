"""A few directories that stand for more files than anybody has: whoever walks them ends, and says why."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from hitsave.errors import ObjectError
from hitsave.objects.digest import Digest, blob_digest, tree_digest
from hitsave.objects.encoding import encode_tree, tree_from
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.snapshots import names
from hitsave.snapshots.diff import bring_differing, diff_trees
from hitsave.snapshots.layout import plan_layout
from hitsave.snapshots.names import walk
from tests.snapshots.test_diff import Store


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MOST_REPEATED", 1000)


def put(store: Store, entries: Iterable[TreeEntry]) -> Digest:
    encoded = encode_tree(tree_from(entries))
    store.trees[tree_digest(encoded)] = encoded
    return tree_digest(encoded)


def doubled(store: Store, content: bytes, depth: int = 40, size: int = 1) -> Digest:
    """A directory that holds another one twice, and so on; `size` may be a lie."""
    entries = [TreeEntry(name, EntryKind.FILE, blob_digest(content), len(content)) for name in (b"a", b"b")]
    for _ in range(depth):
        tree = put(store, entries)
        entries = [TreeEntry(name, EntryKind.TREE, tree, size, 1) for name in (b"a", b"b")]
    return put(store, entries)


WALKS: dict[str, Callable[[Store, Digest], object]] = {
    "listing": lambda store, root: list(walk(root, store.load)),
    "checkout": lambda store, root: plan_layout(root, store.load),
    "added": lambda store, root: list(diff_trees(None, root, store.load, store.load)),
    "removed": lambda store, root: list(diff_trees(root, None, store.load, store.load)),
    "changed": lambda store, root: list(diff_trees(root, doubled(store, b"2"), store.load, store.load)),
    "the same in other words": lambda store, root: list(
        diff_trees(root, doubled(store, b"1", size=2), store.load, store.load)
    ),
}


@pytest.mark.parametrize("name", WALKS)
def test_what_comes_over_and_over_ends(name: str) -> None:
    store = Store()
    root = doubled(store, b"1")
    with pytest.raises(ObjectError, match="over and over"):
        WALKS[name](store, root)
    assert len(store.read) < 5000


def test_trees_are_brought_once_each() -> None:
    store, brought = Store(), list[Digest]()
    bring_differing(doubled(store, b"1"), doubled(store, b"2"), store.load, brought.extend)
    assert len(brought) == len(set(brought)) == len(store.trees)


def test_copies_are_nothing_odd() -> None:
    store = Store()
    files = [TreeEntry(b"%d" % at, EntryKind.FILE, blob_digest(b"x"), 1) for at in range(200)]
    inner = put(store, files)
    root = put(store, [TreeEntry(b"%d" % at, EntryKind.TREE, inner, 200, 200) for at in range(20)])
    assert len(plan_layout(root, store.load).files) == 20 * 200
    assert len(list(walk(root, store.load))) == 20 * 201
    assert len(list(diff_trees(None, root, store.load, store.load))) == 20 * 200
