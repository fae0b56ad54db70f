"""Takes objects out of the cache, and brings them back. Which ones is decided elsewhere (hitsave.maintenance).

A collection happens in one write transaction, under which no ref can be published: files are moved to a trash folder
of their own, indexes are replaced, and the operation is recorded. A pack with both kinds of objects was split
beforehand, outside of the transaction, into one that stays and one that goes, both synced; blocks of which nothing dies
are copied as they are. `bring_back` is the same in the other direction.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from hitsave.cache.database import Database
from hitsave.cache.evaluationrows import drop_row, note_unindexed
from hitsave.cache.files import remove_tree, sync_all, write_all
from hitsave.cache.moves import MoveJournal
from hitsave.cache.ownfolder import remove_unless_locked
from hitsave.cache.packset import PackSet, index_file, pack_file
from hitsave.cache.refs import COLUMNS, bump_generation
from hitsave.cache.wholefiles import object_file
from hitsave.errors import CorruptObject, MalformedObject
from hitsave.objects.digest import Digest
from hitsave.objects.refs import Namespace
from hitsave.packing.blocks import (
    BLOCK_TARGET,
    BlockBuilder,
    BlockEntry,
    decode_block,
    encode_block,
    entry_content,
)
from hitsave.packing.index import IndexedPack, encode_index
from hitsave.packing.pack import NONCE_SIZE, Block, PackBuilder, PackEntry
from hitsave.packing.packreader import check_entry


class DeadFile(NamedTuple):
    """A whole file that nobody owns; size in bytes."""

    digest: Digest
    size: int
    mtime_ns: int
    derived: bool


class Split(NamedTuple):
    """A pack of which a part dies: what stays (None where nothing does) and what goes."""

    old: IndexedPack
    live: IndexedPack | None
    dead: IndexedPack | None


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a collection takes away, prepared: packs that go wholly, packs that were split, and files."""

    packs: tuple[IndexedPack, ...]
    splits: tuple[Split, ...]
    files: tuple[DeadFile, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.packs or self.splits or self.files)


def split_pack(path: Path, pack: IndexedPack, dead: Callable[[bytes], bool], folder: Path) -> Split:
    """Write the two halves of a pack into `folder`. Raises CorruptObject where the pack cannot be read."""
    by_block: dict[int, list[PackEntry]] = {}
    for entry in pack.table.entries():
        by_block.setdefault(entry.block, []).append(entry)
    live_half, dead_half = _Half(folder), _Half(folder)
    try:
        with path.open("rb") as file:
            for number, block in enumerate(pack.table.blocks):
                file.seek(block.offset)
                stored = file.read(block.stored)
                _split_block(block, stored, by_block.get(number, []), dead, live_half, dead_half)
        return Split(pack, live_half.finish(), dead_half.finish())
    except MalformedObject as error:
        raise CorruptObject(str(pack.digest), os.fspath(path), str(error)) from None
    finally:
        live_half.close()
        dead_half.close()


def _split_block(
    block: Block,
    stored: bytes,
    entries: list[PackEntry],
    dead: Callable[[bytes], bool],
    live_half: _Half,
    dead_half: _Half,
) -> None:
    """What stays is checked before it is copied: the pack that it comes from, damaged or not, is removed afterwards."""
    if len(stored) != block.stored:
        raise MalformedObject("pack", "it is shorter than its index says")
    dying = {entry.digest for entry in entries if dead(entry.digest)}
    if entries and all(entry.digest in dying for entry in entries):
        dead_half.copy_block(block.codec, stored, block.raw, entries)
        return
    content = decode_block(block.codec, stored, block.raw)
    pieces = {entry: entry_content(content, entry.digest, entry.offset, entry.length) for entry in entries}
    for entry, piece in pieces.items():
        if entry.digest not in dying:
            check_entry(entry.digest, entry.kind, piece)
    if not dying:
        live_half.copy_block(block.codec, stored, block.raw, entries)
        return
    for entry, piece in pieces.items():
        (dead_half if entry.digest in dying else live_half).add(entry, piece)


class _Half:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._builder: PackBuilder | None = None
        self._fd = -1
        self._path = Path()
        self._block = BlockBuilder()

    def _open(self) -> PackBuilder:
        if self._builder is None:
            self._builder = PackBuilder(os.urandom(NONCE_SIZE))
            self._path = self._folder / f"half-{os.urandom(8).hex()}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            self._fd = os.open(self._path, flags, 0o644)
            write_all(self._fd, self._builder.header())
        return self._builder

    def copy_block(self, codec: int, stored: bytes, raw: int, entries: Iterable[PackEntry]) -> None:
        builder = self._open()
        kept = [BlockEntry(entry.digest, entry.kind, entry.offset, entry.length) for entry in entries]
        write_all(self._fd, builder.block(codec, stored, raw, kept))

    def add(self, entry: PackEntry, content: bytes | memoryview) -> None:
        self._block.add(entry.digest, entry.kind, content)
        if self._block.size >= BLOCK_TARGET:
            self._flush()

    def _flush(self) -> None:
        if self._block.entries:
            content = self._block.content()
            codec, stored = encode_block(content)
            builder = self._open()
            write_all(self._fd, builder.block(codec, stored, len(content), self._block.entries))
            self._block = BlockBuilder()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def finish(self) -> IndexedPack | None:
        self._flush()
        if self._builder is None:
            return None
        write_all(self._fd, self._builder.finish())
        os.fsync(self._fd)
        self.close()
        digest = self._builder.digest
        self._path.rename(self._folder / f"{digest}.pack")
        return IndexedPack(digest, self._builder.length, self._builder.table)


class Sweeper:
    """Carries out sweeps and takes them back, in the folder of one cache."""

    def __init__(self, root: Path, database: Database, packs: PackSet, moves: MoveJournal) -> None:
        self._root = root
        self._database = database
        self._packs = packs
        self._moves = moves

    def carry_out(self, connection: sqlite3.Connection, sweep: Sweep, folder: Path, operation: int) -> None:
        """Inside a write transaction: move what dies into the operation's trash, replace the indexes.

        `folder` holds the halves of split packs. Afterwards, when the transaction is committed, call `settle`.
        """
        trash = f"trash/{operation}"
        moves = [(pack_file(pack.digest), f"{trash}/{pack.digest}.pack") for pack in sweep.packs]
        moves += [(object_file(file.digest), f"{trash}/{file.digest}") for file in sweep.files]
        rows: list[tuple[int, str, bytes, int, int, int]] = []
        rows += [(operation, f"{pack.digest}.pack", pack.digest, pack.length, 0, 0) for pack in sweep.packs]
        rows += [(operation, str(f.digest), f.digest, f.size, f.mtime_ns, int(f.derived)) for f in sweep.files]
        inner = os.path.relpath(folder, self._root)
        for old, live, dead in sweep.splits:
            moves.append((pack_file(old.digest), f"{trash}/replaced/{old.digest}.pack"))
            if live:
                moves.append((f"{inner}/{live.digest}.pack", pack_file(live.digest)))
            if dead:
                moves.append((f"{inner}/{dead.digest}.pack", f"{trash}/{dead.digest}.pack"))
                rows.append((operation, f"{dead.digest}.pack", dead.digest, dead.length, 0, 0))
        with self._moves.moving(connection, moves):
            gone = {pack.digest for pack in sweep.packs} | {split.old.digest for split in sweep.splits}
            if gone:
                self.replace_indexes(connection, gone, [split.live for split in sweep.splits if split.live])
            connection.executemany("DELETE FROM files WHERE digest = ?", [(bytes(f.digest),) for f in sweep.files])
            connection.executemany("INSERT INTO trash VALUES (?, ?, ?, ?, ?, ?)", rows)
            bump_generation(connection)

    def replace_indexes(self, connection: sqlite3.Connection, gone: set[Digest], added: list[IndexedPack]) -> None:
        """Inside a write transaction: one index instead of those that name a pack which goes, with what was added."""
        self._packs.refresh()
        kept = list(added)
        for name, index in self._packs.indexes().items():
            if any(pack.digest in gone for pack in index.packs):
                kept += index.tables(leave_out=gone)
                connection.execute("DELETE FROM indexes WHERE name = ?", (name,))
        if kept:
            self.add_index(connection, kept)
        connection.executemany("DELETE FROM damaged WHERE pack = ?", [(bytes(pack),) for pack in gone])

    def add_index(self, connection: sqlite3.Connection, packs: list[IndexedPack]) -> None:
        """Write an index of these packs and record it, inside a write transaction."""
        encoded = encode_index(packs)
        name = blake3(encoded).digest()
        path = self._root / index_file(name)
        temporary = path.with_suffix(".new")
        temporary.write_bytes(encoded)
        os.replace(temporary, path)
        sync_all([os.fspath(path), os.fspath(path.parent)])
        entries = sum(len(pack.table.records) for pack in packs)
        connection.execute("INSERT OR IGNORE INTO indexes VALUES (?, ?)", (name, entries))

    def settle(self, operation: int) -> None:
        """The transaction is committed: remove what was replaced."""
        self._packs.touch()
        self._packs.forget_files()
        self._database.settle()
        remove_tree(os.fspath(self._root / f"trash/{operation}/replaced"))

    def bring_back(self, connection: sqlite3.Connection, operation: int, packs: list[IndexedPack]) -> int:
        """Inside a write transaction: everything of an operation's trash is in the cache again. Returns how many files.

        `packs` are the packs in that trash, with what they hold. Afterwards call `settle`.
        """
        query = "SELECT item, digest, size, mtime_ns, derived FROM trash WHERE operation = ?"
        rows = connection.execute(query, (operation,)).fetchall()
        moves = []
        for item, digest, size, mtime_ns, derived in rows:
            source = f"trash/{operation}/{item}"
            if not (self._root / source).exists():
                raise CorruptObject(digest.hex(), os.fspath(self._root / source), "it is missing from the trash")
            if item.endswith(".pack"):
                moves.append((source, pack_file(digest)))
            elif not connection.execute("SELECT 1 FROM files WHERE digest = ?", (digest,)).fetchone():
                # One that came in again meanwhile stays: taking a move back must not leave a row without its file.
                moves.append((source, object_file(digest)))
                connection.execute("INSERT INTO files VALUES (?, ?, ?, ?)", (digest, size, mtime_ns, derived))
        with self._moves.moving(connection, moves):
            if packs:
                self.add_index(connection, packs)
            connection.execute("DELETE FROM trash WHERE operation = ?", (operation,))
        return len(rows)

    def purge(self, operations: Iterable[int]) -> None:
        """Delete the trash of these operations for good."""
        purged = [(operation,) for operation in operations]
        if not purged:
            return
        # All at once: objects that can be brought back without the refs that owned them help nobody.
        with self._database.writing() as connection:
            connection.executemany("DELETE FROM trash WHERE operation = ?", purged)
            connection.executemany("DELETE FROM dropped_refs WHERE operation = ?", purged)
            connection.executemany("DELETE FROM operations WHERE id = ?", purged)
        for (operation,) in purged:
            remove_tree(os.fspath(self._root / f"trash/{operation}"))

    def remove_leftovers(self, connection: sqlite3.Connection) -> int:
        """Inside a write transaction: delete files that no row names, and folders of dead intakes. Returns how many.

        Raises CorruptObject where an index is damaged, hence nobody knows which packs are named.
        """
        self._packs.refresh()
        self._packs.check_indexes()
        indexes = {row[0].hex() for row in connection.execute("SELECT name FROM indexes")}
        packs = {pack.digest.hex() for pack in self._packs.packs()}
        files = {row[0].hex() for row in connection.execute("SELECT digest FROM files")}
        removed = 0
        for folder, suffix, known in (
            ("indexes", ".index", indexes),
            ("packs", ".pack", packs),
            ("objects", "", files),
        ):
            for path in _files_beneath(self._root / folder):
                if path.name.removesuffix(suffix) not in known:
                    path.unlink()
                    removed += 1
        return removed + self._empty_trash(connection) + self._remove_dead_intakes()

    def _empty_trash(self, connection: sqlite3.Connection) -> int:
        kept = {str(row[0]) for row in connection.execute("SELECT DISTINCT operation FROM trash")}
        removed = 0
        for path in (self._root / "trash").iterdir():
            stale = path / "replaced" if path.name in kept else path
            if stale.exists():
                remove_tree(os.fspath(stale))
                removed += 1
        return removed

    def _remove_dead_intakes(self) -> int:
        removed = 0
        for item in list(os.scandir(self._root / "tmp")):
            # Folders come and go with their intakes. Files are written under the write lock, which is ours now.
            if item.is_dir(follow_symlinks=False):
                removed += remove_unless_locked(Path(item.path))
            else:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(item.path)
                    removed += 1
        return removed


def _files_beneath(folder: Path) -> Iterable[Path]:
    for inner, _, names in os.walk(folder):
        for name in names:
            yield Path(inner, name)


def begin_operation(connection: sqlite3.Connection, kind: str, time: int) -> int:
    """Record an operation that `undo` may take back; its number."""
    cursor = connection.execute("INSERT INTO operations(kind, time) VALUES (?, ?)", (kind, time))
    if cursor.lastrowid is None:
        raise AssertionError("an insert has a row id")
    return cursor.lastrowid


def drop_refs(connection: sqlite3.Connection, operation: int, names: Iterable[tuple[str, str]]) -> None:
    """Drop refs, inside a write transaction, so that the operation can be undone."""
    for namespace, name in names:
        where = "WHERE namespace = ? AND name = ?"
        found = connection.execute(f"SELECT digest FROM refs {where}", (namespace, name)).fetchone()
        query = f"INSERT INTO dropped_refs SELECT ?, {COLUMNS}, partial FROM refs {where}"
        connection.execute(query, (operation, namespace, name))
        connection.execute(f"DELETE FROM refs {where}", (namespace, name))
        if found is not None and namespace == Namespace.EVALUATIONS:
            drop_row(connection, found[0])


def restore_refs(connection: sqlite3.Connection, operation: int) -> None:
    """Bring back the refs that an operation dropped; a name that was taken again meanwhile stays as it is."""
    query = f"INSERT OR IGNORE INTO refs SELECT {COLUMNS}, partial FROM dropped_refs WHERE operation = ?"
    connection.execute(query, (operation,))
    query = "SELECT digest FROM dropped_refs WHERE operation = ? AND namespace = 'evaluations'"
    for (digest,) in connection.execute(query, (operation,)).fetchall():
        note_unindexed(connection, digest)
    connection.execute("DELETE FROM dropped_refs WHERE operation = ?", (operation,))
