"""Packs: what was put in comes out, and whatever was changed is refused, always in the same manner."""

from __future__ import annotations

import struct

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from hitsave.errors import MalformedObject
from hitsave.objects.digest import Digest, ObjectKind, blob_digest, object_digest
from hitsave.objects.encoding import encode_tree
from hitsave.objects.model import EntryKind, Tree, TreeEntry
from hitsave.packing.blocks import BlockEntry, Codec, EntryKindInPack
from hitsave.packing.pack import (
    BLOCK_RECORD,
    COUNTS,
    ENTRY_RECORD,
    HEADER_SIZE,
    NONCE_SIZE,
    PACK_MAGIC,
    TRAILER,
    PackBuilder,
    decode_table,
    decode_trailer,
)
from hitsave.packing.packreader import check_entry, pack_contents, read_table
from hitsave.packing.recipe import Chunk, Recipe, encode_recipe
from tests.objects.values import modest, mutations
from tests.packing.build import EMPTY_TABLE, Contents, build_pack, indexed, name_of, read_pack, reader, sealed, table_of

BLOB = ObjectKind.BLOB
TREE = encode_tree(Tree((TreeEntry(b"a", EntryKind.FILE, blob_digest(b"one"), 3),)))
SMALL = [
    [(BLOB, b"one"), (BLOB, b"two"), (BLOB, b"2")],
    [(ObjectKind.TREE, TREE)],
    [(BLOB, b"again and " * 20), (BLOB, b"again and " * 21)],
]
HEADER = PACK_MAGIC + b"n" * NONCE_SIZE


def expected_of(blocks: list[list[tuple[ObjectKind, bytes]]]) -> Contents:
    """What a pack of these blocks holds."""
    return sorted(
        (bytes(object_digest(kind, content)), int(kind), content) for block in blocks for kind, content in block
    )


def refused_or(data: bytes, expected: Contents) -> bool:
    """Whether a pack is refused. One that is read must hold what was put in; every other error comes through."""
    try:
        found = read_pack(data)
    except MalformedObject:
        return True
    assert found == expected
    return False


# -- round trip


contents = st.one_of(
    st.binary(max_size=60),
    st.builds(lambda piece, times: piece * times, st.binary(min_size=1, max_size=20), st.integers(1, 500)),
)
objects = st.tuples(st.sampled_from(ObjectKind), contents)
packs = st.lists(st.lists(objects, max_size=6, unique=True), max_size=4)


@modest
@given(packs, st.binary(min_size=NONCE_SIZE, max_size=NONCE_SIZE), st.sampled_from([None, Codec.RAW]))
def test_what_was_put_into_a_pack_comes_out(
    blocks: list[list[tuple[ObjectKind, bytes]]], nonce: bytes, codec: Codec | None
) -> None:
    data, builder = build_pack(blocks, nonce, codec)
    assert builder.digest == blake3(data).digest()
    assert builder.length == len(data)
    assert builder.empty == (not blocks)
    pack = indexed(data)
    assert pack.table == builder.table
    assert (pack.digest, pack.length) == (builder.digest, len(data))
    assert [block.raw for block in pack.table.blocks] == [sum(len(content) for _, content in block) for block in blocks]
    assert read_pack(data) == expected_of(blocks)


@modest
@given(packs)
def test_entries_are_sorted_and_lie_where_the_table_says(blocks: list[list[tuple[ObjectKind, bytes]]]) -> None:
    data, builder = build_pack(blocks, codec=Codec.RAW)
    entries = list(builder.table.entries())
    assert [entry.digest for entry in entries] == sorted(entry.digest for entry in entries)
    for digest, block, offset, length, kind in entries:
        at = builder.table.blocks[block].offset + offset
        assert object_digest(ObjectKind(kind), data[at : at + length]) == digest


def test_an_empty_pack_is_a_pack() -> None:
    data, builder = build_pack([])
    assert builder.empty
    assert len(data) == 80
    assert read_pack(data) == []


def test_the_nonce_alone_makes_another_pack() -> None:
    first, one = build_pack(SMALL, bytes(16))
    second, other = build_pack(SMALL, b"\1" + bytes(15))
    assert one.digest != other.digest
    assert read_pack(first) == read_pack(second) == expected_of(SMALL)


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_nonce_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        PackBuilder(bytes(size))


def test_recipes_are_checked_as_recipes() -> None:
    chunk = b"chunk" * 100
    recipe = encode_recipe(Recipe(blob_digest(chunk * 2), 1000, (Chunk(blob_digest(chunk), 500),) * 2))
    blob = blob_digest(chunk * 2)
    for named, sound in ((blob, True), (blob_digest(recipe), False)):
        builder = PackBuilder(bytes(16))
        data = builder.header() + bytes(
            builder.block(Codec.RAW, recipe, len(recipe), [BlockEntry(named, EntryKindInPack.RECIPE, 0, len(recipe))])
        )
        data += builder.finish()
        if sound:
            assert read_pack(data) == [(blob, 4, recipe)]
        else:
            with pytest.raises(MalformedObject, match="recipe"):
                read_pack(data)


def test_an_object_under_another_kind_is_refused() -> None:
    for kind in ObjectKind:
        digest = object_digest(kind, TREE)
        for claimed in EntryKindInPack:
            if claimed.value == kind.value:
                check_entry(digest, claimed, TREE)
            else:
                with pytest.raises(MalformedObject):
                    check_entry(digest, claimed, TREE)


# -- damage


def test_every_flipped_bit_is_noticed_by_the_name_and_all_but_the_nonce_by_the_content() -> None:
    data, builder = build_pack(SMALL)
    expected = expected_of(SMALL)
    assert len(data) < 700
    unnoticed = set()
    changed = bytearray(data)
    for at in range(len(data)):
        for bit in range(8):
            changed[at] ^= 1 << bit
            flipped = bytes(changed)
            changed[at] ^= 1 << bit
            assert name_of(flipped) != builder.digest
            if not refused_or(flipped, expected):
                unnoticed.add(at)
    nonce = set(range(len(PACK_MAGIC), HEADER_SIZE))
    frame = builder.table.blocks[2]
    assert frame.codec == Codec.ZSTD
    # A frame has bits of its own that change nothing; its content is checked all the same.
    assert nonce <= unnoticed <= nonce | set(range(frame.offset, frame.offset + frame.stored))


def test_every_truncation_is_refused() -> None:
    data, _ = build_pack(SMALL)
    for length in range(len(data)):
        with pytest.raises(MalformedObject):
            read_pack(data[:length])
        with pytest.raises(MalformedObject):  # The file was cut after its length was read.
            read_table(reader(data[:length]), len(data), name_of(data))


def test_contents_that_were_cut_off_after_the_table_was_read_are_refused() -> None:
    data, _ = build_pack(SMALL)
    pack = indexed(data)
    end = table_of(data)[0]
    for length in range(HEADER_SIZE, end):
        with pytest.raises(MalformedObject):
            list(pack_contents(reader(data[:length]), pack))


@pytest.mark.parametrize("extra", [b"\0", b"n" * 48, PACK_MAGIC])
def test_bytes_before_or_after_a_pack_are_refused(extra: bytes) -> None:
    data, _ = build_pack(SMALL)
    for changed in (data + extra, extra + data, data[:HEADER_SIZE] + extra + data[HEADER_SIZE:]):
        with pytest.raises(MalformedObject):
            read_pack(changed)


@modest
@given(st.data())
def test_a_changed_pack_is_refused_or_holds_the_same(data: st.DataObject) -> None:
    blocks = data.draw(packs)
    refused_or(data.draw(mutations(build_pack(blocks)[0])), expected_of(blocks))


@modest
@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_are_no_pack(noise: bytes, with_header: bool) -> None:
    with pytest.raises(MalformedObject):
        read_pack(HEADER + noise if with_header else noise)


# -- packs that somebody made wrong on purpose: the table's digest is right


def test_every_flipped_bit_of_a_table_under_a_right_digest_is_refused_or_changes_nothing() -> None:
    data, builder = build_pack(SMALL)
    expected = expected_of(SMALL)
    offset, table = table_of(data)
    block_padding = {
        COUNTS.size + number * BLOCK_RECORD.size + inner
        for number in range(len(builder.table.blocks))
        for inner in (9, 10, 11)
    }
    for at in range(len(table)):
        for bit in range(8):
            changed = bytearray(table)
            changed[at] ^= 1 << bit
            assert refused_or(sealed(data[:offset], bytes(changed)), expected) or at in block_padding


@modest
@given(st.data())
def test_a_changed_table_under_a_right_digest_never_gives_wrong_content(data: st.DataObject) -> None:
    pack, builder = build_pack(data.draw(packs))
    offset, table = table_of(pack)
    try:
        found = read_pack(sealed(pack[:offset], data.draw(mutations(table))))
    except MalformedObject:
        return
    assert all(object_digest(ObjectKind(kind), content) == digest for digest, kind, content in found)
    assert builder.digest == name_of(pack)


@pytest.mark.parametrize("length", range(8))
def test_a_table_too_short_for_its_counts_is_refused(length: int) -> None:
    filler = b"f" * (8 - length)
    with pytest.raises(MalformedObject, match="malformed pack"):
        read_pack(sealed(HEADER + filler, bytes(length)))


def block_table(*blocks: tuple[int, int, int], entries: tuple[bytes, ...] = ()) -> bytes:
    """A table of blocks (stored, raw, codec) and of entry records."""
    return b"".join(
        [COUNTS.pack(len(blocks), len(entries)), *(BLOCK_RECORD.pack(*block) for block in blocks), *entries]
    )


def record(content: bytes = b"abc", block: int = 0, offset: int = 0, length: int = 3, kind: int = 1) -> bytes:
    """An entry record."""
    return ENTRY_RECORD.pack(blob_digest(content), block, offset, length, kind)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (b"", "is too short"),
        (struct.pack("<II", 1, 0), "another length than its counts"),
        (struct.pack("<II", 0, 1), "another length than its counts"),
        (struct.pack("<II", 0xFFFFFFFF, 0xFFFFFFFF), "another length than its counts"),
        (EMPTY_TABLE, "do not end where its table begins"),
        (block_table((2, 3, 0)), "do not end where its table begins"),
        (block_table((4, 3, 0)), "do not end where its table begins"),
        (block_table((3, 3, 2)), "unknown codec or an impossible length"),
        (block_table((3, (1 << 30) + 1, 1)), "unknown codec or an impossible length"),
        (block_table((3, 3, 0), entries=(record(block=1),)), "lies outside of its block"),
        (block_table((3, 3, 0), entries=(record(offset=1),)), "lies outside of its block"),
        (block_table((3, 3, 0), entries=(record(offset=0xFFFFFFFF),)), "lies outside of its block"),
        (block_table((3, 3, 0), entries=(record(kind=0),)), "lies outside of its block"),
        (block_table((3, 3, 0), entries=(record(kind=5),)), "lies outside of its block"),
        (block_table((3, 3, 0), entries=(record(), record())), "ascending order"),
        (block_table((3, 3, 0), entries=(record()[:-1] + b"\1",)), "non-zero padding"),
        (block_table((3, 3, 0), entries=(record(b"xyz"),)), "content with another digest"),
        (block_table((3, 3, 0), entries=(record(kind=2),)), "content with another digest"),
        (block_table((3, 3, 0), entries=(record(kind=4),)), "malformed recipe"),
        (block_table((3, 3, 1), entries=(record(),)), "cannot be decompressed"),
        (block_table((3, 4, 0), entries=(record(),)), "decodes to 3 bytes instead of 4"),
    ],
)
def test_tables_that_break_a_rule_are_refused_with_the_reason(table: bytes, reason: str) -> None:
    data = sealed(HEADER + b"abc", table)
    if table:
        with pytest.raises(MalformedObject) as raised:
            read_pack(data)
    else:
        with pytest.raises(MalformedObject) as raised:
            read_pack(sealed(HEADER, table))
    assert reason in str(raised.value)


def test_unsorted_entries_are_refused() -> None:
    records = sorted([record(), record(b"ab", length=2)], reverse=True)
    with pytest.raises(MalformedObject, match="ascending order"):
        read_pack(sealed(HEADER + b"abc", block_table((3, 3, 0), entries=tuple(records))))


def test_entries_may_overlap_and_share_a_digest() -> None:
    records = sorted([record(), record(b"ab", length=2), record(block=1)])
    data = sealed(HEADER + b"abcabc", block_table((3, 3, 0), (3, 3, 0), entries=tuple(records)))
    assert sorted(content for _, _, content in read_pack(data)) == [b"ab", b"abc", b"abc"]


@pytest.mark.parametrize(
    ("offset", "length"), [(23, 8), (0, 8), (25, 8), (24, 7), (24, 9), (1 << 63, 8), ((1 << 64) - 48, 8), (24, 1 << 31)]
)
def test_a_trailer_that_points_elsewhere_is_refused(offset: int, length: int) -> None:
    data, _ = build_pack([])
    _, _, digest, magic = TRAILER.unpack(data[-TRAILER.size :])
    with pytest.raises(MalformedObject, match="does not lie before the trailer"):
        decode_trailer(TRAILER.pack(offset, length, digest, magic), len(data))


def test_a_table_under_another_digest_is_refused() -> None:
    with pytest.raises(MalformedObject, match="another digest than the trailer says"):
        decode_table(EMPTY_TABLE, HEADER_SIZE, blake3(b"another").digest())


@pytest.mark.parametrize("start", [b"HSPL", b"HSPK\x02\0\0\0", b"HSPK\x01\0\0\1", b"HSIX\x01\0\0\0"])
def test_another_version_or_format_is_refused(start: bytes) -> None:
    data, _ = build_pack([])
    with pytest.raises(MalformedObject, match="magic bytes of version 1"):
        read_table(reader(start + data[len(start) :]), len(data), Digest(bytes(32)))
