"""Where things lie in an index (objects_spec.md, section 6), and how its records are read one by one.

Everything has a fixed size, so that the header alone says where a lookup has to look: in a file, or in the parts of one
that were fetched.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from hitsave.errors import MalformedObject
from hitsave.objects.digest import Digest
from hitsave.packing.pack import ENTRY_RECORD, Block

INDEX_MAGIC = b"HSIX\x01"
HEADER = struct.Struct("<5sBHIIQQ")
PACK_RECORD = struct.Struct("<32sQII")
INDEX_BLOCK = struct.Struct("<QIIIB3x")
FANOUT = struct.Struct("<I")
MOST_BITS = 20
_BUCKET = 16


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


class IndexLayout(NamedTuple):
    """What the header says, and the offsets that follow from it, in bytes."""

    bits: int
    packs: int
    blocks: int
    entries: int
    blocks_at: int
    fanout_at: int
    entries_at: int
    length: int

    def bucket(self, digest: bytes) -> int:
        """The bucket of a digest."""
        return int.from_bytes(digest[:4], "big") >> (32 - self.bits)

    def fanout_span(self, bucket: int) -> tuple[int, int]:
        """The bytes of the two numbers between which a bucket lies; of one for the first bucket."""
        at = self.fanout_at + FANOUT.size * bucket
        return (at - FANOUT.size if bucket else at), at + FANOUT.size

    def bucket_span(self, numbers: bytes) -> tuple[int, int]:
        """The bytes of a bucket's entries, by what lies in its `fanout_span`. Raises MalformedObject."""
        low = int.from_bytes(numbers[: FANOUT.size], "little") if len(numbers) > FANOUT.size else 0
        high = int.from_bytes(numbers[-FANOUT.size :], "little")
        if not low <= high <= self.entries:
            raise wrong_fanout()
        return self.entries_at + low * ENTRY_RECORD.size, self.entries_at + high * ENTRY_RECORD.size

    def block_at(self, number: int) -> int:
        """Where a block's record begins. Raises MalformedObject where there is none."""
        if number >= self.blocks:
            raise no_block(number)
        return self.blocks_at + number * INDEX_BLOCK.size

    def pack_at(self, number: int) -> int:
        """Where a pack's record begins. Raises MalformedObject where there is none."""
        if number >= self.packs:
            raise no_pack(number)
        return HEADER.size + number * PACK_RECORD.size


def fanout_bits(entries: int) -> int:
    """How many bits a writer takes."""
    return min((entries // _BUCKET).bit_length(), MOST_BITS)


def decode_header(data: bytes) -> IndexLayout:
    """The layout that an index's first 32 bytes say. Raises MalformedObject."""
    if len(data) < HEADER.size:
        raise MalformedObject("index", "is too short")
    magic, bits, gap, packs, blocks, entries, rest = HEADER.unpack_from(data)
    if magic != INDEX_MAGIC or bits > MOST_BITS:
        raise MalformedObject("index", "does not begin with the magic bytes of version 1", 0)
    if gap or rest:
        raise MalformedObject("index", "has non-zero padding in its header")
    blocks_at = HEADER.size + packs * PACK_RECORD.size
    fanout_at = blocks_at + blocks * INDEX_BLOCK.size
    entries_at = fanout_at + (FANOUT.size << bits)
    length = entries_at + entries * ENTRY_RECORD.size
    return IndexLayout(bits, packs, blocks, entries, blocks_at, fanout_at, entries_at, length)


def guess_layout(length: int, entries: int) -> IndexLayout:
    """Where fan-out and entries of an index lie, if its writer took the bits that he must. Says nothing of the rest."""
    bits = fanout_bits(entries)
    entries_at = length - entries * ENTRY_RECORD.size
    return IndexLayout(bits, 0, 0, entries, HEADER.size, entries_at - (FANOUT.size << bits), entries_at, length)


def find_in_bucket(bucket: bytes, digest: bytes) -> bytes | None:
    """The record of a digest among the entries of its bucket."""
    step = ENTRY_RECORD.size
    at = bucket.find(digest)
    while at >= 0 and at % step:
        at = bucket.find(digest, at + 1)
    return bucket[at : at + step] if at >= 0 else None


def decode_block_record(record: bytes) -> tuple[Block, int]:
    """A block, and the number of its pack."""
    offset, stored, raw, owner, codec = INDEX_BLOCK.unpack(record)
    return Block(offset, stored, raw, codec), owner


def decode_pack_record(record: bytes) -> PackSummary:
    """A pack."""
    digest, length, first, count = PACK_RECORD.unpack(record)
    return PackSummary(Digest(digest), length, first, count)


def check_owner(pack: PackSummary, owner: int, block: int) -> None:
    """Refuse a pack that does not count a block among its own. Raises MalformedObject."""
    if not 0 <= block - pack.first_block < pack.blocks:
        raise MalformedObject("index", f"block {block} is not one of pack {owner}")


def locate_entry(record: bytes, block: Block, pack: PackSummary) -> Location:
    """Where the entry of a record is, its block and pack being known. Raises MalformedObject."""
    digest, _, offset, length, kind = ENTRY_RECORD.unpack(record)
    if offset + length > block.raw or not 1 <= kind <= 4:
        raise MalformedObject("index", f"entry {Digest(digest).short} lies outside of its block")
    return Location(Digest(digest), kind, pack.digest, block, offset, length)


def no_block(number: int) -> MalformedObject:
    """What is wrong with an entry of a block that is not there."""
    return MalformedObject("index", f"names block {number}, which it does not have")


def no_pack(number: int) -> MalformedObject:
    """What is wrong with a block of a pack that is not there."""
    return MalformedObject("index", f"names pack {number}, which it does not have")


def wrong_fanout() -> MalformedObject:
    """What is wrong with a fan-out that does not count the entries."""
    return MalformedObject("index", "its fan-out is not that of its entries")
