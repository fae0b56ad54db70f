"""A remote on a machine behind SSH, over SFTP.

A value is written to a new file in `tmp/` of the remote folder, made durable where the server can (fsync@openssh.com),
and then gets its key by a hard link (hardlink@openssh.com), which fails where the name is taken: a key shows a whole
value or nothing. A server that has no hard links must have a rename that fails where the target exists, as version 3
of the protocol demands. That of OpenSSH looks first and renames then where links fail, so it does not count.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import posixpath
import secrets
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import asyncssh
from asyncssh import SFTPClient, SFTPClientFile, SFTPError, SFTPName

from hitsave.cache.files import write_all
from hitsave.errors import (
    RemoteConflict,
    RemoteError,
    RemoteNotFound,
    RemoteRefused,
    RemoteUnavailable,
    RemoteUnsuitable,
)
from hitsave.remotes.transports.protocol import Buffer, Listed
from hitsave.remotes.transports.sftpsteps import (
    REQUESTS,
    entries_of,
    pieces_of,
    remove_if_there,
    size_of,
    sync_folder,
    write_pieces,
)
from hitsave.remotes.transports.ssh import LOST, Link, local_files, parse_url

_Result = TypeVar("_Result")
_FOLDERS_AT_ONCE = 16
_REMOVED_AT_ONCE = 64
#: Less than this many bytes free is a full disk, when a value could not be written.
_NOTHING_FREE = 1 << 20


class SftpTransport:
    """A folder of a machine behind SSH as a store. One connection, over which many requests are under way at once."""

    #: The server takes up requests one after the other, but the way there is long.
    parallel = 8

    def __init__(self, url: str, config: Path | None = None, hasty: bool = False) -> None:
        """`config` is an ssh configuration in the place of ~/.ssh/config. Raises RemoteUnsuitable.

        A hasty one gives up within seconds where nobody answers.
        """
        self.url = url
        address = parse_url(url)
        self._root = address.folder
        self._link = Link(address, config, hasty)
        weakref.finalize(self, self._link.close)
        self._unsynced: set[str] = set()
        #: Temporary files of values that a lost connection cut off.
        self._left: list[str] = []
        self._lock = threading.Lock()

    def _path(self, key: str) -> str:
        return posixpath.join(self._root, key) if key else self._root

    def _run(self, key: str, action: Callable[[SFTPClient], Coroutine[Any, Any, _Result]]) -> _Result:
        try:
            return self._link.run(action)
        except SFTPError as error:
            raise self._fault(key, error) from None

    def _fault(self, key: str, error: SFTPError) -> RemoteError:
        if isinstance(error, (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)):
            return RemoteNotFound(self.url, key)
        if isinstance(error, (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect)):
            return RemoteRefused(f"{self.url}: {key or 'the folder'}: permission denied there")
        if isinstance(error, (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)):
            return RemoteError(f"{self.url}: {key}: the disk there is full")
        return RemoteError(f"{self.url}: {key}: the server says: {error}")

    # -- reading

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """A value, or a part of it. Raises RemoteUnavailable where less comes than there is."""
        return self._run(key, lambda client: self._read(client, key, start, length))

    async def _read(self, client: SFTPClient, key: str, start: int, length: int | None) -> bytes:
        async with client.open(self._path(key), "rb", max_requests=REQUESTS) as file:
            asked = await size_of(file) - start if length is None else length
            content = bytes(await file.read(asked, start)) if asked > 0 else b""  # type: ignore[arg-type]
            if len(content) < asked and len(content) < (there := await size_of(file) - start):
                raise self._torn(key, len(content), min(asked, there))
        return content

    def _torn(self, key: str, came: int, there: int) -> RemoteUnavailable:
        return RemoteUnavailable(f"{self.url}: {key}: only {came} of {there} bytes came")

    def download(self, key: str, path: Path) -> None:
        """Write a value into a new file."""
        self._run(key, lambda client: self._download(client, key, path))

    async def _download(self, client: SFTPClient, key: str, path: Path) -> None:
        async with client.open(self._path(key), "rb", max_requests=REQUESTS) as file:
            size = await size_of(file)
            with local_files():
                target = path.open("xb", buffering=0)
            try:
                with target:
                    received = 0
                    async for offset, content in await file.read_parallel(size, 0):
                        received += len(content)
                        with local_files():
                            target.seek(offset)
                            write_all(target.fileno(), content)
                if received != size:
                    raise self._torn(key, received, size)
            except BaseException:
                path.unlink(missing_ok=True)
                raise

    # -- creating

    def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
        """Create a key with a value."""
        pieces = (content,) if isinstance(content, (bytes, bytearray, memoryview)) else content
        self._run(key, lambda client: self._create(client, key, pieces))

    def put_file(self, key: str, path: Path) -> None:
        """Create a key with the content of a file; one that is there is not sent again."""
        self._run(key, lambda client: self._create_from(client, key, path))

    async def _create_from(self, client: SFTPClient, key: str, path: Path) -> None:
        if await client.lexists(self._path(key)):
            raise self._taken(key)
        await self._create(client, key, pieces_of(path))

    def _taken(self, key: str) -> RemoteConflict:
        self._note(key)
        return RemoteConflict(self.url, key)

    def _note(self, key: str) -> None:
        with self._lock:
            self._unsynced.add(posixpath.dirname(key))

    async def _create(self, client: SFTPClient, key: str, pieces: Iterable[Buffer]) -> None:
        while self._left:
            await remove_if_there(client, self._left.pop())
        temporary = self._path(f"tmp/{secrets.token_hex(12)}")
        file: SFTPClientFile | None = None
        try:
            file = await self._open_new(client, temporary)
            try:
                await write_pieces(file, pieces, client.limits.max_write_len)
                with contextlib.suppress(asyncssh.SFTPOpUnsupported):
                    await file.fsync()
            except asyncssh.SFTPFailure as error:
                raise await self._write_fault(client, key, error) from None
            await self._publish(client, temporary, key)
        finally:
            await self._discard(client, file, temporary)

    async def _discard(self, client: SFTPClient, file: SFTPClientFile | None, temporary: str) -> None:
        closing = [file.close()] if file is not None else []
        *_, removed = await asyncio.gather(*closing, client.remove(temporary), return_exceptions=True)
        if isinstance(removed, BaseException) and not isinstance(removed, asyncssh.SFTPNoSuchFile):
            self._left.append(temporary)

    async def _open_new(self, client: SFTPClient, path: str) -> SFTPClientFile:
        flags = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_EXCL
        try:
            return await client.open(path, flags, encoding=None, block_size=0)
        except asyncssh.SFTPNoSuchFile:
            await self._make_folder(client, posixpath.dirname(path))
            return await client.open(path, flags, encoding=None, block_size=0)

    async def _make_folder(self, client: SFTPClient, path: str) -> None:
        try:
            await client.makedirs(path, exist_ok=True)
        except LOST:
            raise
        except SFTPError as error:
            # What is said is of little use: 'Failure' where a file is in the way, or nothing about the folder's name.
            reason = "permission denied" if isinstance(error, asyncssh.SFTPPermissionDenied) else str(error)
            raise RemoteRefused(f"{self.url}: the folder {path} cannot be made there: {reason}") from None

    async def _write_fault(self, client: SFTPClient, key: str, error: SFTPError) -> RemoteError:
        with contextlib.suppress(SFTPError):
            free = await client.statvfs(self._root)
            if free.bavail * free.frsize < _NOTHING_FREE or not free.favail:
                return RemoteError(f"{self.url}: {key}: the disk there is full; free some space and run it again")
        return self._fault(key, error)

    async def _publish(self, client: SFTPClient, temporary: str, key: str) -> None:
        """Give a file that is finished and durable its key."""
        path = self._path(key)
        try:
            try:
                await self._name(client, temporary, path)
            except asyncssh.SFTPNoSuchFile:
                await self._make_folder(client, posixpath.dirname(path))
                await self._name(client, temporary, path)
        except SFTPError as error:
            if await client.lexists(path):
                raise self._taken(key) from None
            raise await self._link_fault(client, temporary, error) from None
        self._note(key)

    async def _name(self, client: SFTPClient, temporary: str, path: str) -> None:
        try:
            await client.link(temporary, path)
        except asyncssh.SFTPOpUnsupported:
            if "OpenSSH" in self._link.server_version():
                raise self._without_links() from None
            await client.rename(temporary, path)

    async def _link_fault(self, client: SFTPClient, temporary: str, error: SFTPError) -> RemoteError:
        """A link can be refused for this key alone, or because there are no links at all."""
        other = f"{temporary}-linked"
        try:
            await client.link(temporary, other)
        except (asyncssh.SFTPFailure, asyncssh.SFTPPermissionDenied, asyncssh.SFTPOpUnsupported):
            return self._without_links()
        await client.remove(other)
        return self._fault("a new key", error)

    def _without_links(self) -> RemoteUnsuitable:
        return RemoteUnsuitable(
            f"{self.url}: this server, or its file system, has no hard links, so two writers could overwrite each "
            "other; use a folder on another file system"
        )

    # -- listing

    def list(self, prefix: str, after: str = "") -> list[str]:
        """The keys that begin with `prefix` and sort after `after`."""
        return sorted(found.key for found in self.scan(prefix) if found.key > after)

    def scan(self, prefix: str) -> Iterator[Listed]:
        """The keys that begin with `prefix`, with sizes and ages; only folders that can have some are looked into."""
        pending = [prefix.rpartition("/")[0]]
        while pending:
            batch, pending = pending[:_FOLDERS_AT_ONCE], pending[_FOLDERS_AT_ONCE:]
            for key, entry in self._look(batch):
                if entry.attrs.type != asyncssh.FILEXFER_TYPE_DIRECTORY:
                    if key.startswith(prefix):
                        yield Listed(key, entry.attrs.size or 0, entry.attrs.mtime or 0)
                elif key != "tmp" and (f"{key}/".startswith(prefix) or prefix.startswith(f"{key}/")):
                    pending.append(key)

    def _look(self, folders: Sequence[str]) -> Iterator[tuple[str, SFTPName]]:
        """What is in folders, each with the key that it has or would have."""

        async def look(client: SFTPClient) -> Sequence[Sequence[SFTPName]]:
            return await asyncio.gather(*(entries_of(client, self._path(folder)) for folder in folders))

        for folder, entries in zip(folders, self._run(folders[0], look), strict=True):
            for entry in entries:
                name = os.fsdecode(entry.filename)
                yield f"{folder}/{name}" if folder else name, entry

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys."""
        rest = iter(keys)
        while batch := list(itertools.islice(rest, _REMOVED_AT_ONCE)):
            self._remove(batch)

    def _remove(self, keys: Sequence[str]) -> None:
        async def remove(client: SFTPClient) -> None:
            await asyncio.gather(*(remove_if_there(client, self._path(key)) for key in keys))

        self._run(keys[0], remove)

    # -- durability

    def sync(self) -> None:
        """Make durable what was put so far.

        Values are durable before they have their keys. The folders that name them are synced as files are, which
        OpenSSH on Linux can; where a server cannot, its file system's own order of writes has to do.
        """
        with self._lock:
            named = set(self._unsynced)
        if not named:
            return
        folders = {above for name in named for above in _with_those_above(name)}

        async def sync(client: SFTPClient) -> None:
            await asyncio.gather(*(sync_folder(client, self._path(folder)) for folder in folders))

        self._run("", sync)
        with self._lock:
            self._unsynced -= named

    def close(self) -> None:
        """End the connection; a later call makes a new one."""
        self._link.close()


def _with_those_above(name: str) -> list[str]:
    """A folder and all above it, up to that of the remote."""
    parts = name.split("/") if name else []
    return ["/".join(parts[:count]) for count in range(len(parts) + 1)]
