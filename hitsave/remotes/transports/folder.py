"""A remote in a local folder (or one that the system mounts).

A value is written to a temporary file in `tmp/`, made durable, and then gets its key by a hard link, which fails where
the name is taken: a key shows a whole value or nothing, after a loss of power too, when it could not be created again.
`sync` makes the folders durable that name the values, also those of values that were found there: who created them may
have died before that.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hitsave.cache.files import clone_file, copy_steps, sync_all, write_all
from hitsave.errors import RemoteConflict, RemoteError, RemoteNotFound, RemoteUnsuitable
from hitsave.remotes.transports.protocol import Buffer, Listed

_BINARY = getattr(os, "O_BINARY", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
_TRIES = 100
#: Keys that a web server may show to anybody as folders.
_BROWSED = "public/"


class FolderTransport:
    """A folder as a store."""

    #: More threads only wait for the same disk.
    parallel = 2

    def __init__(self, root: Path) -> None:
        self.url = os.fspath(root)
        self._root = os.fspath(root)
        self._unsynced: set[str] = set()
        self._lock = threading.Lock()

    def _path(self, key: str) -> str:
        return os.path.join(self._root, *key.split("/"))

    def _fault(self, key: str, error: OSError) -> RemoteError:
        if isinstance(error, FileNotFoundError):
            return RemoteNotFound(self.url, key)
        return RemoteError(f"{self.url}: {key}: {error.strerror}")

    @contextlib.contextmanager
    def faults(self, key: str) -> Iterator[None]:
        """What the system refuses meanwhile is a RemoteError that names the key."""
        try:
            yield
        except OSError as error:
            raise self._fault(key, error) from None

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """A value, or a part of it."""
        with self.faults(key), open(self._path(key), "rb", buffering=0) as file:
            if start:
                file.seek(start)
            if length is None:
                length = max(os.fstat(file.fileno()).st_size - start, 0)
            return _read(file.fileno(), length)

    def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
        """Create a key with a value."""
        pieces = (content,) if isinstance(content, (bytes, bytearray, memoryview)) else content
        with self._new_file() as (fd, temporary):
            with self.faults(key):
                for piece in pieces:
                    write_all(fd, piece)
                os.fsync(fd)
            self._link(temporary, key)

    def put_file(self, key: str, path: Path) -> None:
        """Create a key with the content of a file, by the quickest way that the system has."""
        if os.path.exists(self._path(key)):
            self._note(self._path(key))
            raise RemoteConflict(self.url, key)
        source = os.open(path, os.O_RDONLY | _BINARY)
        try:
            with self._new_file() as (fd, temporary):
                with self.faults(key):
                    if not clone_file(source, fd):
                        for _ in copy_steps(source, fd):
                            pass
                    os.fsync(fd)
                self._link(temporary, key)
        finally:
            os.close(source)

    @contextlib.contextmanager
    def _new_file(self) -> Iterator[tuple[int, str]]:
        """A file in `tmp/` that has no key yet; its temporary name is removed at the end."""
        temporary = os.path.join(self._root, "tmp", secrets.token_hex(12))
        with self.faults("tmp"):
            try:
                fd = os.open(temporary, _CREATE, 0o644)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(temporary), exist_ok=True)
                fd = os.open(temporary, _CREATE, 0o644)
        try:
            yield fd, temporary
        finally:
            os.close(fd)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)

    def _link(self, temporary: str, key: str) -> None:
        """Give a file that is finished and durable its key."""
        path = self._path(key)
        try:
            _link(temporary, path)
        except FileExistsError:
            self._note(path)
            raise RemoteConflict(self.url, key) from None
        except OSError as error:
            if error.errno in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                raise RemoteUnsuitable(
                    f"{self.url}: this file system has no hard links, so two writers could overwrite each other; "
                    "use a folder on another file system"
                ) from None
            raise self._fault(key, error) from None
        self._note(path)

    def _note(self, path: str) -> None:
        with self._lock:
            self._unsynced.add(os.path.dirname(path))

    def download(self, key: str, path: Path) -> None:
        """Write a value into a new file."""
        with self.faults(key):
            source = os.open(self._path(key), os.O_RDONLY | _BINARY)
        try:
            _copy_into(source, os.open(path, _CREATE, 0o644))
        finally:
            os.close(source)

    def list(self, prefix: str, after: str = "") -> list[str]:
        """The keys that begin with `prefix` and sort after `after`."""
        folder = prefix.rpartition("/")[0]
        found: list[str] = []

        def refuse(error: OSError) -> None:
            # What cannot be read must not pass for an empty folder.
            if not isinstance(error, FileNotFoundError):
                raise self._fault(folder, error)

        for inner, folders, names in os.walk(self._path(folder) if folder else self._root, onerror=refuse):
            base = os.path.relpath(inner, self._root).replace(os.sep, "/")
            above = "" if base == "." else f"{base}/"
            found += [above + name for name in names]
            # Only folders that can have some are looked into: beside a public snapshot lie others, with many files.
            folders[:] = [name for name in folders if _may_hold(f"{above}{name}/", prefix)]
        return sorted(key for key in found if key.startswith(prefix) and key > after and not key.startswith("tmp/"))

    def scan(self, prefix: str) -> Iterator[Listed]:
        """The keys that begin with `prefix`, with sizes and ages."""
        for key in self.list(prefix):
            with contextlib.suppress(FileNotFoundError):
                found = os.stat(self._path(key))
                yield Listed(key, found.st_size, int(found.st_mtime))

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys. Of what people look at, folders that are empty then go, too: their names may tell something."""
        for key in keys:
            path = self._path(key)
            with self.faults(key), contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            if key.startswith(_BROWSED):
                _drop_empty(os.path.dirname(path), os.path.join(self._root, _BROWSED))

    def sync(self) -> None:
        """Make everything that was put so far durable."""
        with self._lock:
            named, self._unsynced = self._unsynced, set()
        folders: set[str] = set()
        for above in named:
            while above not in folders and len(above) >= len(self._root):
                folders.add(above)
                above = os.path.dirname(above)
        if folders:
            with self.faults("."):
                _sync_folders(folders, os.path.join(self._root, _BROWSED))

    def close(self) -> None:
        """There is nothing to end."""


def _link(temporary: str, path: str) -> None:
    """Give a file a name, in a folder that is made where it is missing; others may remove it while it is empty."""
    for _ in range(_TRIES):
        with contextlib.suppress(FileNotFoundError):
            os.link(temporary, path)
            return
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            os.makedirs(os.path.dirname(path), exist_ok=True)
    os.link(temporary, path)


def _drop_empty(folder: str, above: str) -> None:
    with contextlib.suppress(OSError):
        while len(folder) > len(above):
            os.rmdir(folder)
            folder = os.path.dirname(folder)


def _sync_folders(folders: set[str], browsed: str) -> None:
    """Make folders durable. One in `browsed` may be gone: somebody removed what was in it."""
    for _ in range(_TRIES):
        with contextlib.suppress(FileNotFoundError):
            sync_all(sorted(folders))
            return
        folders = {folder for folder in folders if not folder.startswith(browsed) or os.path.isdir(folder)}
    sync_all(sorted(folders))


def _may_hold(folder: str, prefix: str) -> bool:
    return folder.startswith(prefix) or prefix.startswith(folder)


def _read(fd: int, length: int) -> bytes:
    content = os.read(fd, length)
    if len(content) == length:
        return content
    pieces = [content]
    remaining = length - len(content)
    while remaining > 0 and (piece := os.read(fd, remaining)):
        pieces.append(piece)
        remaining -= len(piece)
    return b"".join(pieces)


def _copy_into(source: int, target: int) -> None:
    try:
        if not clone_file(source, target):
            for _ in copy_steps(source, target):
                pass
    finally:
        os.close(target)
