"""Remotes with large indexes, made without their packs: what others pushed, of which nothing is ever read."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

from blake3 import blake3

from hitsave.objects.digest import Digest
from hitsave.packing.commit import Commit, StoredFile, decode_commit, encode_commit
from hitsave.packing.index import Index, IndexedPack, encode_index
from hitsave.packing.pack import COUNTS, ENTRY_RECORD, HEADER_SIZE, TRAILER, Block, PackTable
from hitsave.remotes.commits.keys import commit_key, index_key
from tests.remotes.transports import MemoryStore, MemoryTransport

_PER_BLOCK = 100
_PER_PACK = 20_000
_SIZE = 2000


def crowd(entries: int, seed: int) -> list[IndexedPack]:
    """Packs with so many objects of strangers."""
    chance = random.Random(seed)
    packs: list[IndexedPack] = []
    for first in range(0, entries, _PER_PACK):
        count = min(_PER_PACK, entries - first)
        blocks = -(-count // _PER_BLOCK)
        stored = 30_000
        table = PackTable(
            tuple(Block(HEADER_SIZE + number * stored, stored, _PER_BLOCK * _SIZE, 1) for number in range(blocks)),
            tuple(
                sorted(
                    ENTRY_RECORD.pack(chance.randbytes(32), number // _PER_BLOCK, number % _PER_BLOCK * _SIZE, _SIZE, 1)
                    for number in range(count)
                )
            ),
        )
        length = HEADER_SIZE + blocks * (stored + 12) + COUNTS.size + count * ENTRY_RECORD.size + TRAILER.size
        packs.append(IndexedPack(Digest(chance.randbytes(32)), length, table))
    return packs


def newest(store: MemoryStore) -> Commit:
    """The newest commit."""
    return decode_commit(store.values[MemoryTransport(store).list("commits/")[-1]])


def put_index(store: MemoryStore, packs: Iterable[IndexedPack]) -> StoredFile:
    """Put an index into a store."""
    content = encode_index(packs)
    file = StoredFile(Digest(blake3(content).digest()), len(content), Index(content).entry_count, newest(store).session)
    store.values[index_key(file)] = content
    return file


def rewrite(store: MemoryStore, indexes: Iterable[StoredFile]) -> None:
    """Let the newest commit name these indexes instead of its own."""
    commit = newest(store)
    store.values[commit_key(commit.number)] = encode_commit(replace(commit, indexes=tuple(indexes)))


def join_crowd(store: MemoryStore, entries: int, seed: int = 0) -> StoredFile:
    """Put what was pushed into one index with what others pushed."""
    indexes = [Index(store.values[index_key(file)]) for file in newest(store).indexes]
    packs = crowd(entries, seed)
    half = len(packs) // 2
    file = put_index(store, [*packs[:half], *(pack for index in indexes for pack in index.tables()), *packs[half:]])
    rewrite(store, [file])
    return file
