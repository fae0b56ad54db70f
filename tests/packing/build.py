"""Packs in memory, made as a writer makes them, and read as a reader reads them."""

from __future__ import annotations

from collections.abc import Sequence

from blake3 import blake3

from hitsave.objects.digest import Digest, ObjectKind, object_digest
from hitsave.packing.blocks import BlockBuilder, Codec, encode_block
from hitsave.packing.index import IndexedPack
from hitsave.packing.pack import COUNTS, NONCE_SIZE, TRAILER, TRAILER_MAGIC, PackBuilder
from hitsave.packing.packreader import ReadRange, pack_contents, read_table

#: Blocks of a pack: each a list of (kind, content).
Blocks = Sequence[Sequence[tuple[ObjectKind, bytes]]]
#: What a pack holds: (digest, kind, content), sorted.
Contents = list[tuple[bytes, int, bytes]]


def build_pack(
    blocks: Blocks, nonce: bytes = b"n" * NONCE_SIZE, codec: Codec | None = None
) -> tuple[bytes, PackBuilder]:
    """The bytes of a pack with these blocks, and its builder. Without `codec`, each block has the one that pays."""
    builder = PackBuilder(nonce)
    data = bytearray(builder.header())
    for contents in blocks:
        block = BlockBuilder()
        for kind, content in contents:
            block.add(object_digest(kind, content), kind, content)
        raw = block.content()
        chosen, stored = (Codec.RAW, raw) if codec is Codec.RAW else encode_block(raw)
        data += builder.block(chosen, stored, len(raw), block.entries)
    data += builder.finish()
    return bytes(data), builder


def reader(data: bytes) -> ReadRange:
    """Ranges of bytes, as a file gives them: short where it ends."""
    return lambda offset, length: data[offset : offset + length]


def name_of(data: bytes) -> Digest:
    """How a pack, an index or a ref segment is named."""
    return Digest(blake3(data).digest())


def read_pack(data: bytes) -> Contents:
    """Everything in a pack, read through its own table. Raises MalformedObject."""
    read = reader(data)
    pack = read_table(read, len(data), name_of(data))
    return sorted((entry.digest, entry.kind, bytes(content)) for entry, content in pack_contents(read, pack))


def indexed(data: bytes) -> IndexedPack:
    """A pack as an index takes it."""
    return read_table(reader(data), len(data), name_of(data))


def table_of(data: bytes) -> tuple[int, bytes]:
    """Where a pack's table lies, and the table."""
    offset, length, _, _ = TRAILER.unpack(data[-TRAILER.size :])
    return offset, data[offset : offset + length]


def sealed(blocks: bytes, table: bytes) -> bytes:
    """A pack of a header with blocks, and any table, under a trailer that is right for it."""
    return blocks + table + TRAILER.pack(len(blocks), len(table), blake3(table).digest(), TRAILER_MAGIC)


#: A table of nothing.
EMPTY_TABLE = COUNTS.pack(0, 0)
