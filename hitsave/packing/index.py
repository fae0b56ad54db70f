"""Indexes (objects_spec.md, section 6): which pack holds an object, and where.

    header    "HSIX" version(1) fan-out bits(1) zero(2), packs(4), blocks(4), entries(8), zero(8)
    packs     digest(32) length(8) first block(4) block count(4)
    blocks    offset(8) stored(4) raw(4) pack(4) codec(1) zero(3)
    fan-out   2^bits numbers(4): how many entries begin with this many bits or smaller ones
    entries   48 bytes each, as in a pack's table, the block being numbered within the index

Entries are sorted by their bytes, hence by digest. Everything has a fixed size: a lookup in a file of any length
is two short reads, of the fan-out and of one bucket. An index is immutable and named by the BLAKE3 of its bytes.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import accumulate
from sys import byteorder
from typing import NamedTuple, Protocol

from hitsave.errors import MalformedObject
from hitsave.objects.digest import DIGEST_SIZE, Digest
from hitsave.packing.blocks import LARGEST_BLOCK, Codec
from hitsave.packing.indexlayout import (
    FANOUT,
    HEADER,
    INDEX_BLOCK,
    INDEX_MAGIC,
    PACK_RECORD,
    Location,
    PackSummary,
    check_owner,
    decode_block_record,
    decode_header,
    fanout_bits,
    locate_entry,
    no_block,
    no_pack,
    wrong_fanout,
)
from hitsave.packing.pack import (
    BLOCK_RECORD,
    COUNTS,
    ENTRY_RECORD,
    HEADER_SIZE,
    TRAILER,
    Block,
    PackTable,
    check_records,
)

__all__ = ["INDEX_MAGIC", "Index", "IndexedPack", "Location", "PackSummary", "encode_index"]

_BLOCK_PADDING = (21, 22, 23)
_STEP = ENTRY_RECORD.size
#: Buckets with more entries are searched by halves.
_CROWDED = 64
#: Records that are read at once.
_RECORDS = 4096
#: Block records that are kept decoded (some 2 MB): those of a few packs are asked for again and again.
_MOST_KNOWN = 1 << 13
#: The numbers of an entry record, behind its digest.
_PLACE = struct.Struct("<IIIB")


class IndexedPack(NamedTuple):
    """A pack as an index knows it: its name, its length in bytes, what it holds, or what is still wanted of that."""

    digest: Digest
    length: int
    table: PackTable


def encode_index(packs: Iterable[IndexedPack]) -> bytes:
    """The index of these packs. One set of packs, in one order, has one encoding."""
    pack_records: list[bytes] = []
    block_records: list[bytes] = []
    entries: list[bytes] = []
    for number, pack in enumerate(packs):
        first = len(block_records)
        pack_records.append(PACK_RECORD.pack(pack.digest, pack.length, first, len(pack.table.blocks)))
        block_records += [
            INDEX_BLOCK.pack(block.offset, block.stored, block.raw, number, block.codec) for block in pack.table.blocks
        ]
        entries += pack.table.records if first == 0 else _shifted(pack.table.records, first)
    entries.sort()
    bits = fanout_bits(len(entries))
    header = HEADER.pack(INDEX_MAGIC, bits, 0, len(pack_records), len(block_records), len(entries), 0)
    return b"".join([header, *pack_records, *block_records, _encode_fanout(entries, bits), *entries])


def _shifted(records: Iterable[bytes], first: int) -> list[bytes]:
    out = []
    for record in records:
        digest, block, offset, length, kind = ENTRY_RECORD.unpack(record)
        out.append(ENTRY_RECORD.pack(digest, block + first, offset, length, kind))
    return out


def _encode_fanout(entries: Iterable[bytes], bits: int) -> bytes:
    counts = [0] * (1 << bits)
    shift = 32 - bits
    for entry in entries:
        counts[int.from_bytes(entry[:4], "big") >> shift] += 1
    return struct.pack(f"<{len(counts)}I", *accumulate(counts))


class Readable(Protocol):
    """Bytes, a mapped file, or one that is read piece by piece: whatever gives slices."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes: ...


def _numbers(fanout: bytes) -> Sequence[int]:
    if byteorder == "little":
        return memoryview(fanout).cast("I")
    return struct.unpack(f"<{len(fanout) // FANOUT.size}I", fanout)


class Index:
    """An index in its encoded form: bytes, or a file that gives parts. Nothing is decoded before it is asked for.

    Opening checks the header and the packs, a lookup the entry that it finds, `verify` everything.
    """

    __slots__ = (
        "_bits",
        "_blocks_at",
        "_data",
        "_entries_at",
        "_fanout_at",
        "_known_blocks",
        "_packs",
        "entry_count",
    )

    def __init__(self, data: Readable) -> None:
        """Raises MalformedObject where header, length and packs do not fit each other. Costs nothing per entry."""
        layout = decode_header(data[: HEADER.size])
        if layout.length != len(data):
            raise MalformedObject("index", "has another length than its header says")
        self._data = data
        self._known_blocks: dict[int, tuple[Block, PackSummary]] = {}
        self._bits = layout.bits
        self._blocks_at = layout.blocks_at
        self._fanout_at = layout.fanout_at
        self._entries_at = layout.entries_at
        self.entry_count: int = layout.entries
        self._packs = tuple(
            PackSummary(Digest(digest), length, first, count)
            for digest, length, first, count in PACK_RECORD.iter_unpack(data[HEADER.size : self._blocks_at])
        )
        counted = 0
        for pack in self._packs:
            if pack.first_block != counted:
                raise MalformedObject("index", f"the blocks of pack {pack.digest.short} do not follow the pack before")
            counted += pack.blocks
        if counted != layout.blocks:
            raise MalformedObject("index", f"has {layout.blocks} blocks, and {counted} in its packs")
        if int.from_bytes(data[self._entries_at - FANOUT.size : self._entries_at], "little") != layout.entries:
            raise wrong_fanout()

    @property
    def packs(self) -> tuple[PackSummary, ...]:
        """The packs that this index covers."""
        return self._packs

    def blocks_of(self, pack: PackSummary) -> Iterator[Block]:
        """The blocks of one of the packs. Raises MalformedObject."""
        return (self._read_block(number)[0] for number in range(pack.first_block, pack.first_block + pack.blocks))

    def __contains__(self, digest: bytes) -> bool:
        return self._search(digest) >= 0

    def find(self, digest: bytes) -> Location | None:
        """Where an object is; None where no pack of this index holds it. Microseconds. Raises MalformedObject."""
        at = self._search(digest)
        return None if at < 0 else self._location(at)

    def find_many(self, digests: Collection[Digest]) -> dict[Digest, Location]:
        """Where objects are; those that no pack of this index holds are left out. Raises MalformedObject.

        Two microseconds for each: the fan-out is read at once where that pays, and blocks are decoded once.
        """
        data, entries_at, known = self._data, self._entries_at, self._known_blocks
        shift, place = 32 - self._bits, _PLACE.unpack_from
        many = len(digests) << 6 > 1 << self._bits
        fanout = _numbers(data[self._fanout_at : entries_at]).__getitem__ if many else self._fanout
        found: dict[Digest, Location] = {}
        for digest in digests:
            bucket = int.from_bytes(digest[:4], "big") >> shift
            first, last = fanout(bucket - 1) if bucket else 0, fanout(bucket)
            if last - first > _CROWDED:
                first = self._bisect(digest)
                last = first + 1
            window = data[entries_at + first * _STEP : entries_at + last * _STEP]
            at = window.find(digest)
            while at >= 0 and at % _STEP:
                at = window.find(digest, at + 1)
            if at < 0:
                continue
            number, offset, length, kind = place(window, at + DIGEST_SIZE)
            block, pack = known.get(number) or self._block(number)
            if offset + length > block.raw or not 1 <= kind <= 4:
                raise MalformedObject("index", f"entry {digest.short} lies outside of its block")
            found[digest] = Location(digest, kind, pack.digest, block, offset, length)
        return found

    def number_of(self, digest: bytes) -> int:
        """The number of an object's first entry, counted from 0; -1 where there is none."""
        at = self._search(digest)
        return -1 if at < 0 else (at - self._entries_at) // _STEP

    def location(self, number: int) -> Location:
        """The entry with this number. Raises MalformedObject."""
        return self._location(self._entries_at + number * _STEP)

    def find_prefix(self, low: bytes, high: bytes) -> Iterator[Digest]:
        """The digests from `low` to `high`, both 32 bytes and included, ascending."""
        number = self._bisect(low)
        while number < self.entry_count:
            at = self._entries_at + number * _STEP
            digest = Digest(self._data[at : at + 32])
            if digest > high:
                return
            yield digest
            number += 1

    def digests(self) -> Iterator[tuple[Digest, int]]:
        """Every entry's digest and kind, ascending; a digest comes once for each pack that holds it."""
        for record in self.records():
            yield Digest(record[:32]), record[44]

    def locations(self) -> Iterator[Location]:
        """Every entry, by ascending digest. Raises MalformedObject."""
        for record in self.records():
            yield locate_entry(record, *self._block(int.from_bytes(record[32:36], "little")))

    def tables(self, leave_out: Collection[bytes] = (), only: Sequence[int] | None = None) -> list[IndexedPack]:
        """What each pack holds, as `encode_index` takes it: for merging, without the packs left out.

        With `only`, which has a number for each entry, the entries for which it is 0 are left out. Raises
        MalformedObject.
        """
        records: list[list[bytes]] = [[] for _ in self._packs]
        wanted = [pack.digest not in leave_out for pack in self._packs]
        owners = [number for number, pack in enumerate(self._packs) for _ in range(pack.blocks)]
        for number, record in enumerate(self.records()):
            if only is not None and not only[number]:
                continue
            digest, block, offset, length, kind = ENTRY_RECORD.unpack(record)
            if block >= len(owners):
                raise no_block(block)
            owner = owners[block]
            if wanted[owner]:
                first = self._packs[owner].first_block
                records[owner].append(ENTRY_RECORD.pack(digest, block - first, offset, length, kind))
        return [
            IndexedPack(
                pack.digest,
                pack.length,
                PackTable(tuple(self.blocks_of(pack)), tuple(sorted(records[number]))),
            )
            for number, pack in enumerate(self._packs)
            if wanted[number]
        ]

    def verify(self) -> None:
        """Check everything, with what opening and lookups pass over. Raises MalformedObject. A second per million."""
        lengths = array("I")
        ends: list[int] = []
        for pack in self._packs:
            end = HEADER_SIZE
            for number in range(pack.first_block, pack.first_block + pack.blocks):
                block, _ = self._read_block(number)
                if block.offset != end or block.codec not in (Codec.RAW, Codec.ZSTD) or block.raw > LARGEST_BLOCK:
                    raise MalformedObject("index", f"block {number} is not where it must be, or of no known form")
                end += block.stored
                lengths.append(block.raw)
            ends.append(end)
        if any(any(self._data[self._blocks_at + at : self._fanout_at : INDEX_BLOCK.size]) for at in _BLOCK_PADDING):
            raise MalformedObject("index", "a block record has non-zero padding")
        check_records(self.records(), lengths, "index")
        if _encode_fanout(self.records(), self._bits) != self._data[self._fanout_at : self._entries_at]:
            raise wrong_fanout()
        held = array("I", bytes(lengths.itemsize * len(lengths)))
        for record in self.records():
            held[ENTRY_RECORD.unpack(record)[1]] += 1
        for pack, end in zip(self._packs, ends, strict=True):
            entries = sum(held[pack.first_block : pack.first_block + pack.blocks])
            table = COUNTS.size + pack.blocks * BLOCK_RECORD.size + entries * ENTRY_RECORD.size
            left_out, remainder = divmod(pack.length - end - table - TRAILER.size, ENTRY_RECORD.size)
            if left_out < 0 or remainder:
                raise MalformedObject("index", f"pack {pack.digest.short} has another length than its entries need")

    def records(self) -> Iterator[bytes]:
        """The entry records, ascending; each block is numbered within this index."""
        for start in range(self._entries_at, len(self._data), _RECORDS * _STEP):
            some = self._data[start : start + _RECORDS * _STEP]
            for at in range(0, len(some), _STEP):
                yield some[at : at + _STEP]

    def _search(self, digest: bytes) -> int:
        bucket = int.from_bytes(digest[:4], "big") >> (32 - self._bits)
        low, high = self._bounds(bucket)
        start = self._entries_at + low * _STEP
        stop = self._entries_at + high * _STEP
        if stop - start > _CROWDED * _STEP:
            number = self._bisect(digest)
            start = self._entries_at + number * _STEP
            stop = min(start + _STEP, len(self._data))
        window = self._data[start:stop]
        at = window.find(digest)
        while at >= 0 and at % _STEP:
            at = window.find(digest, at + 1)
        return start + at if at >= 0 else -1

    def _bisect(self, digest: bytes) -> int:
        low, high = 0, self.entry_count
        while low < high:
            middle = (low + high) // 2
            at = self._entries_at + middle * _STEP
            if self._data[at : at + 32] < digest:
                low = middle + 1
            else:
                high = middle
        return low

    def _bounds(self, bucket: int) -> tuple[int, int]:
        """The first entry of a bucket, and the one behind its last."""
        if not bucket:
            return 0, self._fanout(0)
        at = self._fanout_at + (bucket - 1) * FANOUT.size
        both = self._data[at : at + 2 * FANOUT.size]
        low, high = int.from_bytes(both[: FANOUT.size], "little"), int.from_bytes(both[FANOUT.size :], "little")
        return min(low, self.entry_count), min(high, self.entry_count)

    def _fanout(self, bucket: int) -> int:
        at = self._fanout_at + bucket * FANOUT.size
        return min(int.from_bytes(self._data[at : at + 4], "little"), self.entry_count)

    def _block(self, number: int) -> tuple[Block, PackSummary]:
        known = self._known_blocks.get(number)
        if known is None:
            if len(self._known_blocks) >= _MOST_KNOWN:
                self._known_blocks.clear()
            known = self._known_blocks[number] = self._read_block(number)
        return known

    def _read_block(self, number: int) -> tuple[Block, PackSummary]:
        at = self._blocks_at + number * INDEX_BLOCK.size
        if at >= self._fanout_at:
            raise no_block(number)
        block, owner = decode_block_record(self._data[at : at + INDEX_BLOCK.size])
        if owner >= len(self._packs):
            raise no_pack(owner)
        pack = self._packs[owner]
        check_owner(pack, owner, number)
        return block, pack

    def _location(self, at: int) -> Location:
        record = self._data[at : at + _STEP]
        return locate_entry(record, *self._block(int.from_bytes(record[32:36], "little")))
