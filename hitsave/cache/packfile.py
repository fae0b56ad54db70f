"""Packs as files: checking one from its first byte to its last, and reading what is left of a damaged one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

from hitsave.errors import MalformedObject
from hitsave.objects.digest import Digest
from hitsave.packing.blocks import decode_block, entry_content
from hitsave.packing.index import IndexedPack
from hitsave.packing.pack import PackEntry
from hitsave.packing.packreader import check_entry, pack_contents, read_table


def verify_pack(path: Path, expected: Digest) -> IndexedPack:
    """Check a pack's name, table and every entry; what it holds. Raises MalformedObject."""
    with path.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        hasher = blake3()

        def read(offset: int, size: int) -> bytes:
            file.seek(offset)
            return file.read(size)

        while content := file.read(1 << 20):
            hasher.update(content)
        if hasher.digest() != expected:
            raise MalformedObject("pack", f"has another digest than its name {expected}")
        pack = read_table(read, length, expected)
        for _ in pack_contents(read, pack):
            pass
    return pack


def readable_entries(path: Path, pack: IndexedPack) -> Iterator[tuple[PackEntry, bytes | memoryview]]:
    """What can be read of a damaged pack, by the table that an index has of it: entries with their contents."""
    by_block: dict[int, list[PackEntry]] = {}
    for entry in pack.table.entries():
        by_block.setdefault(entry.block, []).append(entry)
    try:
        file = path.open("rb")
    except OSError:
        return
    with file:
        for number, entries in sorted(by_block.items()):
            block = pack.table.blocks[number]
            try:
                file.seek(block.offset)
                content = memoryview(decode_block(block.codec, file.read(block.stored), block.raw))
            except (MalformedObject, OSError):
                continue
            yield from _right_ones(entries, content)


def _right_ones(entries: list[PackEntry], block: memoryview) -> Iterator[tuple[PackEntry, memoryview]]:
    for entry in entries:
        try:
            content = entry_content(block, entry.digest, entry.offset, entry.length)
            check_entry(entry.digest, entry.kind, content)
        except MalformedObject:
            continue
        yield entry, memoryview(content)
