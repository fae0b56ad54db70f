"""Takes bodies of requests: into memory where they are small, into temporary files otherwise, and never without end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from blake3 import blake3
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from hitsave.cache.files import remove_tree, try_lock
from hitsave.objects.digest import Digest
from hitsave.server.answers import Refusal
from hitsave.server.settings import ServerLimits

#: What is written and hashed at once.
_PIECE = 1 << 20
_LOCK = ".lock"
_log = logging.getLogger("hitsave.server")


class Received(NamedTuple):
    """A body in a file, and the BLAKE3 of its bytes."""

    path: Path
    length: int
    digest: Digest


class Room:
    """How much is received at once: so many bodies, so many bytes, and of each key no more than half of the bodies."""

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._bytes = 0
        self._of_key: Counter[str] = Counter()
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def take(self, key_id: str, length: int) -> AsyncIterator[None]:
        """Room for one body; waits until there is some. Raises Refusal after a while."""
        try:
            async with asyncio.timeout(self._limits.patience), self._changed:
                await self._changed.wait_for(lambda: self._fits(key_id, length))
                self._of_key[key_id] += 1
                self._bytes += length
        except TimeoutError:
            raise Refusal(503, "busy", "too much is sent at once; try again", {"Retry-After": "5"}) from None
        try:
            yield
        finally:
            async with self._changed:
                self._of_key[key_id] -= 1
                self._of_key += Counter()  # Those that have none are not kept.
                self._bytes -= length
                self._changed.notify_all()

    def _fits(self, key_id: str, length: int) -> bool:
        limits = self._limits
        among_all = self._of_key.total() < limits.uploads and self._bytes + length <= limits.temporary
        return among_all and self._of_key[key_id] < max(1, limits.uploads // 2)


def announced_length(request: Request, most: int) -> int:
    """What a request says of its body's length. Raises Refusal where it says nothing, or too much."""
    text = request.headers.get("content-length", "")
    if not text.isascii() or not text.isdigit():
        raise Refusal(411, "length", "the length of the content must be given (Content-Length)")
    length = int(text[:20])
    if length > most:
        raise Refusal(413, "too large", f"this is longer than {most} bytes, the most that is taken here")
    return length


async def read_json(request: Request, most: int) -> dict[str, Any]:
    """A small JSON object. Raises Refusal."""
    announced_length(request, most)
    content = await request.body()
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refusal(400, "malformed", "this is no JSON object")
    return value


@contextlib.asynccontextmanager
async def received_file(request: Request, folder: Path, length: int) -> AsyncIterator[Received]:
    """The body of a request in a file, which is gone at the end. Raises Refusal where it is cut off."""
    path = folder / secrets.token_hex(8)
    file = await run_in_threadpool(_create, path)
    try:
        hasher, waiting, count = blake3(), bytearray(), 0

        def write(content: bytes) -> None:
            file.write(content)
            hasher.update(content)

        try:
            async for content in request.stream():
                waiting += content
                if len(waiting) >= _PIECE:
                    piece, waiting = bytes(waiting), bytearray()
                    count += len(piece)
                    await run_in_threadpool(write, piece)
            await run_in_threadpool(write, bytes(waiting))
        except ClientDisconnect:
            raise Refusal(400, "cut off", "the connection ended before all was sent") from None
        except OSError as error:
            _log.error("%s: %s", folder, error.strerror)
            raise Refusal(503, "full", "the server has no room for this; its log says more") from None
        if count + len(waiting) != length:
            raise Refusal(400, "cut off", "the content has another length than was said")
        yield Received(path, length, Digest(hasher.digest()))
    finally:
        file.close()
        path.unlink(missing_ok=True)


def _create(path: Path) -> Any:
    return path.open("xb", buffering=0)


@contextlib.contextmanager
def upload_folder(above: Path) -> Iterator[Path]:
    """A folder for this process alone, gone at the end; those of processes that were killed are removed first."""
    for path in above.glob(f"*{_LOCK}"):
        _remove_unless_used(path)
    name = secrets.token_hex(8)
    lock = try_lock(os.fspath(above / f"{name}{_LOCK}"))
    folder = above / name
    folder.mkdir()
    try:
        yield folder
    finally:
        remove_tree(os.fspath(folder))
        (above / f"{name}{_LOCK}").unlink(missing_ok=True)
        if lock is not None:
            os.close(lock)


def _remove_unless_used(lock_path: Path) -> None:
    lock = try_lock(os.fspath(lock_path))
    if lock is not None:
        remove_tree(os.fspath(lock_path.with_suffix("")))
        lock_path.unlink(missing_ok=True)
        os.close(lock)
