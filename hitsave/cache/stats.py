"""What is known of working files: a directory that has not changed needs no reading.

One row for each directory holds a *signature*, the names of its files with size, times, inode and mode, and the
encoding of its tree. Where a new listing gives the same signature, the digests are known without a look at any file.

A file that was changed in the same tick of the clock in which it was read may look unchanged for ever. So a file whose
times are not safely older than the moment before its reading is left out of the signature (git's "racy" rule).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from hitsave.cache.database import Database

_RECORD = struct.Struct("<QqqQI")
#: Clocks of file systems tick every 10 ms or faster, or every two seconds where there are no fractions.
FINE_TICK_NS = 20_000_000
COARSE_TICK_NS = 2_100_000_000
_ROWS_AT_ONCE = 2000

pack_stat = _RECORD.pack
STAT_SIZE = _RECORD.size
#: The record of a file that must be read again.
UNTRUSTED = bytes(STAT_SIZE)


def stat_record(found: os.stat_result) -> bytes:
    """What tells a changed file from an unchanged one."""
    return pack_stat(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_mode & 0xFFFF)


def is_racy(found: os.stat_result, read_at_ns: int) -> bool:
    """Whether a change after the reading at `read_at_ns` (nanoseconds since 1970) could leave no trace."""
    newest = max(found.st_mtime_ns, found.st_ctime_ns)
    tick = FINE_TICK_NS if newest % 1_000_000 else COARSE_TICK_NS
    return newest >= read_at_ns - tick


class DirectoryStats(NamedTuple):
    """One row: the signature, and the encoded tree that it vouches for."""

    signature: bytes
    tree: bytes


class StatCache:
    """Rows by directory. Rows are read on demand, and written by `save` in one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beneath(self, directory: bytes) -> dict[bytes, DirectoryStats]:
        """The rows of a directory and of all beneath it; keys are absolute paths, or others' own beginnings of them."""
        rows = self._database.rows(
            "SELECT directory, signature, tree FROM stats WHERE directory = ? OR (directory >= ? AND directory < ?)",
            directory,
            directory + b"/",
            directory + b"0",
        )
        return {key: DirectoryStats(signature, tree) for key, signature, tree in rows}

    def save(self, changed: dict[bytes, DirectoryStats], gone: list[bytes]) -> None:
        """Replace the rows of changed directories, and drop those of directories that are gone."""
        if not changed and not gone:
            return
        with self._database.writing() as connection:
            connection.executemany("DELETE FROM stats WHERE directory = ?", [(key,) for key in gone])
            connection.executemany(
                "INSERT OR REPLACE INTO stats VALUES (?, ?, ?)",
                [(key, row.signature, row.tree) for key, row in changed.items()],
            )


def split_signature(signature: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, stat record) of each file in a signature."""
    at = 0
    while at < len(signature):
        end = signature.index(b"\0", at)
        stop = end + 1 + STAT_SIZE
        yield signature[at:end], signature[end + 1 : stop]
        at = stop
