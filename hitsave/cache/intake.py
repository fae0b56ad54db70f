"""The one door into the cache. Everything that comes in passes through here and is hashed on the way.

Invariants:
- An object is in the cache under its digest only if its bytes have that digest.
- A ref is published only when everything it needs is durable and in the cache.

Order of writes: contents go to files in a folder of this intake's own, which nobody else looks at, or, where they are
small and the intake was opened for it, wait in memory for the inbox. `publish` syncs the files, and then, in one write
transaction, checks that what was found here earlier is still here, renames the files into place, and records indexes,
files, what goes into the inbox, and refs. A process that dies before the transaction commits leaves nothing
but a folder, or nameless files, that the next collection removes.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from types import TracebackType

from blake3 import blake3

from hitsave.cache import holds, inbox, room
from hitsave.cache.arriving import Arriving, BlobWriter
from hitsave.cache.database import Database
from hitsave.cache.evaluationrows import add_row, first_with
from hitsave.cache.files import (
    install,
    sync_all,
    write_all,
)
from hitsave.cache.inbox import Boxed, Inbox
from hitsave.cache.ownfolder import OwnFolder
from hitsave.cache.packfile import verify_pack
from hitsave.cache.packset import PackSet, index_file, pack_file
from hitsave.cache.packwriter import PackWriter
from hitsave.cache.refs import set_refs
from hitsave.cache.stock import Stock
from hitsave.cache.wholefiles import WholeFiles
from hitsave.errors import CorruptObject, HitsaveError, MalformedObject, ReliedOnLost
from hitsave.objects.digest import Digest, ObjectKind, object_digest
from hitsave.objects.refs import Ref, RefName
from hitsave.packing.blocks import EntryKindInPack
from hitsave.packing.index import IndexedPack, encode_index

#: From this many bytes on a blob is a file of its own.
WHOLE_FROM = 128 * 1024
#: Of so many evaluations an intake makes the index at once; of more, it is made when somebody asks.
_MOST_INDEXED = 1000


class Intake:
    """One batch of objects. Use it as a context manager; without `publish` nothing is stored."""

    def __init__(
        self,
        root: Path,
        database: Database,
        packs: PackSet,
        whole: WholeFiles,
        box: Inbox,
        when_full: Callable[[], object] | None = None,
    ) -> None:
        """With `when_full`, small objects go into the inbox; it is called when they should move into packs."""
        self._root = os.fspath(root)
        self._database = database
        self._packs = packs
        self._when_full = when_full
        self._generation = database.setting("generation")  # Before anything is looked for.
        self._stock = Stock(packs, whole, box)
        self._folder = OwnFolder(Path(root, "tmp"))
        self._arriving = Arriving(self._folder, database, whole, self._stock)
        self._writer: PackWriter | None = None
        self._boxed: list[Boxed] = []
        self._unboxed: list[Digest] = []
        self._adopted: list[IndexedPack] = []
        self._evaluations: dict[bytes, bytes] = {}

    def __enter__(self) -> Intake:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        """This intake's own folder, where nobody else looks; made when it is first asked for."""
        return self._folder.path

    def close(self) -> None:
        """Remove this intake's folder, with what was not published."""
        if self._writer is not None:
            self._writer.abandon()
        self._folder.remove()

    @property
    def new_objects(self) -> int:
        """How many objects came in that the cache did not have."""
        return len(self._stock.new)

    @property
    def new_bytes(self) -> int:
        """How many bytes they have."""
        return self._stock.new_bytes

    # -- what comes in

    def add(self, kind: ObjectKind, content: bytes | memoryview, expected: Digest | None = None) -> Digest:
        """Take an object; nothing is written where it is known. Raises CorruptObject where `expected` differs."""
        digest = object_digest(kind, content)
        if expected is not None and digest != expected:
            raise CorruptObject(str(expected), "what was received")
        if kind is ObjectKind.BLOB and len(content) >= WHOLE_FROM:
            if not self._stock.known(digest):
                self._arriving.write(digest, content)
        elif not self._stock.kept_small(digest):
            if self._when_full is None:
                self._pack(digest, kind, content)
            else:
                self._boxed.append(Boxed(digest, kind, bytes(content)))
            self._stock.note(digest, len(content))
        if kind is ObjectKind.EVALUATION and len(self._evaluations) < _MOST_INDEXED:
            self._evaluations[digest] = bytes(content)
        return digest

    def _pack(self, digest: Digest, kind: ObjectKind, content: bytes | memoryview) -> None:
        if self._writer is None:
            self._writer = PackWriter(os.fspath(self.folder))
        self._writer.add(digest, kind, content)

    def add_file(self, source: int, size: int) -> Digest:
        """Take a large file from a descriptor at its beginning."""
        return self._arriving.add(source, size)

    def link_file(self, path: str) -> Digest | None:
        """Take a large file that nobody may write to by a hard link; None where it cannot be linked, or changes."""
        return self._arriving.link(path)

    def blob_writer(self, expected: Digest, size: int) -> BlobWriter:
        """Take a blob in pieces, of which the digest is known."""
        return self._arriving.writer(expected, size)

    def adopt_pack(self, path: Path, expected: Digest) -> IndexedPack:
        """Take a whole pack that lies in `folder`. Raises CorruptObject where anything in it is not as it should be."""
        try:
            pack = verify_pack(path, expected)
        except MalformedObject as error:
            raise CorruptObject(str(expected), os.fspath(path), str(error)) from None
        if any(entry.kind == EntryKindInPack.RECIPE for entry in pack.table.entries()):
            # Its digest would pass for the blob, of which nothing is here.
            raise CorruptObject(str(expected), os.fspath(path), "it holds a recipe, which no cache keeps")
        path.rename(self.folder / f"{expected}.pack")
        for entry in pack.table.entries():
            if not self._stock.known(entry.digest):
                self._stock.note(entry.digest, entry.length)
        self._adopted.append(pack)
        return pack

    def rely_on(self, digest: bytes) -> bool:
        """Whether an object is here; `publish` then checks that it still is."""
        return self._stock.rely_on(digest)

    def unbox(self, objects: Iterable[Boxed]) -> None:
        """Take objects of the inbox into packs; `publish` takes them out of it. Damaged ones stay where they are."""
        for boxed in objects:
            if boxed.right:
                self._unboxed.append(boxed.digest)
                if boxed.digest not in self._stock.new:
                    self._pack(*boxed)
                    self._stock.new.add(boxed.digest)

    # -- publishing

    def publish(
        self,
        refs: Iterable[Ref],
        rely_on: Iterable[Digest] = (),
        partial: bool = False,
        *,
        unless: str | None = None,
        besides: Collection[RefName] = (),
        hold: str | None = None,
        release: str | None = None,
    ) -> RefName | None:
        """Make everything durable and visible, and the refs with it. `partial` refs may lack blobs.

        Where `unless` is given, and a ref in `evaluations` has a name that begins so and is none of `besides`, nothing
        is published, and that ref's name is returned; otherwise None. So of several writers the first one wins.

        With `hold`, a token, no refs are made: what they would own is held for this process. What is held under the
        token `release` is let go, whatever else comes of it.

        Raises ReliedOnLost where a collection took something meanwhile that was found here before.
        """
        refs = list(refs)
        packs = (self._writer.finish() if self._writer is not None else []) + self._adopted
        index = self._write_index(packs)
        self._sync(packs, index)
        full = False
        with self._database.writing() as connection:
            if release is not None:
                holds.release(connection, release)
            if unless is not None and (first := first_with(connection, unless, besides)):
                return first
            if self._unboxed and not inbox.remove(connection, self._unboxed):
                return None  # Another process was quicker.
            self._check_relied_on(rely_on)
            folders = self._install(connection, packs, index)
            if folders:
                sync_all(sorted(folders))
            if self._boxed:
                full = inbox.add(connection, self._boxed)
            if hold is None:
                self._publish_refs(connection, refs, partial)
            else:
                holds.hold(connection, hold, [(ref.digest, ref.kind) for ref in refs])
        self._packs.touch()
        if self.new_bytes >= room.SPARE:
            room.set_spare_aside(Path(self._root))
        if full and self._when_full is not None:
            # What is published is published. Where there is no room for packs, the next one will try again.
            with contextlib.suppress(OSError, HitsaveError):
                self._when_full()
        return None

    def _sync(self, packs: list[IndexedPack], index: bytes) -> None:
        names = [f"{pack.digest}.pack" for pack in packs] + self._arriving.names
        if index:
            names.append("index")
        if names:
            sync_all([os.path.join(self.folder, name) for name in names])

    def _publish_refs(self, connection: sqlite3.Connection, refs: list[Ref], partial: bool) -> None:
        for ref in refs:
            if ref.digest in self._evaluations:
                add_row(connection, ref.digest, self._evaluations[ref.digest], ref.path)
        set_refs(connection, refs, partial)

    def _write_index(self, packs: list[IndexedPack]) -> bytes:
        if not packs:
            return b""
        encoded = encode_index(packs)
        fd = os.open(self.folder / "index", os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        try:
            write_all(fd, encoded)
        finally:
            os.close(fd)
        return encoded

    def _check_relied_on(self, rely_on: Iterable[Digest]) -> None:
        stock = self._stock
        needed = stock.found.union(rely_on)
        if self._database.setting("generation") == self._generation and not needed - stock.found - stock.new:
            return
        if lost := stock.lost(needed):
            raise ReliedOnLost(lost)

    def _install(self, connection: sqlite3.Connection, packs: list[IndexedPack], index: bytes) -> set[str]:
        folders: set[str] = set()

        def place(name: str, target: str) -> None:
            folders.update(install(os.path.join(self.folder, name), os.path.join(self._root, target)))

        self._arriving.install(connection, place)
        for pack in packs:
            place(f"{pack.digest}.pack", pack_file(pack.digest))
            # An adopted one may take the place of the very pack of which something was set aside.
            connection.execute("DELETE FROM damaged WHERE pack = ?", (bytes(pack.digest),))
        if index:
            name = blake3(index).digest()
            place("index", index_file(name))
            entries = sum(len(pack.table.records) for pack in packs)
            connection.execute("INSERT OR IGNORE INTO indexes VALUES (?, ?)", (name, entries))
        return folders
