"""Indexes: every lookup agrees with a plain dictionary, and damage is never another exception."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial
from mmap import ACCESS_READ, mmap
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from hitsave.errors import MalformedObject
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.packing.index import Index, IndexedPack, Location, PackSummary, encode_index
from hitsave.packing.pack import ENTRY_RECORD, Block, PackTable
from tests.objects.values import digests, modest, mutations
from tests.packing.build import build_pack, indexed

HEADER = struct.Struct("<5sB2xIIQ8x")
#: Digests that lie close together, so that searches meet their neighbours.
close = st.one_of(
    digests,
    st.builds(lambda first, last: Digest(first + bytes(30) + last), *[st.binary(min_size=1, max_size=1)] * 2),
    st.binary(min_size=1, max_size=1).map(lambda byte: Digest(byte * 32)),
)


@st.composite
def indexed_packs(draw: st.DrawFn) -> IndexedPack:
    """A pack of any blocks and entries, as a table describes it."""
    blocks = []
    offset = 24
    for stored, raw, codec in draw(
        st.lists(st.tuples(st.integers(0, 1 << 31), st.integers(1, 1 << 30), st.integers(0, 1)), max_size=3)
    ):
        blocks.append(Block(offset, stored, raw, codec))
        offset += stored
    records = set()
    for digest, kind in draw(st.lists(st.tuples(close, st.integers(1, 4)), max_size=12)) if blocks else ():
        block = draw(st.integers(0, len(blocks) - 1))
        at = draw(st.integers(0, blocks[block].raw))
        length = draw(st.integers(0, blocks[block].raw - at))
        records.add(ENTRY_RECORD.pack(digest, block, at, length, kind))
    return IndexedPack(draw(digests), offset + 200, PackTable(tuple(blocks), tuple(sorted(records))))


def locations_in(packs: list[IndexedPack]) -> list[Location]:
    """Where everything is, in the order of an index."""
    return sorted(
        Location(Digest(digest), kind, pack.digest, pack.table.blocks[block], offset, length)
        for pack in packs
        for digest, block, offset, length, kind in pack.table.entries()
    )


def many(count: int, pack: int = 0) -> IndexedPack:
    """A pack of `count` entries in one block."""
    records = [ENTRY_RECORD.pack(blob_digest(b"%d" % number), 0, number, 1, ObjectKind.BLOB) for number in range(count)]
    name = Digest(blake3(b"pack %d" % pack).digest())
    return IndexedPack(name, count + 100, PackTable((Block(24, count, count, 0),), tuple(sorted(records))))


# -- lookups


@modest
@given(st.lists(indexed_packs(), max_size=4), st.lists(close, max_size=4))
def test_an_index_agrees_with_a_dictionary(packs: list[IndexedPack], others: list[Digest]) -> None:
    index = Index(encode_index(packs))
    expected = locations_in(packs)
    model: dict[bytes, list[Location]] = {}
    for location in expected:
        model.setdefault(location.digest, []).append(location)
    assert index.entry_count == len(expected)
    assert sorted(index.locations()) == expected
    assert [location.digest for location in index.locations()] == [location.digest for location in expected]
    assert sorted(index.digests()) == sorted((location.digest, location.kind) for location in expected)
    assert [pack[:2] for pack in index.packs] == [(pack.digest, pack.length) for pack in packs]
    for digest in [*model, *others]:
        assert (digest in index) == (digest in model)
        found = index.find(digest)
        assert found in model[digest] if digest in model else found is None


@modest
@given(st.lists(indexed_packs(), max_size=3), close, close)
def test_a_range_of_digests_is_what_lies_between(packs: list[IndexedPack], one: Digest, other: Digest) -> None:
    index = Index(encode_index(packs))
    held = [location.digest for location in locations_in(packs)]
    for low, high in ((one, other), (one, one), (bytes(32), b"\xff" * 32), *((digest, digest) for digest in held)):
        assert list(index.find_prefix(low, high)) == [digest for digest in held if low <= digest <= high]


@modest
@given(st.lists(indexed_packs(), max_size=4))
def test_an_index_gives_back_the_packs_that_it_was_made_of(packs: list[IndexedPack]) -> None:
    data = encode_index(packs)
    tables = Index(data).tables()
    assert tables == packs
    assert encode_index(tables) == data


@modest
@given(st.lists(indexed_packs(), max_size=4, unique_by=lambda pack: pack.digest), st.data())
def test_packs_can_be_left_out(packs: list[IndexedPack], data: st.DataObject) -> None:
    out = data.draw(st.sets(st.sampled_from([pack.digest for pack in packs]))) if packs else set()
    kept = [pack for pack in packs if pack.digest not in out]
    assert Index(encode_index(packs)).tables(out) == kept


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 255, 256, 5000])
def test_every_entry_is_found_at_any_size(count: int) -> None:
    index = Index(encode_index([many(count)]))
    digests = [blob_digest(b"%d" % number) for number in range(count)]
    assert [index.find(digest).offset for digest in digests] == list(range(count))  # type: ignore[union-attr]
    assert not any(blob_digest(b"missing %d" % number) in index for number in range(200))
    for digest in digests[:50]:
        low, high = bytes.fromhex(str(digest)[:7] + "0" * 57), bytes.fromhex(str(digest)[:7] + "f" * 57)
        assert digest in index.find_prefix(low, high)


def test_a_crowded_bucket_is_searched_by_halves() -> None:
    crowd = [Digest(b"\0\0" + number.to_bytes(30, "big")) for number in range(0, 4000, 2)]
    records = tuple(ENTRY_RECORD.pack(digest, 0, 0, 0, 1) for digest in crowd)
    index = Index(encode_index([IndexedPack(Digest(bytes(32)), 100, PackTable((Block(24, 0, 0, 0),), records))]))
    assert all(digest in index for digest in crowd)
    assert all(Digest(b"\0\0" + number.to_bytes(30, "big")) not in index for number in range(1, 4001, 2))
    assert b"\xff" * 32 not in index


def test_a_digest_within_records_is_not_taken_for_an_entry() -> None:
    # These 32 bytes stand across two records: the end of one, and the beginning of the next.
    table = sorted(ENTRY_RECORD.pack(bytes([number]) * 32, 0, 0, 0, 1) for number in range(1, 10))
    index = Index(encode_index([IndexedPack(Digest(bytes(32)), 100, PackTable((Block(24, 0, 0, 0),), tuple(table)))]))
    joined = b"".join(table)
    for at in range(len(joined) - 32):
        assert (joined[at : at + 32] in index) == (at % 48 == 0)


def test_the_same_object_in_two_packs_comes_twice() -> None:
    packs = [many(20, pack=number) for number in range(2)]
    index = Index(encode_index(packs))
    assert index.entry_count == 40
    for number in range(20):
        digest = blob_digest(b"%d" % number)
        found = [location.pack for location in index.locations() if location.digest == digest]
        assert sorted(found) == sorted(pack.digest for pack in packs)
        assert len(list(index.find_prefix(digest, digest))) == 2


def test_a_mapped_index_is_read_like_bytes(tmp_path: Path) -> None:
    data = encode_index([many(1000), many(500, pack=1)])
    (tmp_path / "index").write_bytes(data)
    with (tmp_path / "index").open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
        index = Index(mapped)
        assert list(index.locations()) == list(Index(data).locations())
        assert list(index.digests()) == list(Index(data).digests())
        assert index.tables() == Index(data).tables()
        digest = blob_digest(b"7")
        assert index.find(digest) == Index(data).find(digest)
        assert list(index.find_prefix(digest, digest)) == [digest, digest]


def test_a_pack_that_was_read_can_be_indexed() -> None:
    blocks = [[(ObjectKind.BLOB, b"one"), (ObjectKind.BLOB, b"two")], [(ObjectKind.BLOB, b"three" * 100)]]
    data, builder = build_pack(blocks)
    index = Index(encode_index([indexed(data)]))
    assert index.packs == (PackSummary(builder.digest, len(data), 0, 2),)
    location = index.find(blob_digest(b"two"))
    assert location is not None
    assert location[:4] == (blob_digest(b"two"), 1, builder.digest, builder.table.blocks[0])
    assert (location.offset, location.length) == (3, 3)


# -- damage


def _range(index: Index, digest: Digest) -> list[Digest]:
    return list(index.find_prefix(digest[:2] + bytes(30), digest[:2] + b"\xff" * 30))


def uses(index: Index) -> Iterator[Callable[[], object]]:
    """Everything that can be asked of an index."""
    wanted = [blob_digest(b"%d" % number) for number in range(4)] + [Digest(b"\xff" * 32)]
    for digest in wanted:
        yield partial(index.find, digest)
        yield partial(index.__contains__, digest)
        yield partial(_range, index, digest)
    yield lambda: list(index.locations())
    yield lambda: list(index.digests())
    yield lambda: index.packs


def use(data: bytes, tables: bool = True) -> None:
    """Open an index and ask it everything; MalformedObject is the one answer that damage may have."""
    try:
        index = Index(data)
    except MalformedObject:
        return
    for ask in uses(index):
        try:
            ask()
        except MalformedObject:
            continue
    # A pack with more blocks than there are would cost memory here.
    if tables and sum(pack.blocks for pack in index.packs) < 1 << 20:
        try:
            index.tables()
        except MalformedObject:
            return


def flips(data: bytes) -> Iterator[bytes]:
    """The data with each bit flipped, one at a time."""
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            yield bytes(changed)


def test_flipped_bits_never_raise_another_exception_in_lookups() -> None:
    for changed in flips(encode_index([many(3), many(20, pack=1)])):
        use(changed, tables=False)


def test_flipped_bits_never_raise_another_exception_in_merges() -> None:
    for changed in flips(encode_index([many(3), many(4, pack=1)])):
        use(changed)


@pytest.mark.parametrize("field", ["first block", "number of blocks"])
@pytest.mark.parametrize("value", [0, 1, 2, 1 << 16])
def test_a_pack_that_claims_other_blocks_is_refused_when_indexes_are_merged(field: str, value: int) -> None:
    data = bytearray(encode_index([many(3)]))
    at = HEADER.size + (40 if field == "first block" else 44)
    if struct.unpack_from("<I", data, at)[0] == value:
        return
    struct.pack_into("<I", data, at, value)
    with pytest.raises(MalformedObject):
        Index(bytes(data)).tables()


@modest
@given(st.lists(indexed_packs(), max_size=3), st.data())
def test_changed_indexes_never_raise_another_exception(packs: list[IndexedPack], data: st.DataObject) -> None:
    use(data.draw(mutations(encode_index(packs))), tables=False)


def test_every_truncation_of_an_index_is_refused() -> None:
    data = encode_index([many(3), many(20, pack=1)])
    for length in range(len(data)):
        with pytest.raises(MalformedObject):
            Index(data[:length])
    with pytest.raises(MalformedObject):
        Index(data + b"\0")


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (0, b"HSIY", "magic bytes of version 1"),
        (4, b"\2", "magic bytes of version 1"),
        (5, b"\x15", "magic bytes of version 1"),
        (5, b"\x01", "another length than its header says"),
        (8, b"\2", "another length than its header says"),
        (12, b"\xff\xff\xff\xff", "another length than its header says"),
        (16, b"\xff" * 8, "another length than its header says"),
    ],
)
def test_headers_that_break_a_rule_are_refused_with_the_reason(offset: int, value: bytes, reason: str) -> None:
    data = bytearray(encode_index([many(3)]))
    data[offset : offset + len(value)] = value
    with pytest.raises(MalformedObject, match=reason):
        Index(bytes(data))


def with_block_number(number: int) -> Index:
    """An index whose first entry names another block."""
    data = bytearray(encode_index([many(3)]))
    struct.pack_into("<I", data, len(data) - 3 * ENTRY_RECORD.size + 32, number)
    return Index(bytes(data))


@pytest.mark.parametrize("number", [1, 2, 0xFFFFFFFF])
def test_an_entry_of_a_block_that_is_not_there_is_refused(number: int) -> None:
    index = with_block_number(number)
    with pytest.raises(MalformedObject, match=f"names block {number}"):
        list(index.locations())
    first = next(index.digests())[0]
    with pytest.raises(MalformedObject, match=f"names block {number}"):
        index.find(first)
    with pytest.raises(MalformedObject, match=f"names block {number}"):
        index.tables()


def test_a_block_of_a_pack_that_is_not_there_is_refused() -> None:
    data = bytearray(encode_index([many(3)]))
    struct.pack_into("<I", data, HEADER.size + 48 + 16, 1)
    with pytest.raises(MalformedObject, match="names pack 1"):
        list(Index(bytes(data)).locations())
