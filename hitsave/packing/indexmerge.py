"""Makes one index out of parts of others, in memory that does not grow with their entries.

A part is an index with the packs to take from it, and the entries. Its records pass through twice: once to be counted,
once, merged in their order, to be written.
"""

from __future__ import annotations

import heapq
import struct
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from hitsave.objects.digest import DIGEST_SIZE, Digest
from hitsave.packing.index import Index, PackSummary
from hitsave.packing.indexlayout import HEADER, INDEX_BLOCK, INDEX_MAGIC, MOST_BITS, PACK_RECORD, fanout_bits

_BLOCK_NUMBER = struct.Struct("<I")
_BLOCK_END = DIGEST_SIZE + _BLOCK_NUMBER.size
#: Records that are given out at once.
_AT_ONCE = 4096
_NO_PACK = 0xFFFFFFFF


class IndexPart(NamedTuple):
    """Of an index, the packs in `packs` (all of them without), and the entries for which `only` has no 0."""

    source: Index
    packs: Collection[Digest] | None = None
    only: Sequence[int] | None = None


class MergedIndex:
    """The index that holds some parts. Of a pack that several have, it holds what any of them has."""

    def __init__(self, parts: Sequence[IndexPart]) -> None:
        """Raises MalformedObject where a part names blocks that it does not have."""
        self._parts = [_Part(part) for part in parts]
        first_blocks: dict[Digest, int] = {}
        first_block = first_pack = 0
        for part in self._parts:
            first_block, first_pack = part.place(first_block, first_pack, first_blocks)
        self._packs, self._blocks = first_pack, first_block
        self._counts = array("I", bytes(4 << MOST_BITS))
        if any(part.shares for part in self._parts):
            _count(self._records(), self._counts)
        else:
            for part in self._parts:
                _count(part.records(), self._counts)
        self.entries = sum(self._counts)

    def pieces(self) -> Iterator[bytes]:
        """The encoded index, in pieces."""
        bits = fanout_bits(self.entries)
        yield HEADER.pack(INDEX_MAGIC, bits, 0, self._packs, self._blocks, self.entries, 0)
        for part in self._parts:
            yield part.pack_records()
        for part in self._parts:
            yield from part.block_records()
        width = 1 << (MOST_BITS - bits)
        folded = (sum(self._counts[at : at + width]) for at in range(0, 1 << MOST_BITS, width))
        yield struct.pack(f"<{1 << bits}I", *accumulate(folded))
        yield from _joined(self._records())

    def _records(self) -> Iterator[bytes]:
        return _merged([part.records() for part in self._parts])


class _Part:
    """One part, and where its packs and blocks come in the whole."""

    def __init__(self, part: IndexPart) -> None:
        self._index = part.source
        self._only = part.only
        self._wanted_packs = [pack for pack in part.source.packs if part.packs is None or pack.digest in part.packs]
        #: Those of them that no part before this one has.
        self._packs: list[PackSummary] = []
        self._first_pack = 0
        self._first_blocks: list[int] = []
        #: For each block of the index its number in the whole, or _NO_PACK.
        self._numbers = array("I")

    @property
    def shares(self) -> bool:
        """Whether a part before this one has some of its packs, too."""
        return len(self._packs) < len(self._wanted_packs)

    def place(self, first_block: int, first_pack: int, first_blocks: dict[Digest, int]) -> tuple[int, int]:
        """Take the next numbers of blocks and packs; those that follow. `first_blocks` says where packs are already."""
        self._first_pack = first_pack
        self._numbers = array("I", [_NO_PACK]) * sum(pack.blocks for pack in self._index.packs)
        for pack in self._wanted_packs:
            if pack.digest not in first_blocks:
                first_blocks[pack.digest] = first_block
                self._packs.append(pack)
                self._first_blocks.append(first_block)
                first_block += pack.blocks
            first = first_blocks[pack.digest]
            numbers = array("I", range(first, first + pack.blocks))
            self._numbers[pack.first_block : pack.first_block + pack.blocks] = numbers
        return first_block, first_pack + len(self._packs)

    def pack_records(self) -> bytes:
        """The records of its packs."""
        return b"".join(
            PACK_RECORD.pack(pack.digest, pack.length, first, pack.blocks)
            for pack, first in zip(self._packs, self._first_blocks, strict=True)
        )

    def block_records(self) -> Iterator[bytes]:
        """The records of its blocks, pack by pack."""
        for number, pack in enumerate(self._packs, self._first_pack):
            yield b"".join(
                INDEX_BLOCK.pack(block.offset, block.stored, block.raw, number, block.codec)
                for block in self._index.blocks_of(pack)
            )

    def _wanted(self) -> Iterator[bytes]:
        records = self._index.records()
        if self._only is None:
            return records
        return (record for record, wanted in zip(records, self._only, strict=True) if wanted)

    def records(self) -> Iterator[bytes]:
        """Its entry records, with the blocks of the whole."""
        numbers, unpack, pack = self._numbers, _BLOCK_NUMBER.unpack_from, _BLOCK_NUMBER.pack
        for record in self._wanted():
            number = numbers[unpack(record, DIGEST_SIZE)[0]]
            if number != _NO_PACK:
                yield record[:DIGEST_SIZE] + pack(number) + record[_BLOCK_END:]


def _count(records: Iterable[bytes], counts: array[int]) -> None:
    """Count entries by the first bits of their digests."""
    shift = 32 - MOST_BITS
    for record in records:
        counts[int.from_bytes(record[:4], "big") >> shift] += 1


def _merged(streams: Iterable[Iterator[bytes]]) -> Iterator[bytes]:
    """All records in their order.

    Entries of one digest may be out of order in their stream, their blocks having other numbers now. Those of a pack
    that several parts have may come several times.
    """
    held: list[bytes] = []
    for record in heapq.merge(*streams):
        if held and record[:DIGEST_SIZE] != held[0][:DIGEST_SIZE]:
            yield from sorted(set(held)) if len(held) > 1 else held
            held = []
        held.append(record)
    yield from sorted(set(held))


def _joined(records: Iterator[bytes]) -> Iterator[bytes]:
    some: list[bytes] = []
    for record in records:
        some.append(record)
        if len(some) == _AT_ONCE:
            yield b"".join(some)
            some = []
    yield b"".join(some)
