"""Differences of trees agree with a comparison of plain dictionaries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hitsave.errors import ObjectNotFound
from hitsave.objects.digest import Digest, blob_digest, tree_digest
from hitsave.objects.encoding import encode_tree, tree_from
from hitsave.objects.model import EntryKind, Tree, TreeEntry
from hitsave.snapshots.diff import Change, ChangeKind, diff_trees
from tests.objects.values import modest

FILE, EXECUTABLE, SYMLINK = EntryKind.FILE, EntryKind.EXECUTABLE, EntryKind.SYMLINK


class Leaf(NamedTuple):
    """A file or link, with its content."""

    kind: EntryKind
    content: bytes


#: A directory: names, each with a leaf or another directory.
Folder = Mapping[bytes, object]


class Store:
    """Trees in memory; notes which were read."""

    def __init__(self) -> None:
        self.trees: dict[Digest, bytes] = {}
        self.read: list[Digest] = []

    def put(self, folder: Folder) -> TreeEntry:
        """Keep a directory with all beneath it; its entry, without a name."""
        entries = []
        for name, item in folder.items():
            if isinstance(item, Leaf):
                entries.append(TreeEntry(name, item.kind, blob_digest(item.content), len(item.content)))
            else:
                assert isinstance(item, Mapping)
                entries.append(self.put(item)._replace(name=name))
        tree = tree_from(entries)
        encoded = encode_tree(tree)
        digest = tree_digest(encoded)
        self.trees[digest] = encoded
        return TreeEntry(b"", EntryKind.TREE, digest, tree.size, tree.files)

    def load(self, digest: Digest) -> bytes:
        """Read a tree."""
        self.read.append(digest)
        return self.trees[digest]


def leaves(folder: Folder, store: Store, prefix: bytes = b"") -> dict[bytes, TreeEntry]:
    """Every file, link and empty directory beneath a directory, by path."""
    found: dict[bytes, TreeEntry] = {}
    for name, item in folder.items():
        path = prefix + name
        if isinstance(item, Leaf):
            found[path] = TreeEntry(name, item.kind, blob_digest(item.content), len(item.content))
        elif item:
            assert isinstance(item, Mapping)
            found |= leaves(item, store, path + b"/")
        else:
            found[path] = store.put({})._replace(name=name)
    return found


def directories(folder: Folder, prefix: bytes = b"") -> set[bytes]:
    """Every directory beneath a directory, by path."""
    found = set()
    for name, item in folder.items():
        if isinstance(item, Mapping):
            found |= {prefix + name, *directories(item, prefix + name + b"/")}
    return found


def expected_changes(old: Folder, new: Folder, store: Store) -> set[Change]:
    """What differs, path by path; no directory that is on both sides, though it may be empty on one."""
    before, after = leaves(old, store), leaves(new, store)
    changes = set()
    for path in (before.keys() | after.keys()) - (directories(old) & directories(new)):
        one, other = before.get(path), after.get(path)
        if one is None:
            changes.add(Change(path, ChangeKind.ADDED, None, other))
        elif other is None:
            changes.add(Change(path, ChangeKind.REMOVED, one, None))
        elif one != other:
            only_mode = one.digest == other.digest and SYMLINK not in (one.kind, other.kind)
            changes.add(Change(path, ChangeKind.MODE if only_mode else ChangeKind.CHANGED, one, other))
    return changes


names = st.sampled_from([b"a", b"b", b"a.b", b"a-b", b"\xff"])
leaf = st.builds(Leaf, st.sampled_from([FILE, EXECUTABLE, SYMLINK]), st.sampled_from([b"", b"1", b"2"]))
folders: st.SearchStrategy[Folder] = st.recursive(
    st.dictionaries(names, leaf, max_size=3),
    lambda inner: st.dictionaries(names, leaf | inner, max_size=4),
    max_leaves=6,
)
ONE = Leaf(FILE, b"1")


@modest
@given(folders, folders)
@example({b"a": {}}, {})
@example({b"a": {}}, {b"a": ONE})
@example({b"a": {}}, {b"a": {b"b": ONE}})
@example({b"a": ONE}, {b"a": {b"b": ONE}})
@example({b"a": ONE}, {b"a": Leaf(EXECUTABLE, b"1")})
@example({b"a": ONE}, {b"a": Leaf(SYMLINK, b"1")})
@example({b"a": {b"b": {}}}, {})
@example({}, {b"a": {b"b": {}}})
@example({b"a": {b"b": {}}}, {b"a": {b"a": {}}})
@example({b"a": {}}, {b"a": {b"b": {}}})
@example({b"a": {b"b": {}}}, {b"a": ONE})
def test_a_difference_agrees_with_a_comparison_path_by_path(old: Folder, new: Folder) -> None:
    store = Store()
    found = list(diff_trees(store.put(old).digest, store.put(new).digest, store.load, store.load))
    assert set(found) == expected_changes(old, new, store)
    assert len({change.path for change in found}) == len(found)


@modest
@given(folders)
def test_against_nothing_everything_is_added_or_removed(folder: Folder) -> None:
    store = Store()
    digest = store.put(folder).digest
    assert set(diff_trees(None, digest, store.load, store.load)) == expected_changes({}, folder, store)
    assert set(diff_trees(digest, None, store.load, store.load)) == expected_changes(folder, {}, store)
    assert not list(diff_trees(None, None, store.load, store.load))


@modest
@given(folders, folders)
def test_changes_come_by_path(old: Folder, new: Folder) -> None:
    """A directory's changes stand where its name stands, as in a listing by name."""
    store = Store()
    found = [change.path for change in diff_trees(store.put(old).digest, store.put(new).digest, store.load, store.load)]
    assert found == sorted(found, key=lambda path: path.split(b"/"))


@modest
@given(folders, folders)
def test_the_way_back_is_the_way_there_reversed(old: Folder, new: Folder) -> None:
    store = Store()
    one, other = store.put(old).digest, store.put(new).digest
    turned = {
        ChangeKind.ADDED: ChangeKind.REMOVED,
        ChangeKind.REMOVED: ChangeKind.ADDED,
        ChangeKind.CHANGED: ChangeKind.CHANGED,
        ChangeKind.MODE: ChangeKind.MODE,
    }
    there = {Change(path, turned[kind], b, a) for path, kind, a, b in diff_trees(one, other, store.load, store.load)}
    assert there == set(diff_trees(other, one, store.load, store.load))


def test_an_empty_directory_is_where_one_was_that_is_not_here() -> None:
    store = Store()
    old, new = store.put({b"a": {b"b": ONE}}), store.put({b"a": {}})
    away = store.put({b"b": ONE}).digest
    (change,) = diff_trees(old.digest, new.digest, store.load, store.load, lambda tree: tree == away)
    assert (change.path, change.kind) == (b"a", ChangeKind.REMOVED)


def test_equal_sub_trees_are_not_read() -> None:
    store = Store()
    same: Folder = {b"deep": {b"deeper": {b"file": ONE}}}
    old = store.put({b"same": same, b"file": ONE}).digest
    new = store.put({b"same": same, b"file": Leaf(FILE, b"2")}).digest
    store.read.clear()
    assert [change.path for change in diff_trees(old, new, store.load, store.load)] == [b"file"]
    assert sorted(store.read) == sorted([old, new])
    store.read.clear()
    assert not list(diff_trees(old, old, store.load, store.load))
    assert not store.read


def test_each_side_is_read_from_its_own_store() -> None:
    here, there = Store(), Store()
    old = here.put({b"d": {b"a": ONE}}).digest
    new = there.put({b"d": {b"b": ONE}}).digest
    found = {change.path: change.kind for change in diff_trees(old, new, here.load, there.load)}
    assert found == {b"d/a": ChangeKind.REMOVED, b"d/b": ChangeKind.ADDED}


def test_a_tree_that_is_missing_is_an_error() -> None:
    def load(digest: Digest) -> bytes:
        raise ObjectNotFound(str(digest))

    with pytest.raises(ObjectNotFound):
        list(diff_trees(None, tree_digest(encode_tree(Tree())), load, load))


def test_deep_trees_do_not_recurse() -> None:
    store = Store()
    digests = []
    for content in (b"1", b"2"):
        entry = store.put({b"file": Leaf(FILE, content)})
        for _ in range(3000):
            encoded = encode_tree(Tree((entry._replace(name=b"d"),)))
            store.trees[tree_digest(encoded)] = encoded
            entry = entry._replace(digest=tree_digest(encoded))
        digests.append(entry.digest)
    (change,) = diff_trees(digests[0], digests[1], store.load, store.load)
    assert change.path == b"d/" * 3000 + b"file"
    assert change.kind is ChangeKind.CHANGED
