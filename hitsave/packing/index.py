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
from collections.abc import Collection, Iterable, Iterator, Sequence
from mmap import mmap
from typing import NamedTuple

from hitsave.errors import MalformedObject
from hitsave.objects.digest import Digest
from hitsave.packing.pack import ENTRY_RECORD, Block, PackTable

INDEX_MAGIC = b"HSIX\x01"

_HEADER = struct.Struct("<5sB2xIIQ8x")
_PACK = struct.Struct("<32sQII")
_BLOCK = struct.Struct("<QIIIB3x")
_FANOUT = struct.Struct("<I")
_BUCKET = 16
_MOST_BITS = 20
_STEP = ENTRY_RECORD.size


class IndexedPack(NamedTuple):
    """A pack as an index knows it: its name, its length in bytes, what it holds."""

    digest: Digest
    length: int
    table: PackTable


class PackSummary(NamedTuple):
    """A pack of an index, without its entries."""

    digest: Digest
    length: int
    first_block: int
    blocks: int


class Location(NamedTuple):
    """Where an entry is: its pack, the block within the pack, its place within the decoded block."""

    digest: Digest
    kind: int
    pack: Digest
    block: Block
    offset: int
    length: int


def encode_index(packs: Iterable[IndexedPack]) -> bytes:
    """The index of these packs. One set of packs, in one order, has one encoding."""
    pack_records: list[bytes] = []
    block_records: list[bytes] = []
    entries: list[bytes] = []
    for number, pack in enumerate(packs):
        first = len(block_records)
        pack_records.append(_PACK.pack(pack.digest, pack.length, first, len(pack.table.blocks)))
        block_records += [
            _BLOCK.pack(block.offset, block.stored, block.raw, number, block.codec) for block in pack.table.blocks
        ]
        entries += pack.table.records if first == 0 else _shifted(pack.table.records, first)
    entries.sort()
    bits = _fanout_bits(len(entries))
    header = _HEADER.pack(INDEX_MAGIC, bits, len(pack_records), len(block_records), len(entries))
    return b"".join([header, *pack_records, *block_records, _encode_fanout(entries, bits), *entries])


def _shifted(records: Iterable[bytes], first: int) -> list[bytes]:
    out = []
    for record in records:
        digest, block, offset, length, kind = ENTRY_RECORD.unpack(record)
        out.append(ENTRY_RECORD.pack(digest, block + first, offset, length, kind))
    return out


def _fanout_bits(entries: int) -> int:
    return min(max((entries // _BUCKET).bit_length(), 0), _MOST_BITS)


def _encode_fanout(entries: Sequence[bytes], bits: int) -> bytes:
    counts = [0] * (1 << bits)
    shift = 32 - bits
    for entry in entries:
        counts[int.from_bytes(entry[:4], "big") >> shift] += 1
    total = 0
    for bucket, count in enumerate(counts):
        total += count
        counts[bucket] = total
    return struct.pack(f"<{len(counts)}I", *counts)


class Index:
    """An index in its encoded form: bytes, or a mapped file. Nothing is decoded before it is asked for."""

    __slots__ = ("_bits", "_blocks_at", "_data", "_entries_at", "_fanout_at", "_packs", "entry_count")

    def __init__(self, data: bytes | mmap) -> None:
        """Raises MalformedObject where the header does not fit the length."""
        if len(data) < _HEADER.size:
            raise MalformedObject("index", "is too short")
        magic, bits, packs, blocks, entries = _HEADER.unpack(data[: _HEADER.size])
        if magic != INDEX_MAGIC or bits > _MOST_BITS:
            raise MalformedObject("index", "does not begin with the magic bytes of version 1", 0)
        self._data = data
        self._bits = bits
        self._blocks_at = _HEADER.size + packs * _PACK.size
        self._fanout_at = self._blocks_at + blocks * _BLOCK.size
        self._entries_at = self._fanout_at + (_FANOUT.size << bits)
        self.entry_count = entries
        if self._entries_at + entries * _STEP != len(data):
            raise MalformedObject("index", "has another length than its header says")
        self._packs = tuple(
            PackSummary(Digest(digest), length, first, count)
            for digest, length, first, count in _PACK.iter_unpack(data[_HEADER.size : self._blocks_at])
        )

    @property
    def packs(self) -> tuple[PackSummary, ...]:
        """The packs that this index covers."""
        return self._packs

    def __contains__(self, digest: bytes) -> bool:
        return self._search(digest) >= 0

    def find(self, digest: bytes) -> Location | None:
        """Where an object is; None where no pack of this index holds it. Microseconds."""
        at = self._search(digest)
        return None if at < 0 else self._location(at)

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
        for at in range(self._entries_at, len(self._data), _STEP):
            record = self._data[at : at + _STEP]
            yield Digest(record[:32]), record[44]

    def locations(self) -> Iterator[Location]:
        """Every entry, by ascending digest."""
        for at in range(self._entries_at, len(self._data), _STEP):
            yield self._location(at)

    def tables(self, leave_out: Collection[bytes] = ()) -> list[IndexedPack]:
        """What each pack holds, as `encode_index` takes it: for merging, without the packs left out."""
        records: list[list[bytes]] = [[] for _ in self._packs]
        owners = [number for number, pack in enumerate(self._packs) for _ in range(pack.blocks)]
        for at in range(self._entries_at, len(self._data), _STEP):
            digest, block, offset, length, kind = ENTRY_RECORD.unpack(self._data[at : at + _STEP])
            owner = owners[block]
            first = self._packs[owner].first_block
            records[owner].append(ENTRY_RECORD.pack(digest, block - first, offset, length, kind))
        return [
            IndexedPack(
                pack.digest,
                pack.length,
                PackTable(
                    tuple(self._block(pack.first_block + block)[0] for block in range(pack.blocks)),
                    tuple(sorted(records[number])),
                ),
            )
            for number, pack in enumerate(self._packs)
            if pack.digest not in leave_out
        ]

    def _search(self, digest: bytes) -> int:
        bucket = int.from_bytes(digest[:4], "big") >> (32 - self._bits)
        low = self._fanout(bucket - 1) if bucket else 0
        start = self._entries_at + low * _STEP
        stop = self._entries_at + self._fanout(bucket) * _STEP
        if stop - start > 64 * _STEP:
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

    def _fanout(self, bucket: int) -> int:
        at = self._fanout_at + bucket * _FANOUT.size
        return min(int.from_bytes(self._data[at : at + 4], "little"), self.entry_count)

    def _block(self, number: int) -> tuple[Block, int]:
        at = self._blocks_at + number * _BLOCK.size
        if at >= self._fanout_at:
            raise MalformedObject("index", f"names block {number}, which it does not have")
        offset, stored, raw, pack, codec = _BLOCK.unpack(self._data[at : at + _BLOCK.size])
        return Block(offset, stored, raw, codec), pack

    def _location(self, at: int) -> Location:
        digest, number, offset, length, kind = ENTRY_RECORD.unpack(self._data[at : at + _STEP])
        block, pack = self._block(number)
        if pack >= len(self._packs):
            raise MalformedObject("index", f"names pack {pack}, which it does not have")
        return Location(Digest(digest), kind, self._packs[pack].digest, block, offset, length)
