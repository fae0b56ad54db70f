"""Takes the objects of a cache's packs over into packs of a remote: all of them, or some and no others.

Of a pack that is wanted whole every block is copied as it is, unopened: the digest of the pack vouches for them. From
others, a block of which every byte is wanted is checked and copied as it is; out of the rest the objects are taken,
checked, and put together in new blocks.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from hitsave.errors import CorruptObject, MalformedObject
from hitsave.packing.blocks import BlockEntry, decode_block, entry_content
from hitsave.packing.index import IndexedPack
from hitsave.packing.pack import ENTRY_RECORD, Block, PackEntry
from hitsave.packing.packreader import check_entry
from hitsave.remotes.writing.packstream import EncodedBlock, EntryStream, PackStream


def copy_all(stream: PackStream, content: memoryview, pack: IndexedPack) -> None:
    """Every block of a pack, whose content was found to have its digest."""
    by_block: list[list[bytes]] = [[] for _ in pack.table.blocks]
    for record in pack.table.records:
        by_block[PackEntry(*ENTRY_RECORD.unpack(record)).block].append(record)
    for number, place in enumerate(pack.table.blocks):
        # Unpacked late: a pack may hold a million entries.
        entries = (PackEntry(*ENTRY_RECORD.unpack(record)) for record in by_block[number])
        kept = tuple(BlockEntry(entry.digest, entry.kind, entry.offset, entry.length) for entry in entries)
        by_block[number] = []
        stored = content[place.offset : place.offset + place.stored]
        stream.add_encoded(EncodedBlock(place.codec, stored, place.raw, kept))


class Reblocker:
    """Takes a part of the objects of packs over into a stream."""

    def __init__(self, stream: PackStream) -> None:
        self._stream = stream
        self._entries = EntryStream(stream)

    def copy(self, file: BinaryIO, path: Path, pack: IndexedPack, needed: Collection[bytes]) -> None:
        """Those entries of a pack, open as `file`, that are needed. Raises CorruptObject."""
        by_block: dict[int, list[PackEntry]] = {}
        for entry in pack.table.entries():
            by_block.setdefault(entry.block, []).append(entry)
        for number, entries in by_block.items():
            if not any(entry.digest in needed for entry in entries):
                continue
            block = pack.table.blocks[number]
            file.seek(block.offset)
            try:
                self._copy_block(block, file.read(block.stored), entries, needed)
            except MalformedObject as error:
                raise CorruptObject(str(pack.digest), os.fspath(path), str(error)) from None

    def _copy_block(self, block: Block, stored: bytes, entries: list[PackEntry], needed: Collection[bytes]) -> None:
        content = decode_block(block.codec, stored, block.raw)
        kept: list[BlockEntry] = []
        pieces: list[tuple[PackEntry, bytes | memoryview]] = []
        for entry in entries:
            if entry.digest in needed:
                piece = entry_content(content, entry.digest, entry.offset, entry.length)
                check_entry(entry.digest, entry.kind, piece)
                pieces.append((entry, piece))
                kept.append(BlockEntry(entry.digest, entry.kind, entry.offset, entry.length))
        # A block may hold bytes that belong to no entry, and nobody asked for them.
        if len(kept) == len(entries) and sum(entry.length for entry in kept) == block.raw:
            self._stream.add_encoded(EncodedBlock(block.codec, stored, block.raw, tuple(kept)))
            return
        for entry, piece in pieces:
            self._entries.add(entry.digest, entry.kind, piece)

    def add(self, digest: bytes, kind: int, content: bytes) -> None:
        """An object that lies in no pack. The caller vouches that it has this digest."""
        self._entries.add(digest, kind, content)

    def flush(self) -> None:
        """Send what is left."""
        self._entries.flush()
