"""A remote in a local folder (or one that the system mounts).

A value is written to a temporary file in `tmp/` and gets its key by a hard link, which fails where the name is taken:
a key shows a whole value or nothing. `sync` makes files durable first and the folders that name them afterwards.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
from collections.abc import Iterable
from pathlib import Path

from hitsave.cache.files import clone_file, copy_steps, sync_all, write_all
from hitsave.errors import RemoteConflict, RemoteError, RemoteNotFound, RemoteUnsuitable

_BINARY = getattr(os, "O_BINARY", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY


class FolderTransport:
    """A folder as a store."""

    def __init__(self, root: Path) -> None:
        self.url = os.fspath(root)
        self._root = os.fspath(root)
        self._unsynced: list[str] = []
        self._lock = threading.Lock()

    def _path(self, key: str) -> str:
        return os.path.join(self._root, *key.split("/"))

    def _fault(self, key: str, error: OSError) -> RemoteError:
        if isinstance(error, FileNotFoundError):
            return RemoteNotFound(self.url, key)
        return RemoteError(f"{self.url}: {key}: {error.strerror}")

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """A value, or a part of it."""
        try:
            with open(self._path(key), "rb", buffering=0) as file:
                if start:
                    file.seek(start)
                return _read(file.fileno(), os.fstat(file.fileno()).st_size - start if length is None else length)
        except OSError as error:
            raise self._fault(key, error) from None

    def put(self, key: str, content: bytes) -> None:
        """Create a key with a value."""
        upload = self.upload()
        try:
            upload.write(content)
            upload.finish(key)
        finally:
            upload.abandon()

    def put_file(self, key: str, path: Path) -> None:
        """Create a key with the content of a file."""
        upload = self.upload()
        try:
            upload.copy(path)
            upload.finish(key)
        finally:
            upload.abandon()

    def upload(self) -> FolderUpload:
        """Begin a value of which the key is not known yet."""
        try:
            return FolderUpload(self, os.path.join(self._root, "tmp", secrets.token_hex(12)))
        except OSError as error:
            raise self._fault("tmp", error) from None

    def link(self, temporary: str, key: str) -> None:
        """Give a finished file its key."""
        path = self._path(key)
        try:
            try:
                os.link(temporary, path)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                os.link(temporary, path)
        except FileExistsError:
            raise RemoteConflict(self.url, key) from None
        except OSError as error:
            if error.errno in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                raise RemoteUnsuitable(
                    f"{self.url}: this file system has no hard links, so two writers could overwrite each other; "
                    "use a folder on another file system"
                ) from None
            raise self._fault(key, error) from None
        with self._lock:
            self._unsynced.append(path)

    def download(self, key: str, path: Path) -> None:
        """Write a value into a new file."""
        try:
            source = os.open(self._path(key), os.O_RDONLY | _BINARY)
        except OSError as error:
            raise self._fault(key, error) from None
        try:
            _copy_into(source, os.open(path, _CREATE, 0o644))
        finally:
            os.close(source)

    def list(self, prefix: str, after: str = "") -> list[str]:
        """The keys that begin with `prefix` and sort after `after`."""
        folder = prefix.rpartition("/")[0]
        found: list[str] = []
        for inner, _, names in os.walk(self._path(folder) if folder else self._root):
            base = os.path.relpath(inner, self._root).replace(os.sep, "/")
            found += [name if base == "." else f"{base}/{name}" for name in names]
        return sorted(key for key in found if key.startswith(prefix) and key > after and not key.startswith("tmp/"))

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys."""
        for key in keys:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(key))

    def sync(self) -> None:
        """Make everything that was put so far durable."""
        with self._lock:
            paths, self._unsynced = self._unsynced, []
        folders: set[str] = set()
        for path in paths:
            above = os.path.dirname(path)
            while above not in folders and len(above) >= len(self._root):
                folders.add(above)
                above = os.path.dirname(above)
        for group in (paths, sorted(folders)):
            if group:
                sync_all(group)


class FolderUpload:
    """A file in `tmp/` that has no key yet."""

    def __init__(self, transport: FolderTransport, temporary: str) -> None:
        self._transport = transport
        self._temporary = temporary
        try:
            self._fd = os.open(temporary, _CREATE, 0o644)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(temporary), exist_ok=True)
            self._fd = os.open(temporary, _CREATE, 0o644)

    def write(self, content: bytes | bytearray | memoryview) -> None:
        """The next piece."""
        write_all(self._fd, content)

    def copy(self, path: Path) -> None:
        """The content of a file, by the quickest way that the system has."""
        source = os.open(path, os.O_RDONLY | _BINARY)
        try:
            if not clone_file(source, self._fd):
                for _ in copy_steps(source, self._fd):
                    pass
        finally:
            os.close(source)

    def finish(self, key: str) -> None:
        """Give it its key."""
        self._transport.link(self._temporary, key)
        self.abandon()

    def abandon(self) -> None:
        """Remove the temporary name."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._temporary)


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
