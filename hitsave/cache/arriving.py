"""Large blobs on their way into the cache: each becomes a file in a folder of an intake's own, under its digest.

What is hashed is what is kept. A file that is known already, or has the wrong digest, leaves nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sqlite3
import stat
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

from hitsave.cache.database import Database
from hitsave.cache.files import READ_ONLY, write_all
from hitsave.cache.hashing import copy_and_hash, hash_descriptor, new_hasher
from hitsave.cache.ownfolder import OwnFolder
from hitsave.cache.stock import Stock
from hitsave.cache.wholefiles import WholeFiles, object_file
from hitsave.errors import CorruptObject
from hitsave.objects.digest import Digest


class WholeFile(NamedTuple):
    """A blob that has become a file in an intake's folder; size in bytes."""

    digest: Digest
    size: int
    mtime_ns: int


class Arriving:
    """Takes large blobs for one intake, and keeps its books."""

    def __init__(self, folder: OwnFolder, database: Database, whole: WholeFiles, stock: Stock) -> None:
        self._folder = folder
        self._database = database
        self._whole = whole
        self._stock = stock
        self._files: list[WholeFile] = []

    @property
    def names(self) -> list[str]:
        """The files that have come, by their names in the folder."""
        return [str(file.digest) for file in self._files]

    def write(self, digest: Digest, content: bytes | memoryview) -> None:
        """Take a blob that is in memory, and has this digest."""
        with self.writer(digest, len(content), checked=True) as writer:
            writer.write(content)

    def add(self, source: int, size: int) -> Digest:
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

    def link(self, path: str) -> Digest | None:
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
        return digest if self._stock.known(digest) else None

    def _keep(self, temporary: str, fd: int, digest: Digest) -> None:
        if self._stock.known(digest):
            os.unlink(temporary)
            return
        found = os.fstat(fd)
        if stat.S_IMODE(found.st_mode) == READ_ONLY:  # It may be another's, who alone can change that.
            pass
        elif hasattr(os, "fchmod"):
            os.fchmod(fd, READ_ONLY)
        else:
            os.chmod(temporary, READ_ONLY)
        os.rename(temporary, self._folder.path / str(digest))
        self._files.append(WholeFile(digest, found.st_size, found.st_mtime_ns))
        self._stock.note(digest, found.st_size)

    def writer(self, expected: Digest, size: int, checked: bool = False) -> BlobWriter:
        """Take a blob in pieces, of which the digest is known. `checked` promises that they have that digest."""
        return BlobWriter(self._temporary(), self._keep, expected, size, checked)

    def _temporary(self) -> str:
        return os.path.join(self._folder.path, f"blob-{secrets.token_hex(8)}")

    def install(self, connection: sqlite3.Connection, place: Callable[[str, str], None]) -> None:
        """Put the files where they belong, inside the transaction that publishes them."""
        for file in self._files:
            # The file of an earlier writer of the same object stays. One without a row is a dead process's.
            if not self._whole.recorded(file.digest):
                place(str(file.digest), object_file(file.digest))
                row = (bytes(file.digest), file.size, file.mtime_ns)
                connection.execute("INSERT INTO files VALUES (?, ?, ?, 0)", row)


class BlobWriter:
    """Receives one blob in pieces. Leaving the block without an error checks its digest and keeps it."""

    def __init__(
        self, temporary: str, keep: Callable[[str, int, Digest], None], expected: Digest, size: int, checked: bool
    ) -> None:
        self._keep = keep
        self._expected = expected
        self._size = size
        self._hasher = None if checked else new_hasher()
        self._temporary = temporary
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
        self._keep(self._temporary, self._fd, self._expected)
