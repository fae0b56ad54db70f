"""Packs (objects_spec.md, section 5): many objects in one immutable file, in a cache and in a remote alike.

    header   "HSPK" version(1) zero(3) nonce(16)
    blocks   one after the other, from byte 24 on
    table    block count, entry count, block records, entry records sorted by their bytes
    trailer  table offset, table length, BLAKE3 of the table, "KPSH"

A pack is named by the BLAKE3 of its bytes. The random nonce keeps two writers from ever making the same pack, so
that whoever deletes one pack cannot take away another writer's. The table makes a pack readable by itself: every
index can be built again from packs alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from blake3 import blake3

from hitsave.errors import MalformedObject
from hitsave.objects.digest import Digest
from hitsave.packing.blocks import LARGEST_BLOCK, BlockEntry, Codec

PACK_MAGIC = b"HSPK\x01\0\0\0"
TRAILER_MAGIC = b"KPSH"
NONCE_SIZE = 16
HEADER_SIZE = len(PACK_MAGIC) + NONCE_SIZE
#: Bytes after which a writer closes a pack.
PACK_TARGET = 64 << 20

BLOCK_RECORD = struct.Struct("<IIB3x")
ENTRY_RECORD = struct.Struct("<32sIIIB3x")
COUNTS = struct.Struct("<II")
TRAILER = struct.Struct("<QI32s4s")
_BLOCK_PADDING = (9, 10, 11)


class Block(NamedTuple):
    """Where a block lies in its pack: offset and stored length in bytes; `raw` is its length when decoded."""

    offset: int
    stored: int
    raw: int
    codec: int


class PackEntry(NamedTuple):
    """One entry of a pack's table; `block` counts from 0, offset and length are within the decoded block."""

    digest: bytes
    block: int
    offset: int
    length: int
    kind: int


@dataclass(frozen=True, slots=True)
class PackTable:
    """What a pack holds. `records` are the entry records, sorted by their bytes."""

    blocks: tuple[Block, ...]
    records: tuple[bytes, ...]

    def entries(self) -> Iterable[PackEntry]:
        """The entries, by ascending digest."""
        return (PackEntry(*ENTRY_RECORD.unpack(record)) for record in self.records)


class PackBuilder:
    """Encodes one pack. Each method returns bytes to be written at once, in the order of the calls.

    Afterwards `digest`, `length` and `table` tell what was made.
    """

    def __init__(self, nonce: bytes) -> None:
        if len(nonce) != NONCE_SIZE:
            raise ValueError(f"a nonce has {NONCE_SIZE} bytes")
        self._hasher = blake3()
        self._nonce = nonce
        self._blocks: list[Block] = []
        self._records: list[bytes] = []
        self.length = 0

    def _emit(self, data: bytes | bytearray | memoryview) -> None:
        self._hasher.update(data)
        self.length += len(data)

    def header(self) -> bytes:
        """The first bytes of the pack."""
        data = PACK_MAGIC + self._nonce
        self._emit(data)
        return data

    def block(
        self, codec: int, stored: bytes | bytearray | memoryview, raw: int, entries: Iterable[BlockEntry]
    ) -> bytes | bytearray | memoryview:
        """One encoded block, with what it holds."""
        number = len(self._blocks)
        self._blocks.append(Block(self.length, len(stored), raw, codec))
        pack = ENTRY_RECORD.pack
        self._records += [pack(digest, number, offset, length, kind) for digest, kind, offset, length in entries]
        self._emit(stored)
        return stored

    def finish(self) -> bytes:
        """Table and trailer: the last bytes of the pack."""
        self._records.sort()
        table = b"".join(
            [
                COUNTS.pack(len(self._blocks), len(self._records)),
                *(BLOCK_RECORD.pack(block.stored, block.raw, block.codec) for block in self._blocks),
                *self._records,
            ]
        )
        trailer = TRAILER.pack(self.length, len(table), blake3(table).digest(), TRAILER_MAGIC)
        self._emit(table)
        self._emit(trailer)
        return table + trailer

    @property
    def empty(self) -> bool:
        """Whether no block was added yet."""
        return not self._blocks

    @property
    def digest(self) -> Digest:
        """The name of the pack; final after `finish`."""
        return Digest(self._hasher.digest())

    @property
    def table(self) -> PackTable:
        """What the pack holds; final after `finish`."""
        return PackTable(tuple(self._blocks), tuple(self._records))


def check_header(data: bytes) -> None:
    """Refuse bytes that do not begin a pack. Raises MalformedObject."""
    if data[: len(PACK_MAGIC)] != PACK_MAGIC:
        raise MalformedObject("pack", "does not begin with the magic bytes of version 1", 0)


def decode_trailer(trailer: bytes, pack_length: int) -> tuple[int, int, bytes]:
    """Offset, length and BLAKE3 of the table, from a pack's last bytes. Raises MalformedObject."""
    if len(trailer) != TRAILER.size or pack_length < HEADER_SIZE + COUNTS.size + TRAILER.size:
        raise MalformedObject("pack", "is too short")
    offset, length, digest, magic = TRAILER.unpack(trailer)
    if magic != TRAILER_MAGIC:
        raise MalformedObject("pack", "does not end with the magic bytes", pack_length - 4)
    if offset < HEADER_SIZE or offset + length + TRAILER.size != pack_length:
        raise MalformedObject("pack", "its table does not lie before the trailer", pack_length - TRAILER.size)
    return offset, length, digest


def decode_table(table: bytes, table_offset: int, table_digest: bytes) -> PackTable:
    """The table of a pack, checked against its digest and for consistency. Raises MalformedObject."""
    if blake3(table).digest() != table_digest:
        raise MalformedObject("pack", "its table has another digest than the trailer says", table_offset)
    block_count, entry_count = COUNTS.unpack_from(table) if len(table) >= COUNTS.size else (0, 0)
    entries_at = COUNTS.size + block_count * BLOCK_RECORD.size
    if len(table) != entries_at + entry_count * ENTRY_RECORD.size:
        raise MalformedObject("pack", "its table has another length than its counts say", table_offset)
    blocks = _decode_blocks(table[COUNTS.size : entries_at], table_offset)
    step = ENTRY_RECORD.size
    records = tuple(table[at : at + step] for at in range(entries_at, len(table), step))
    check_records(records, [block.raw for block in blocks], "pack")
    return PackTable(blocks, records)


def _decode_blocks(data: bytes, table_offset: int) -> tuple[Block, ...]:
    blocks: list[Block] = []
    offset = HEADER_SIZE
    for stored, raw, codec in BLOCK_RECORD.iter_unpack(data):
        if codec not in (Codec.RAW, Codec.ZSTD) or raw > LARGEST_BLOCK:
            raise MalformedObject("pack", f"block {len(blocks)} has an unknown codec or an impossible length")
        blocks.append(Block(offset, stored, raw, codec))
        offset += stored
    if any(any(data[at :: BLOCK_RECORD.size]) for at in _BLOCK_PADDING):
        raise MalformedObject("pack", "a block record has non-zero padding")
    if offset != table_offset:
        raise MalformedObject("pack", "its blocks do not end where its table begins", table_offset)
    return tuple(blocks)


def check_records(records: Iterable[bytes], lengths: Sequence[int], what: str) -> None:
    """Refuse entry records that are not sorted, or not of blocks of these lengths. Raises MalformedObject."""
    previous = b""
    for record in records:
        if record <= previous:
            raise MalformedObject(what, "its entries are not in ascending order")
        previous = record
        digest, block, offset, length, kind = ENTRY_RECORD.unpack(record)
        if block >= len(lengths) or offset + length > lengths[block] or not 1 <= kind <= 4:
            raise MalformedObject(what, f"entry {Digest(digest).short} lies outside of its block")
        if record[45:] != b"\0\0\0":
            raise MalformedObject(what, f"entry {Digest(digest).short} has non-zero padding")
