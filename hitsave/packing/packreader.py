"""Reads a whole pack through a function that gives ranges, and checks every byte (objects_spec.md, section 5.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hitsave.errors import MalformedObject
from hitsave.objects.digest import Digest, ObjectKind, object_digest
from hitsave.packing.blocks import EntryKindInPack, decode_block, entry_content
from hitsave.packing.index import IndexedPack
from hitsave.packing.pack import HEADER_SIZE, TRAILER, PackEntry, check_header, decode_table, decode_trailer
from hitsave.packing.recipe import decode_recipe

#: Gives `length` bytes of a pack from `offset` on.
ReadRange = Callable[[int, int], bytes]


def read_table(read: ReadRange, length: int, name: Digest) -> IndexedPack:
    """What a pack of `length` bytes holds, by its own table. Raises MalformedObject."""
    check_header(read(0, HEADER_SIZE))
    offset, size, digest = decode_trailer(read(max(length - TRAILER.size, 0), TRAILER.size), length)
    return IndexedPack(name, length, decode_table(read(offset, size), offset, digest))


def pack_contents(read: ReadRange, pack: IndexedPack) -> Iterator[tuple[PackEntry, bytes | memoryview]]:
    """Every entry of a pack with its content, checked against its digest. Raises MalformedObject."""
    by_block: list[list[PackEntry]] = [[] for _ in pack.table.blocks]
    for entry in pack.table.entries():
        by_block[entry.block].append(entry)
    for block, entries in zip(pack.table.blocks, by_block, strict=True):
        content = decode_block(block.codec, read(block.offset, block.stored), block.raw)
        view = memoryview(content)
        for entry in entries:
            piece = entry_content(view, entry.digest, entry.offset, entry.length)
            check_entry(entry.digest, entry.kind, piece)
            yield entry, piece


def check_entry(digest: bytes, kind: int, content: bytes | memoryview) -> None:
    """Raises MalformedObject where an entry's content is not what its digest and kind say."""
    if kind == EntryKindInPack.RECIPE:
        decode_recipe(bytes(content), Digest(digest))
    elif object_digest(ObjectKind(kind), content) != digest:
        raise MalformedObject("pack", f"entry {digest.hex()} has content with another digest")
