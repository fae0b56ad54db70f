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
import errno
import os
import secrets
import sqlite3
import stat
import threading
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from blake3 import blake3

from hitsave.cache import holds, inbox
from hitsave.cache.database import Database
from hitsave.cache.evaluationrows import add_row, first_with
from hitsave.cache.files import (
    READ_ONLY,
    LocksUnsupported,
    install,
    remove_tree,
    sync_all,
    try_lock,
    write_all,
)
from hitsave.cache.hashing import copy_and_hash, hash_descriptor, new_hasher
from hitsave.cache.inbox import Boxed, Inbox
from hitsave.cache.packfile import verify_pack
from hitsave.cache.packset import PackSet, index_file, pack_file
from hitsave.cache.packwriter import PackWriter
from hitsave.cache.refs import set_refs
from hitsave.cache.wholefiles import WholeFiles, object_file
from hitsave.errors import CacheError, CorruptObject, HitsaveError, MalformedObject, ReliedOnLost
from hitsave.objects.digest import Digest, ObjectKind, object_digest
from hitsave.objects.refs import Ref, RefName
from hitsave.packing.blocks import EntryKindInPack
from hitsave.packing.index import IndexedPack, encode_index

#: From this many bytes on a blob is a file of its own.
WHOLE_FROM = 128 * 1024
_LOCK_NAME = "lock"
#: Of so many evaluations an intake makes the index at once; of more, it is made when somebody asks.
_MOST_INDEXED = 1000


class WholeFile(NamedTuple):
    """A blob that has become a file in an intake's folder; size in bytes."""

    digest: Digest
    size: int
    mtime_ns: int


def _own_folder(parent: Path) -> tuple[Path, int | None]:
    """A new folder, and the lock that keeps a collection from taking it for a dead process's."""
    parent.mkdir(exist_ok=True)
    while True:
        folder = parent / secrets.token_hex(8)
        folder.mkdir()
        try:
            lock = try_lock(os.fspath(folder / _LOCK_NAME))
        except LocksUnsupported:
            return folder, None
        except FileNotFoundError:
            continue
        # A collection may have come by between the making and the locking, and taken the folder for a dead one's.
        if lock is not None:
            if (folder / _LOCK_NAME).exists():
                return folder, lock
            os.close(lock)


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
        self._whole = whole
        self._inbox = box
        self._when_full = when_full
        self._own: tuple[Path, int | None] | None = None
        self._making = threading.Lock()
        self._writer: PackWriter | None = None
        self._boxed: list[Boxed] = []
        self._unboxed: list[Digest] = []
        self._inbox_empty = box.empty
        self._new: set[bytes] = set()
        self._found: set[bytes] = set()
        self._files: list[WholeFile] = []
        self._adopted: list[IndexedPack] = []
        self._evaluations: dict[bytes, bytes] = {}
        self._generation = database.setting("generation")
        self.new_bytes = 0
        packs.refresh()

    def __enter__(self) -> Intake:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        """This intake's own folder, where nobody else looks; made when it is first asked for."""
        with self._making:
            if self._own is None:
                try:
                    self._own = _own_folder(Path(self._root, "tmp"))
                except OSError as error:
                    if error.errno in (errno.EACCES, errno.EROFS):
                        raise CacheError(f"{self._root}: the cache cannot be written ({error.strerror})") from None
                    raise
            return self._own[0]

    def close(self) -> None:
        """Remove this intake's folder, with what was not published."""
        if self._writer is not None:
            self._writer.abandon()
        with self._making:
            own, self._own = self._own, None
        if own is None:
            return
        folder, lock = own
        if lock is not None:
            os.close(lock)
        try:
            remove_tree(os.fspath(folder))
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:  # A collection has just locked it, and removes what is left.
                raise

    @property
    def new_objects(self) -> int:
        """How many objects came in that the cache did not have."""
        return len(self._new)

    # -- what comes in

    def add(self, kind: ObjectKind, content: bytes | memoryview, expected: Digest | None = None) -> Digest:
        """Take an object; nothing is written where it is known. Raises CorruptObject where `expected` differs."""
        digest = object_digest(kind, content)
        if expected is not None and digest != expected:
            raise CorruptObject(str(expected), "what was received")
        if kind is ObjectKind.BLOB and len(content) >= WHOLE_FROM:
            if not self._known(digest):
                self._write_whole(digest, content)
        elif not self._kept_small(digest):
            if self._when_full is None:
                self._pack(digest, kind, content)
            else:
                self._boxed.append(Boxed(digest, kind, bytes(content)))
            self._note(digest, len(content))
        if kind is ObjectKind.EVALUATION and len(self._evaluations) < _MOST_INDEXED:
            self._evaluations[digest] = bytes(content)
        return digest

    def _pack(self, digest: Digest, kind: ObjectKind, content: bytes | memoryview) -> None:
        if self._writer is None:
            self._writer = PackWriter(os.fspath(self.folder))
        self._writer.add(digest, kind, content)

    def _kept_small(self, digest: bytes) -> bool:
        if digest in self._new or digest in self._found:
            return True
        # An inbox that was empty at the beginning may hold it by now. To keep it twice does no harm.
        if self._packs.known(digest) or (not self._inbox_empty and self._inbox.has(digest)):
            self._found.add(digest)
            return True
        return False

    def _known(self, digest: bytes) -> bool:
        if self._kept_small(digest):
            return True
        if self._has_file(digest):
            self._found.add(digest)
            return True
        return False

    def _has_file(self, digest: bytes) -> bool:
        # A file that was changed since is set aside here, so that a good one can take its place.
        try:
            return self._whole.find(Digest(digest)) is not None
        except CorruptObject:
            return False

    def _note(self, digest: bytes, size: int) -> None:
        self._new.add(digest)
        self.new_bytes += size

    def _write_whole(self, digest: Digest, content: bytes | memoryview) -> None:
        with self.blob_writer(digest, len(content), checked=True) as writer:
            writer.write(content)

    def add_file(self, source: int, size: int) -> Digest:
        """Take a large file from a descriptor at its beginning; bytes are copied and hashed side by side.

        What is hashed is the copy, so that the name fits what is kept, whatever happens to the source.
        """
        if digest := self._same_size_known(source, size):
            return digest
        temporary = self._temporary()
        target = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)
        try:
            digest = copy_and_hash(source, target)
            self._keep(temporary, target, digest)
        finally:
            os.close(target)
        return digest

    def link_file(self, path: str) -> Digest | None:
        """Take a large file that nobody may write to by a hard link; None where it cannot be linked, or changes.

        It stays one file under two names. A later write through the other one is noticed by its size or time, as any
        change of a whole file is.
        """
        temporary = self._temporary()
        try:
            os.link(os.path.realpath(path), temporary)
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES):
                return None
            raise
        fd = os.open(temporary, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            before = os.fstat(fd)
            digest = hash_descriptor(fd) if stat.S_IMODE(before.st_mode) == READ_ONLY else None
            after = os.fstat(fd)
            if digest is None or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                os.unlink(temporary)
                return None
            self._keep(temporary, fd, digest)
        finally:
            os.close(fd)
        return digest

    def _same_size_known(self, source: int, size: int) -> Digest | None:
        # Hashing is many times faster than copying: worth a try where a file of this very length is kept.
        if not self._database.rows("SELECT 1 FROM files WHERE size = ? LIMIT 1", size):
            return None
        digest = hash_descriptor(source)
        os.lseek(source, 0, os.SEEK_SET)
        return digest if self._known(digest) else None

    def _keep(self, temporary: str, fd: int, digest: Digest) -> None:
        if self._known(digest):
            os.unlink(temporary)
            return
        found = os.fstat(fd)
        if stat.S_IMODE(found.st_mode) == READ_ONLY:  # It may be another's, who alone can change that.
            pass
        elif hasattr(os, "fchmod"):
            os.fchmod(fd, READ_ONLY)
        else:
            os.chmod(temporary, READ_ONLY)
        os.rename(temporary, self.folder / str(digest))
        self._files.append(WholeFile(digest, found.st_size, found.st_mtime_ns))
        self._note(digest, found.st_size)

    def blob_writer(self, expected: Digest, size: int, checked: bool = False) -> BlobWriter:
        """Take a blob in pieces, of which the digest is known. `checked` promises that they have that digest."""
        return BlobWriter(self, expected, size, checked)

    def _temporary(self) -> str:
        return os.path.join(self.folder, f"blob-{secrets.token_hex(8)}")

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
            if not self._known(entry.digest):
                self._note(entry.digest, entry.length)
        self._adopted.append(pack)
        return pack

    def rely_on(self, digest: bytes) -> bool:
        """Whether an object is here; `publish` then checks that it still is."""
        if self._known(digest):
            return True
        if self._is_here(digest):  # It has come, or has moved from the inbox into a pack, since this intake began.
            self._found.add(digest)
            return True
        return False

    def _is_here(self, digest: bytes) -> bool:
        if self._inbox.has(digest) or self._whole.recorded(digest):
            return True
        self._packs.refresh()
        return self._packs.known(digest)

    def unbox(self, objects: Iterable[Boxed]) -> None:
        """Take objects of the inbox into packs; `publish` takes them out of it. Damaged ones stay where they are."""
        for boxed in objects:
            if boxed.right:
                self._unboxed.append(boxed.digest)
                if boxed.digest not in self._new:
                    self._pack(*boxed)
                    self._new.add(boxed.digest)

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
        if full and self._when_full is not None:
            # What is published is published. Where there is no room for packs, the next one will try again.
            with contextlib.suppress(OSError, HitsaveError):
                self._when_full()
        return None

    def _sync(self, packs: list[IndexedPack], index: bytes) -> None:
        names = [f"{pack.digest}.pack" for pack in packs] + [str(file.digest) for file in self._files]
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
        needed = self._found.union(rely_on)
        if self._database.setting("generation") == self._generation and not needed - self._found - self._new:
            return
        self._packs.refresh()
        lost = [
            digest.hex()
            for digest in needed - self._new
            if not (self._packs.known(digest) or self._whole.recorded(digest) or self._inbox.has(digest))
        ]
        if lost:
            raise ReliedOnLost(lost)

    def _install(self, connection: sqlite3.Connection, packs: list[IndexedPack], index: bytes) -> set[str]:
        folders: set[str] = set()

        def place(name: str, target: str) -> None:
            folders.update(install(os.path.join(self.folder, name), os.path.join(self._root, target)))

        for file in self._files:
            # The file of an earlier writer of the same object stays. One without a row is a dead process's.
            if not self._whole.recorded(file.digest):
                place(str(file.digest), object_file(file.digest))
                row = (bytes(file.digest), file.size, file.mtime_ns)
                connection.execute("INSERT INTO files VALUES (?, ?, ?, 0)", row)
        for pack in packs:
            place(f"{pack.digest}.pack", pack_file(pack.digest))
        if index:
            name = blake3(index).digest()
            place("index", index_file(name))
            entries = sum(len(pack.table.records) for pack in packs)
            connection.execute("INSERT OR IGNORE INTO indexes VALUES (?, ?)", (name, entries))
        return folders


class BlobWriter:
    """Receives one blob in pieces. Leaving the block without an error checks its digest and keeps it."""

    def __init__(self, intake: Intake, expected: Digest, size: int, checked: bool) -> None:
        self._intake = intake
        self._expected = expected
        self._size = size
        self._hasher = None if checked else new_hasher()
        self._temporary = intake._temporary()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._fd = os.open(self._temporary, flags, 0o644)
        self._written = 0

    def write(self, content: bytes | memoryview) -> None:
        """The next piece."""
        if self._hasher is not None:
            self._hasher.update(content)
        write_all(self._fd, content)
        self._written += len(content)

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            os.close(self._fd)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._temporary)

    def _finish(self) -> None:
        if self._written != self._size:
            raise CorruptObject(
                str(self._expected), "what was received", f"{self._written} bytes instead of {self._size}"
            )
        if self._hasher is not None and self._hasher.digest() != self._expected:
            raise CorruptObject(str(self._expected), "what was received")
        self._intake._keep(self._temporary, self._fd, self._expected)
