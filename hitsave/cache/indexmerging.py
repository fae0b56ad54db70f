"""Puts small indexes of the cache together, so that a lookup asks a handful of them however many packs there are.

Indexes are merged with others of about their size, four or more at a time: each entry is written again only once for
each fourfold growth, and of no size more than three indexes remain. The merged one takes the others' place in one
transaction, in which nothing is lost: it holds what they hold. Where a collection has replaced one of them meanwhile,
they are left as they are.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from blake3 import blake3

from hitsave.cache.database import Database
from hitsave.cache.files import install, sync_all
from hitsave.cache.packset import PackSet, index_file
from hitsave.packing.index import Index
from hitsave.packing.indexmerge import IndexPart, MergedIndex

_AT_LEAST = 4
#: Larger indexes stay as they are, so that a merge takes no longer than a second.
_MOST_ENTRIES = 1 << 18


def choose_indexes(entries: Mapping[bytes, int]) -> list[bytes]:
    """The names of those that are to be merged now, by their numbers of entries; of the smallest size first."""
    by_size: dict[int, list[bytes]] = {}
    for name, count in entries.items():
        if count <= _MOST_ENTRIES:
            by_size.setdefault(count.bit_length() // 2, []).append(name)
    return next((names for _, names in sorted(by_size.items()) if len(names) >= _AT_LEAST), [])


def merge_small_indexes(root: Path, database: Database, packs: PackSet, folder: Path) -> int:
    """Merge what is to be merged; how many indexes went. `folder` is where nobody else looks. Raises CorruptObject."""
    gone = 0
    while True:
        indexes = packs.indexes()
        names = choose_indexes({name: index.entry_count for name, index in indexes.items()})
        if not names:
            return gone
        packs.check_indexes()
        name, entries = _write_merged(folder / "merged", [indexes[name] for name in names])
        if not _replace(root, database, names, folder / "merged", name, entries):
            return gone
        packs.touch()
        gone += len(names)
        for old in names:
            # Readers that have it open go on reading; those that have not look at the list again.
            with contextlib.suppress(OSError):
                os.unlink(root / index_file(old))


def _write_merged(path: Path, indexes: Sequence[Index]) -> tuple[bytes, int]:
    merged = MergedIndex([IndexPart(index) for index in indexes])
    hasher = blake3()
    with path.open("wb") as file:
        for piece in merged.pieces():
            hasher.update(piece)
            file.write(piece)
    sync_all([os.fspath(path)])
    return hasher.digest(), merged.entries


def _replace(root: Path, database: Database, old: Iterable[bytes], path: Path, name: bytes, entries: int) -> bool:
    with database.writing() as connection:
        listed = {row[0] for row in connection.execute("SELECT name FROM indexes")}
        if not listed.issuperset(old):
            return False
        folders = install(os.fspath(path), os.fspath(root / index_file(name)))
        sync_all(sorted(folders))
        connection.executemany("DELETE FROM indexes WHERE name = ?", [(one,) for one in old])
        connection.execute("INSERT OR IGNORE INTO indexes VALUES (?, ?)", (name, entries))
    return True
