"""One value has one encoding, and nothing else decodes."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hitsave.errors import MalformedObject
from hitsave.objects.digest import Digest
from hitsave.objects.encoding import (
    LARGEST_NUMBER,
    TREE_MAGIC,
    decode_number,
    decode_tree,
    encode_number,
    encode_tree,
    entry_count,
    join_entries,
    name_fault,
    tree_from,
)
from hitsave.objects.model import EntryKind, Tree, TreeEntry
from tests.objects.values import modest, mutations, numbers, trees

SOME = Digest(bytes(range(32)))


def file(name: bytes = b"name", size: int = 5) -> TreeEntry:
    """A file's entry."""
    return TreeEntry(name, EntryKind.FILE, SOME, size)


def raw_entry(name: bytes, kind: int = 1, tail: bytes = b"\x05") -> bytes:
    """An entry spelled byte by byte, whatever the rules say."""
    return bytes((kind, len(name))) + name + SOME + tail


def raw_tree(*entries: bytes) -> bytes:
    """A tree of such entries."""
    return TREE_MAGIC + bytes((len(entries),)) + b"".join(entries)


# -- numbers


@modest
@given(numbers, st.binary(max_size=4), st.binary(max_size=4))
def test_a_number_comes_back_from_wherever_it_stands(value: int, before: bytes, after: bytes) -> None:
    encoded = encode_number(value)
    assert len(encoded) == max(1, -(-value.bit_length() // 7))
    assert decode_number(before + encoded + after, len(before), "number") == (value, len(before) + len(encoded))


@modest
@given(st.one_of(st.binary(max_size=12), st.lists(st.sampled_from((0, 1, 0x7F, 0x80, 0x81, 0xFF)), max_size=12)))
@example(b"\xff" * 8 + b"\x7f")
@example(b"\xff" * 9 + b"\x00")
def test_what_decodes_as_a_number_is_its_one_encoding(raw: bytes | list[int]) -> None:
    data = bytes(raw)
    try:
        value, end = decode_number(data, 0, "number")
    except MalformedObject:
        return
    assert 0 <= value <= LARGEST_NUMBER
    assert encode_number(value) == data[:end]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "ends within a number"),
        (b"\x80", "ends within a number"),
        (b"\xff" * 8, "ends within a number"),
        (b"\x80\x00", "not in its shortest form"),
        (b"\xff\x80\x00", "not in its shortest form"),
        (b"\xff" * 9, "larger than 2^63 - 1"),
        (b"\x80" * 9 + b"\x01", "larger than 2^63 - 1"),
    ],
)
def test_other_spellings_of_numbers_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedObject) as raised:
        decode_number(b"xy" + data, 2, "thing")
    assert raised.value.what == "thing"
    assert raised.value.offset == 2
    assert reason in raised.value.reason


# -- trees


@modest
@given(trees)
def test_a_tree_comes_back(tree: Tree) -> None:
    encoded = encode_tree(tree)
    decoded = decode_tree(encoded)
    assert decoded == tree
    assert all(type(entry.digest) is Digest and type(entry.kind) is EntryKind for entry in decoded.entries)
    assert entry_count(encoded) == len(tree.entries)


@modest
@given(st.data())
def test_what_decodes_as_a_tree_is_its_one_encoding(data: st.DataObject) -> None:
    mutated = data.draw(mutations(encode_tree(data.draw(trees))))
    try:
        tree = decode_tree(mutated)
    except MalformedObject:
        return
    assert encode_tree(tree) == mutated


@modest
@given(st.one_of(st.binary(max_size=80), st.binary(max_size=80).map(lambda tail: TREE_MAGIC + tail)))
def test_random_bytes_are_a_tree_in_its_encoding_or_refused(data: bytes) -> None:
    try:
        tree = decode_tree(data)
    except MalformedObject:
        return
    assert encode_tree(tree) == data


def test_every_truncation_of_a_tree_is_refused() -> None:
    encoded = encode_tree(
        Tree(
            (
                file(b"a"),
                TreeEntry(b"b", EntryKind.TREE, SOME, 1 << 40, 300),
                TreeEntry(b"c", EntryKind.SYMLINK, SOME, 3),
            )
        )
    )
    for length in range(len(encoded)):
        with pytest.raises(MalformedObject):
            decode_tree(encoded[:length])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "magic"),
        (b"hst", "magic"),
        (b"hst\x02\x00", "magic"),
        (TREE_MAGIC, "ends within a number"),
        (TREE_MAGIC + b"\x01", "ends before its last entry"),
        (TREE_MAGIC + b"\xff" * 8 + b"\x7f", "ends before its last entry"),
        (raw_tree() + b"\x00", "bytes follow the last entry"),
        (raw_tree(raw_entry(b"a")) + b"\x00", "bytes follow the last entry"),
        (raw_tree(raw_entry(b"a", kind=0)), "unknown kind 0"),
        (raw_tree(raw_entry(b"a", kind=5)), "unknown kind 5"),
        (raw_tree(raw_entry(b"")), "name '' is not allowed"),
        (raw_tree(raw_entry(b".")), "name '.' is not allowed"),
        (raw_tree(raw_entry(b"..")), "name '..' is not allowed"),
        (raw_tree(raw_entry(b"a/b")), "separator or NUL"),
        (raw_tree(raw_entry(b"a\0b")), "separator or NUL"),
        (raw_tree(raw_entry(b"b"), raw_entry(b"a")), "ascending order"),
        (raw_tree(raw_entry(b"a"), raw_entry(b"a")), "ascending order"),
        (raw_tree(raw_entry(b"a", tail=b"\x80\x00")), "shortest form"),
        (raw_tree(raw_entry(b"a", tail=b"")), "ends within a number"),
        (raw_tree(raw_entry(b"a", kind=3)), "ends within a number"),
        (TREE_MAGIC + b"\x01\x01\xff\xff\xff\x7fname", "ends within an entry"),
    ],
)
def test_malformed_trees_are_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedObject, match="malformed tree") as raised:
        decode_tree(data)
    assert reason in raised.value.reason
    assert raised.value.offset is not None


def test_a_tree_counts_what_is_beneath_it() -> None:
    tree = tree_from(
        [TreeEntry(b"t", EntryKind.TREE, SOME, 100, 7), file(b"a", 5), TreeEntry(b"l", EntryKind.SYMLINK, SOME, 3)]
    )
    assert [entry.name for entry in tree.entries] == [b"a", b"l", b"t"]
    assert (tree.size, tree.files) == (108, 9)
    assert tree.get(b"t") == tree.entries[2]
    assert tree.get(b"missing") is None


# -- what the encoder refuses


@pytest.mark.parametrize("name", [b"", b".", b"..", b"/", b"a/b", b"/a", b"a/", b"\0", b"a\0"])
def test_names_that_no_directory_can_hold_are_not_encoded(name: bytes) -> None:
    assert name_fault(name)
    with pytest.raises(ValueError, match="name"):
        encode_tree(Tree((file(name),)))


@pytest.mark.parametrize("name", [b"...", b".a", b" ", b"\\", b"\n", b"\xff\xfe", "é".encode(), b"\x01", b"n" * 5000])
def test_unusual_names_are_names(name: bytes) -> None:
    assert name_fault(name) is None
    assert decode_tree(encode_tree(Tree((file(name),)))).get(name) == file(name)


@pytest.mark.parametrize("order", [(b"b", b"a"), (b"a", b"a"), (b"a", b"c", b"b"), (b"a", b"\xff", b"z")])
def test_unsorted_and_duplicate_entries_are_not_encoded(order: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="sorted by name"):
        encode_tree(Tree(tuple(file(name) for name in order)))


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(TreeEntry(b"a", EntryKind.FILE, Digest(b"short"), 1), id="short digest"),
        pytest.param(TreeEntry(b"a", EntryKind.FILE, Digest(bytes(33)), 1), id="long digest"),
        pytest.param(TreeEntry(b"a", EntryKind.FILE, SOME, -1), id="negative size"),
        pytest.param(TreeEntry(b"a", EntryKind.FILE, SOME, LARGEST_NUMBER + 1), id="size too large"),
        pytest.param(TreeEntry(b"a", EntryKind.TREE, SOME, 1, -1), id="negative count"),
        pytest.param(TreeEntry(b"a", EntryKind.TREE, SOME, 1, LARGEST_NUMBER + 1), id="count too large"),
        pytest.param(TreeEntry(b"a", EntryKind.FILE, SOME, 1, 2), id="a file that counts as two"),
        pytest.param(TreeEntry(b"a", 9, SOME, 1), id="unknown kind"),  # type: ignore[arg-type]
    ],
)
def test_values_that_could_not_be_decoded_again_are_not_encoded(entry: TreeEntry) -> None:
    with pytest.raises(ValueError, match=r"."):
        encode_tree(Tree((entry,)))


def test_join_entries_of_nothing_is_the_empty_tree() -> None:
    assert join_entries([]) == encode_tree(Tree()) == TREE_MAGIC + b"\0"
