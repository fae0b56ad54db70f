"""The packs of the cache, found through its indexes.

The database lists which indexes hold; an index file says which packs it covers and where each object lies in them.
A process keeps the indexes mapped and looks again when another one has changed the list.

What is found is checked against its digest when it is read. That something is *not* here is believed only of an index
that has the digest it is named by, which is looked at once in a process, before the first such answer.

An object that was found damaged can be set aside: its entry in that pack is passed over from then on, so that the same
content can come in again, until a repair replaces the pack.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hitsave.cache.database import Database
from hitsave.cache.hashing import new_hasher
from hitsave.cache.refs import doubt_all
from hitsave.errors import CorruptObject, MalformedObject, ObjectNotFound
from hitsave.objects.digest import Digest, ObjectKind, object_digest
from hitsave.packing.blocks import decode_block, entry_content
from hitsave.packing.index import Index, IndexedPack, Location, PackSummary
from hitsave.packing.pack import Block

_BLOCKS_KEPT = 8
_OPEN_PACKS = 64
_TRIES = 20
_CURE = "; 'hitsave fsck --repair' mends it from a remote or another copy"


class _PackGone(CorruptObject):
    """A pack is not where it was: a collection has replaced it, or it is lost."""


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
        self._maps: dict[bytes, mmap.mmap] = {}
        self._checked: set[bytes] = set()
        self._damaged: frozenset[tuple[bytes, bytes]] = frozenset()
        self._seen = threading.local()
        self._packs: OrderedDict[bytes, int] = OrderedDict()
        self._blocks: OrderedDict[tuple[bytes, Block], bytes | memoryview] = OrderedDict()
        self._lock = threading.RLock()
        self._changes = 0

    # -- the list of indexes

    def refresh(self) -> bool:
        """Look again which indexes hold; True where the list has changed."""
        with self._lock:
            # Each thread has a connection of its own, and the number that one gives means nothing to another.
            version = (self._database.version, self._changes)
            if version == getattr(self._seen, "version", None):
                return False
            names = self._names()
            changed = names != list(self._indexes)
            while changed:
                try:
                    self._indexes = {name: self._indexes.get(name) or self._map(name) for name in names}
                    break
                except CorruptObject:
                    # Two collections may have come by since the list was read.
                    if names == (names := self._names()):
                        raise
            self._maps = {name: self._maps[name] for name in self._indexes}
            rows = self._database.rows("SELECT digest, pack FROM damaged")
            self._damaged = frozenset((digest, pack) for digest, pack in rows)
            self._seen.version = version
            return changed

    def _names(self) -> list[bytes]:
        return [row[0] for row in self._database.rows("SELECT name FROM indexes ORDER BY entries DESC, name")]

    def touch(self) -> None:
        """This process has changed the list itself."""
        with self._lock:
            self._changes += 1

    @contextmanager
    def uncommitted(self) -> Iterator[None]:
        """Let this thread, inside its write transaction, see the list as it made it. Other threads wait."""
        with self._lock:
            self._changes += 1
            try:
                yield
            finally:
                self._changes += 1

    def _map(self, name: bytes) -> Index:
        path = os.path.join(self._root, index_file(name))
        try:
            with open(path, "rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            index = Index(mapped)
            self._maps[name] = mapped
            return index
        except (OSError, ValueError, MalformedObject) as error:
            raise CorruptObject(name.hex(), path, f"the index cannot be read ({error}); run 'hitsave fsck'") from None

    def check_indexes(self) -> None:
        """Make sure that every index is what its name says. Raises CorruptObject."""
        with self._lock:
            for name in self._indexes:
                if name not in self._checked:
                    if new_hasher().update(self._maps[name]).digest() != name:
                        path = os.path.join(self._root, index_file(name))
                        raise CorruptObject(name.hex(), path, "the index has another digest; run 'hitsave fsck'")
                    self._checked.add(name)

    def indexes(self) -> dict[bytes, Index]:
        """The indexes that hold, by name."""
        self.refresh()
        return self._indexes

    @property
    def names(self) -> tuple[bytes, ...]:
        """The names of the indexes looked at last."""
        return tuple(self._indexes)

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
        """Whether the indexes looked at last hold an object; does not look again. Raises CorruptObject."""
        if self._damaged:
            return self.find_known(digest) is not None
        if any(digest in index for index in self._indexes.values()):
            return True
        self.check_indexes()
        return False

    def find(self, digest: bytes) -> Location | None:
        """Where an object is."""
        self.refresh()
        return self.find_known(digest)

    def find_known(self, digest: bytes) -> Location | None:
        """Where an object is, by the indexes looked at last. Raises CorruptObject."""
        for name, index in self._indexes.items():
            try:
                location = index.find(digest)
                if location and self._damaged and (bytes(digest), bytes(location.pack)) in self._damaged:
                    location = self._find_undamaged(index, digest)
                if location:
                    return location
            except MalformedObject as error:
                raise CorruptObject(name.hex(), os.path.join(self._root, index_file(name)), str(error)) from None
        self.check_indexes()
        return None

    def _find_undamaged(self, index: Index, digest: bytes) -> Location | None:
        """The same object in another pack of an index."""
        for number in range(index.number_of(digest), index.entry_count):
            location = index.location(number)
            if location.digest != digest:
                return None
            if (bytes(digest), bytes(location.pack)) not in self._damaged:
                return location
        return None

    # -- damage

    def set_aside(self, digest: Digest) -> bool:
        """Find an object no more in those packs where it cannot be read. Returns whether there were any."""
        found = False
        while (location := self.find(digest)) and not self._is_readable(location):
            found = True
            with self._database.writing() as connection:
                connection.execute("INSERT OR IGNORE INTO damaged VALUES (?, ?)", (bytes(digest), bytes(location.pack)))
                doubt_all(connection)
            self.touch()
        return found

    def _is_readable(self, location: Location) -> bool:
        """Whether an object can be read from the disk, whatever was read before; what was moved, counts as readable."""
        try:
            block = self._decode(location)
            self._check(location, self._entry(block, location))
        except _PackGone:
            self._database.settle()
            found = self.find(location.digest)
            return found is None or found.pack != location.pack or os.path.exists(self._path(location.pack))
        except CorruptObject:
            return False
        return True

    # -- reading

    def read(self, location: Location) -> bytes:
        """The content of an object, checked against its digest. Raises CorruptObject, ObjectNotFound."""
        for _ in range(_TRIES):
            try:
                block = self._block(location)
                break
            except _PackGone:
                location = self._look_again(location)
        else:
            block = self._block(location)
        content = bytes(self._entry(block, location))
        self._check(location, content)
        return content

    def _look_again(self, location: Location) -> Location:
        """Where an object is that was not found where it had been, when nobody is moving packs."""
        self._database.settle()
        found = self.find(location.digest)
        if found is None:
            raise ObjectNotFound(str(location.digest))
        if found.pack == location.pack and not os.path.exists(self._path(found.pack)):
            raise self._corrupt(found, "the pack is missing")
        return found

    def read_many(self, locations: Iterable[Location]) -> Iterator[tuple[Digest, bytes | memoryview]]:
        """Contents in the order of packs and blocks, each block decoded once, each content checked."""
        ordered = sorted(locations, key=lambda found: (found.pack, found.block, found.offset))
        current: tuple[bytes, Block] | None = None
        block: bytes | memoryview = b""
        for location in ordered:
            place = (location.pack, location.block)
            if place != current:
                try:
                    block, current = self._decode(location), place
                except _PackGone:
                    yield location.digest, self.read(self._look_again(location))
                    continue
            content = self._entry(block, location)
            self._check(location, content)
            yield location.digest, content

    def _block(self, location: Location) -> bytes | memoryview:
        key = (
            location.pack,
            location.block,
        )  # The offset alone is not enough: an empty block has that of its successor.
        with self._lock:
            found = self._blocks.get(key)
            if found is not None:
                self._blocks.move_to_end(key)
                return found
        content = self._decode(location)
        with self._lock:
            self._blocks[key] = content
            while len(self._blocks) > _BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        return content

    def _decode(self, location: Location) -> bytes | memoryview:
        """The block of an object. What is wrong with it is an error of the object, which can then be set aside."""
        block = location.block
        stored = self._read_range(location)
        try:
            return decode_block(block.codec, stored, block.raw)
        except MalformedObject as error:
            raise self._corrupt(location, f"a block at {block.offset}: {error}") from None

    def _entry(self, block: bytes | memoryview, location: Location) -> bytes | memoryview:
        try:
            return entry_content(block, location.digest, location.offset, location.length)
        except MalformedObject as error:
            raise self._corrupt(location, str(error)) from None

    def _check(self, location: Location, content: bytes | memoryview) -> None:
        if object_digest(ObjectKind(location.kind), content) != location.digest:
            raise self._corrupt(location, "its content has another digest")

    def _corrupt(self, location: Location, reason: str) -> CorruptObject:
        return CorruptObject(str(location.digest), self._path(location.pack), f"{reason}{_CURE}")

    def _path(self, pack: bytes) -> str:
        return os.path.join(self._root, pack_file(pack))

    def _read_range(self, location: Location) -> bytes:
        block = location.block
        with self._lock:
            fd = self._open(location)
            if hasattr(os, "pread"):
                content = os.pread(fd, block.stored, block.offset)
            else:
                os.lseek(fd, block.offset, os.SEEK_SET)
                content = os.read(fd, block.stored)
        if len(content) != block.stored:
            raise self._corrupt(location, "the pack is shorter than its index says")
        return content

    def _open(self, location: Location) -> int:
        pack = location.pack
        fd = self._packs.get(pack)
        if fd is None:
            path = self._path(pack)
            try:
                fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            except FileNotFoundError:
                raise _PackGone(str(location.digest), path, f"the pack is missing{_CURE}") from None
            except OSError as error:
                raise CorruptObject(str(location.digest), path, f"the pack cannot be read ({error.strerror})") from None
            self._packs[pack] = fd
            while len(self._packs) > _OPEN_PACKS:
                os.close(self._packs.popitem(last=False)[1])
        else:
            self._packs.move_to_end(pack)
        return fd

    def forget_indexes(self) -> None:
        """Look at every index anew: a damaged one may have been replaced by the one that it should have been."""
        with self._lock:
            self._indexes, self._maps, self._checked = {}, {}, set()
            self._changes += 1

    def forget_files(self) -> None:
        """Close every pack: some may have been replaced."""
        with self._lock:
            for fd in self._packs.values():
                os.close(fd)
            self._packs.clear()
            self._blocks.clear()
