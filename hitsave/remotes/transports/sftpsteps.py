"""Single steps of an SFTP session: reading, writing, listing, making durable. Errors are those of the protocol."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import asyncssh
from asyncssh import SFTPClient, SFTPClientFile, SFTPName

from hitsave.remotes.transports.protocol import Buffer
from hitsave.remotes.transports.ssh import local_files

#: Requests of one file that are under way at once; each is of 255 KiB with OpenSSH.
REQUESTS = 16
_PIECE = 1 << 20


async def size_of(file: SFTPClientFile) -> int:
    """The length of an open file, in bytes."""
    return (await file.stat()).size or 0


async def write_pieces(file: SFTPClientFile, pieces: Iterable[Buffer], block: int) -> None:
    """Write a whole file in requests of `block` bytes, with a bounded number of requests under way."""
    pending: set[asyncio.Future[int]] = set()
    offset = 0
    try:
        for content in _blocks(pieces, block):
            if len(pending) >= REQUESTS:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for written in done:
                    written.result()
            pending.add(asyncio.ensure_future(file.write(content, offset)))
            offset += len(content)
        await asyncio.gather(*pending)
    finally:
        for written in pending:
            written.cancel()


def _blocks(pieces: Iterable[Buffer], size: int) -> Iterator[bytes]:
    """The pieces, cut anew so that every request but the last is as long as the server takes it."""
    block = bytearray()
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            room = size - len(block)
            block += rest[:room]
            rest = rest[room:]
            if len(block) == size:
                yield bytes(block)
                block.clear()
    if block:
        yield bytes(block)


def pieces_of(path: Path) -> Iterator[bytes]:
    """The content of a file of this machine."""
    with local_files(), path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            yield piece


async def entries_of(client: SFTPClient, folder: str) -> list[SFTPName]:
    """What is in a folder; nothing where there is none."""
    try:
        return [entry async for entry in client.scandir(folder) if entry.filename not in (".", "..")]
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
        return []


async def remove_if_there(client: SFTPClient, path: str) -> None:
    """Remove a file; one that is missing is no error."""
    with contextlib.suppress(asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
        await client.remove(path)


async def sync_folder(client: SFTPClient, path: str) -> None:
    """Make a folder durable, by opening it like a file, where the server lets one."""
    with contextlib.suppress(asyncssh.SFTPFailure, asyncssh.SFTPPermissionDenied, asyncssh.SFTPOpUnsupported):
        async with client.open(path, asyncssh.FXF_READ, encoding=None) as folder:
            await folder.fsync()
