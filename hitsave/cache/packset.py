"""The packs of the cache, found through its indexes.

The database lists which indexes hold; an index file says which packs it covers and where each object lies in them.
A process keeps the indexes mapped and looks again when another one has changed the list.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path

from hitsave.cache.database import Database
from hitsave.errors import CorruptObject, MalformedObject
from hitsave.objects.digest import Digest, ObjectKind, object_digest
from hitsave.packing.blocks import decode_block, entry_content
from hitsave.packing.index import Index, IndexedPack, Location, PackSummary
from hitsave.packing.pack import Block

_BLOCKS_KEPT = 8
_OPEN_PACKS = 64


def pack_file(digest: bytes) -> str:
    """Where a pack lies in the cache."""
    return f"packs/{digest.hex()}.pack"


def index_file(digest: bytes) -> str:
    """Where an index lies in the cache."""
    return f"indexes/{digest.hex()}.index"


class PackSet:
    """Looks objects up in all packs, and reads them. Safe to use from several threads."""

    def __init__(self, root: Path, database: Database) -> None:
        self._root = os.fspath(root)
        self._database = database
        self._indexes: dict[bytes, Index] = {}
        self._version: tuple[int, int] | None = None
        self._packs: OrderedDict[bytes, int] = OrderedDict()
        self._blocks: OrderedDict[tuple[bytes, int], bytes | memoryview] = OrderedDict()
        self._lock = threading.RLock()
        self._changes = 0

    # -- the list of indexes

    def refresh(self) -> bool:
        """Look again which indexes hold; True where the list has changed."""
        with self._lock:
            version = (self._database.version, self._changes)
            if version == self._version:
                return False
            names = [row[0] for row in self._database.rows("SELECT name FROM indexes ORDER BY entries DESC, name")]
            changed = names != list(self._indexes)
            if changed:
                self._indexes = {name: self._indexes.get(name) or self._map(name) for name in names}
            self._version = version
            return changed

    def touch(self) -> None:
        """This process has changed the list itself."""
        self._changes += 1

    def _map(self, name: bytes) -> Index:
        path = os.path.join(self._root, index_file(name))
        try:
            with open(path, "rb") as file:
                return Index(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError, MalformedObject) as error:
            raise CorruptObject(name.hex(), path, f"the index cannot be read ({error}); run 'hitsave fsck'") from None

    def indexes(self) -> dict[bytes, Index]:
        """The indexes that hold, by name."""
        self.refresh()
        return self._indexes

    def packs(self) -> list[PackSummary]:
        """Every pack."""
        return [pack for index in self.indexes().values() for pack in index.packs]

    def table(self, pack: bytes) -> IndexedPack:
        """What one pack holds. Raises KeyError."""
        for index in self.indexes().values():
            if any(summary.digest == pack for summary in index.packs):
                others = [summary.digest for summary in index.packs if summary.digest != pack]
                return index.tables(leave_out=others)[0]
        raise KeyError(pack)

    # -- lookup

    def known(self, digest: bytes) -> bool:
        """Whether the indexes looked at last hold an object; does not look again."""
        return any(digest in index for index in self._indexes.values())

    def find(self, digest: bytes) -> Location | None:
        """Where an object is."""
        self.refresh()
        return self.find_known(digest)

    def find_known(self, digest: bytes) -> Location | None:
        """Where an object is, by the indexes looked at last."""
        for index in self._indexes.values():
            if location := index.find(digest):
                return location
        return None

    # -- reading

    def read(self, location: Location) -> bytes:
        """The content of an object, checked against its digest. Raises CorruptObject."""
        content = bytes(self._entry(self._block(location.pack, location.block), location))
        self._check(location, content)
        return content

    def read_many(self, locations: Iterable[Location]) -> Iterator[tuple[Digest, bytes | memoryview]]:
        """Contents in the order of packs and blocks, each block decoded once, each content checked."""
        ordered = sorted(locations, key=lambda found: (found.pack, found.block.offset, found.offset))
        current: tuple[bytes, int] | None = None
        block: bytes | memoryview = b""
        for location in ordered:
            place = (location.pack, location.block.offset)
            if place != current:
                block, current = self._decode(location.pack, location.block), place
            content = self._entry(block, location)
            self._check(location, content)
            yield location.digest, content

    def _block(self, pack: bytes, block: Block) -> bytes | memoryview:
        key = (pack, block.offset)
        with self._lock:
            found = self._blocks.get(key)
            if found is not None:
                self._blocks.move_to_end(key)
                return found
        content = self._decode(pack, block)
        with self._lock:
            self._blocks[key] = content
            while len(self._blocks) > _BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        return content

    def _decode(self, pack: bytes, block: Block) -> bytes | memoryview:
        stored = self._read_range(pack, block.offset, block.stored)
        try:
            return decode_block(block.codec, stored, block.raw)
        except MalformedObject as error:
            raise CorruptObject(pack.hex(), self._path(pack), f"a block at {block.offset}: {error}") from None

    def _entry(self, block: bytes | memoryview, location: Location) -> bytes | memoryview:
        try:
            return entry_content(block, location.digest, location.offset, location.length)
        except MalformedObject as error:
            raise CorruptObject(str(location.digest), self._path(location.pack), str(error)) from None

    def _check(self, location: Location, content: bytes | memoryview) -> None:
        if object_digest(ObjectKind(location.kind), content) != location.digest:
            raise CorruptObject(str(location.digest), self._path(location.pack))

    def _path(self, pack: bytes) -> str:
        return os.path.join(self._root, pack_file(pack))

    def _read_range(self, pack: bytes, offset: int, length: int) -> bytes:
        with self._lock:
            fd = self._open(pack)
            if hasattr(os, "pread"):
                content = os.pread(fd, length, offset)
            else:
                os.lseek(fd, offset, os.SEEK_SET)
                content = os.read(fd, length)
        if len(content) != length:
            raise CorruptObject(pack.hex(), self._path(pack), "the pack is shorter than its index says")
        return content

    def _open(self, pack: bytes) -> int:
        fd = self._packs.get(pack)
        if fd is None:
            try:
                fd = os.open(self._path(pack), os.O_RDONLY | getattr(os, "O_BINARY", 0))
            except OSError as error:
                raise CorruptObject(
                    pack.hex(), self._path(pack), f"the pack cannot be read ({error.strerror})"
                ) from None
            self._packs[pack] = fd
            while len(self._packs) > _OPEN_PACKS:
                os.close(self._packs.popitem(last=False)[1])
        else:
            self._packs.move_to_end(pack)
        return fd

    def forget_files(self) -> None:
        """Close every pack: some may have been replaced."""
        with self._lock:
            for fd in self._packs.values():
                os.close(fd)
            self._packs.clear()
            self._blocks.clear()
