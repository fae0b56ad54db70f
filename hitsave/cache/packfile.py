"""Packs as files: checking one from its first byte to its last."""

from __future__ import annotations

import os
from pathlib import Path

from blake3 import blake3

from hitsave.errors import MalformedObject
from hitsave.objects.digest import Digest
from hitsave.packing.index import IndexedPack
from hitsave.packing.packreader import pack_contents, read_table


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
