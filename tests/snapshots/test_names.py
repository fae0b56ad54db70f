"""Paths inside trees lead where they say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.errors import ObjectNotFound
from hitsave.objects.digest import Digest, blob_digest
from hitsave.objects.encoding import encode_tree
from hitsave.objects.model import EntryKind, Tree, TreeEntry
from hitsave.snapshots.names import entry_at, walk
from tests.objects.values import modest
from tests.snapshots.test_diff import ONE, Folder, Leaf, Store, folders

SOME: Folder = {
    b"a": Leaf(EntryKind.EXECUTABLE, b"run"),
    b"d": {b"e": {b"f": ONE}, b"empty": {}, b"link": Leaf(EntryKind.SYMLINK, b"e/f")},
    b"\xff": ONE,
}


def every_path(folder: Folder, prefix: bytes = b"") -> list[bytes]:
    """All paths beneath a directory, directories before what they hold, by name."""
    found = []
    for name in sorted(folder):
        found.append(prefix + name)
        inner = folder[name]
        if isinstance(inner, dict):
            found += every_path(inner, prefix + name + b"/")
    return found


@modest
@given(folders)
def test_a_walk_meets_every_path_in_order(folder: Folder) -> None:
    store = Store()
    root = store.put(folder)
    found = list(walk(root.digest, store.load))
    assert [path for path, _ in found] == every_path(folder)
    assert sum(entry.kind is not EntryKind.TREE for _, entry in found) == root.files
    assert sum(entry.size for _, entry in found if entry.kind is not EntryKind.TREE) == root.size
    for path, entry in found:
        assert path.rsplit(b"/")[-1] == entry.name
        assert entry_at(root.digest, path, store.load) == entry


@modest
@given(folders, st.lists(st.sampled_from([b"a", b"b", b"a.b", b"missing", b"..", b"\xff"]), min_size=1, max_size=4))
def test_a_path_that_is_not_there_gives_none(folder: Folder, parts: list[bytes]) -> None:
    store = Store()
    path = b"/".join(parts)
    found = entry_at(store.put(folder).digest, path, store.load)
    assert (found is not None) == (path in every_path(folder))


@pytest.mark.parametrize("path", [b"", b".", b"/", b"./"])
def test_an_empty_path_is_the_root(path: bytes) -> None:
    store = Store()
    root = store.put(SOME)
    found = entry_at(root.digest, path, store.load)
    assert found is not None
    assert (found.kind, found.digest) == (EntryKind.TREE, root.digest)


@pytest.mark.parametrize("path", [b"d/e/f", b"d//e/f", b"./d/./e/f", b"/d/e/f"])
def test_empty_parts_and_dots_stay(path: bytes) -> None:
    store = Store()
    found = entry_at(store.put(SOME).digest, path, store.load)
    assert found == TreeEntry(b"f", EntryKind.FILE, blob_digest(b"1"), 1)


@pytest.mark.parametrize("path", [b"a/x", b"d/link/f", b"d/..", b"..", b"d/e/f/g", b"D", b"d/empty/x"])
def test_nothing_lies_beneath_files_and_links_and_above(path: bytes) -> None:
    store = Store()
    assert entry_at(store.put(SOME).digest, path, store.load) is None


def test_only_the_trees_on_the_way_are_read() -> None:
    store = Store()
    root = store.put(SOME)
    entry_at(root.digest, b"d/e/f", store.load)
    assert len(store.read) == 3
    store.read.clear()
    entry_at(root.digest, b"a", store.load)
    assert store.read == [root.digest]


def test_a_missing_tree_is_an_error() -> None:
    def load(digest: Digest) -> bytes:
        raise ObjectNotFound(str(digest))

    digest = Store().put(SOME).digest
    with pytest.raises(ObjectNotFound):
        entry_at(digest, b"a", load)
    with pytest.raises(ObjectNotFound):
        list(walk(digest, load))


def test_deep_trees_do_not_recurse() -> None:
    store = Store()
    entry = store.put({b"f": ONE})
    for _ in range(3000):
        encoded = encode_tree(Tree((entry._replace(name=b"d"),)))
        store.trees[Digest(blob_digest(encoded))] = encoded
        entry = entry._replace(digest=blob_digest(encoded))
    path = b"d/" * 3000 + b"f"
    assert list(walk(entry.digest, store.load))[-1][0] == path
    assert entry_at(entry.digest, path, store.load) is not None
