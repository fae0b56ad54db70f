"""Three-way merges agree with a merge of plain dictionaries, path by path."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.objects.digest import tree_digest
from hitsave.objects.encoding import decode_tree
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.snapshots.merge import Side, Versions, merge
from hitsave.snapshots.names import walk
from tests.objects.values import modest
from tests.snapshots.test_diff import EXECUTABLE, FILE, SYMLINK, Folder, Leaf, Store

ONE, TWO, THREE = (Leaf(FILE, text) for text in (b"1", b"2", b"3"))
#: No path of these is both a file and a directory.
PATHS = [b"a", b"b", b"d/a", b"d/b", b"d/e/a", b"f/a"]
versions = st.dictionaries(st.sampled_from(PATHS), st.sampled_from([ONE, TWO, THREE, Leaf(EXECUTABLE, b"1")]))

Files = Mapping[bytes, Leaf]


def nested(files: Files) -> Folder:
    """Directories of what has paths."""
    folder: dict[bytes, object] = {}
    for path, leaf in files.items():
        *above, name = path.split(b"/")
        inner = folder
        for part in above:
            inner = inner.setdefault(part, {})  # type: ignore[assignment]
        inner[name] = leaf
    return folder


def put(store: Store, item: Leaf | Folder | None) -> TreeEntry | None:
    """Keep a file or directory; its entry, without a name."""
    if item is None:
        return None
    above = store.put({b"x": item})
    return decode_tree(store.load(above.digest)).entries[0]._replace(name=b"")


def merged(
    base: Leaf | Folder | None, ours: Leaf | Folder, theirs: Leaf | Folder, favour: Side | None = None
) -> tuple[list[bytes], TreeEntry, Store]:
    """The conflicts of a merge, what came of it, and the store that has it."""
    store = Store()
    three = Versions(put(store, base), put(store, ours), put(store, theirs))
    done = merge(three, store.load, lambda trees: None, favour)

    def keep(encoded: bytes) -> None:
        store.trees[tree_digest(encoded)] = encoded

    return done.conflicts, done.build(keep), store


def files_of(entry: TreeEntry, store: Store) -> dict[bytes, tuple[EntryKind, bytes]]:
    """The files beneath a directory, by path."""
    return {
        path: (inner.kind, bytes(inner.digest))
        for path, inner in walk(entry.digest, store.load)
        if inner.kind is not EntryKind.TREE
    }


def expected(base: Files, ours: Files, theirs: Files) -> tuple[set[bytes], Files]:
    """What a merge of each path by itself gives."""
    conflicts, kept = set(), {}
    for path in base.keys() | ours.keys() | theirs.keys():
        was, mine, other = base.get(path), ours.get(path), theirs.get(path)
        taken = other if mine == was else mine
        if mine != other and was not in (mine, other):
            if was and mine and other and (mine.content == other.content or was.content in (mine[1], other[1])):
                content = other.content if mine.content == was.content else mine.content
                taken = Leaf(other.kind if mine.kind is was.kind else mine.kind, content)
            else:
                conflicts.add(path)
        if taken is not None:
            kept[path] = taken
    return conflicts, kept


@modest
@given(versions, versions, versions)
def test_each_path_is_merged_by_itself(base: Files, ours: Files, theirs: Files) -> None:
    conflicts, kept = expected(base, ours, theirs)
    found, entry, store = merged(nested(base), nested(ours), nested(theirs))
    assert set(found) == conflicts
    assert files_of(entry, store) == files_of(store.put(nested(kept)), store)
    tree = decode_tree(store.load(entry.digest))
    assert (entry.size, entry.files) == (tree.size, tree.files)


@modest
@given(versions, versions, versions)
def test_sides_may_change_places(base: Files, ours: Files, theirs: Files) -> None:
    one = merged(nested(base), nested(ours), nested(theirs))
    other = merged(nested(base), nested(theirs), nested(ours))
    assert one[0] == other[0]
    assert bool(one[0]) or one[1] == other[1]
    mine = merged(nested(base), nested(ours), nested(theirs), Side.OURS)
    favoured = merged(nested(base), nested(theirs), nested(ours), Side.THEIRS)
    assert mine[1] == favoured[1]


FOLDER: Folder = {b"p": ONE, b"q": TWO}


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "conflicts", "result"),
    [
        # Files and directories in each other's place.
        ({b"d": FOLDER}, {b"d": ONE}, {b"d": {b"p": THREE}}, [b"d"], None),
        ({b"d": FOLDER}, {b"d": ONE}, {b"d": FOLDER}, [], {b"d": ONE}),
        ({b"d": ONE}, {}, {b"d": FOLDER}, [b"d"], None),
        ({b"d": ONE}, {b"d": {b"p": ONE}}, {b"d": {b"q": TWO}}, [], {b"d": FOLDER}),
        # A directory that one side removed, and the other changed.
        ({b"d": FOLDER}, {}, {b"d": {b"p": ONE, b"q": THREE}}, [b"d/q"], None),
        ({b"d": FOLDER}, {}, {b"d": {**FOLDER, b"new": ONE}}, [], {b"d": {b"new": ONE}}),
        ({b"d": FOLDER}, {}, {b"d": {b"p": ONE}}, [], {}),
        # Directories that both sides emptied in part stay.
        ({b"d": FOLDER}, {b"d": {b"p": ONE}}, {b"d": {b"q": TWO}}, [], {b"d": {}}),
        ({}, {b"d": {}}, {b"d": {}}, [], {b"d": {}}),
        # Links have no executable bit.
        ({b"l": ONE}, {b"l": Leaf(SYMLINK, b"1")}, {b"l": Leaf(EXECUTABLE, b"1")}, [b"l"], None),
        # Single files, and datasets that were added on both sides.
        (ONE, TWO, Leaf(EXECUTABLE, b"1"), [], Leaf(EXECUTABLE, b"2")),
        (ONE, TWO, THREE, [b""], None),
        (ONE, FOLDER, TWO, [b""], None),
        (None, {b"a": ONE}, {b"b": TWO}, [], {b"a": ONE, b"b": TWO}),
        (None, {b"a": ONE}, {b"a": TWO, b"b": TWO}, [b"a"], None),
        (None, ONE, ONE, [], ONE),
    ],
)
def test_what_is_no_plain_file_in_the_same_place(
    base: Leaf | Folder | None,
    ours: Leaf | Folder,
    theirs: Leaf | Folder,
    conflicts: list[bytes],
    result: Leaf | Folder | None,
) -> None:
    found, entry, store = merged(base, ours, theirs)
    assert found == conflicts
    if result is not None:
        assert entry == put(store, result)


def test_directories_that_one_side_left_alone_are_not_read() -> None:
    store = Store()
    base = {b"large": {b"x": FOLDER}, b"other": FOLDER, b"both": FOLDER}
    ours = {**base, b"large": {b"x": {}}, b"both": {}}
    theirs = {**base, b"other": {}, b"both": {b"p": ONE}}
    three = Versions(*(put(store, each) for each in (base, ours, theirs)))
    store.read = []
    brought: list[int] = []
    done = merge(three, store.load, lambda trees: brought.append(len(set(trees))))
    assert done.conflicts == []
    assert len(set(store.read)) == 6
    assert brought == [3, 3]
