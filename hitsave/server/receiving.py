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
from urllib.parse import parse_qsl

from blake3 import blake3
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from hitsave.cache.files import remove_tree, try_lock
from hitsave.objects.digest import Digest
from hitsave.server.answers import Refusal
from hitsave.server.settings import ServerLimits
from hitsave.server.standing import check_still_holds

#: What is written and hashed at once.
_PIECE = 1 << 20
_LOCK = ".lock"
_FORM = "application/x-www-form-urlencoded"
_LONGEST_FORM = 64 << 10
_MOST_FIELDS = 100
_log = logging.getLogger("hitsave.server")


class Received(NamedTuple):
    """A body in a file, and the BLAKE3 of its bytes."""

    path: Path
    length: int
    digest: Digest


class Room:
    """How much is received at once: so many bodies, so many bytes, and of each key no more than half of both."""

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._bytes = 0
        self._of_key: Counter[str] = Counter()
        self._bytes_of_key: Counter[str] = Counter()
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def take(self, key_id: str, length: int) -> AsyncIterator[None]:
        """Room for one body; waits until there is some. Raises Refusal after a while."""
        try:
            async with asyncio.timeout(self._limits.patience), self._changed:
                await self._changed.wait_for(lambda: self._fits(key_id, length))
                self._of_key[key_id] += 1
                self._bytes_of_key[key_id] += length
                self._bytes += length
        except TimeoutError:
            raise Refusal(503, "busy", "too much is sent at once; try again", {"Retry-After": "5"}) from None
        try:
            yield
        finally:
            async with self._changed:
                self._of_key[key_id] -= 1
                self._bytes_of_key[key_id] -= length
                self._of_key += Counter()  # Those that have none are not kept.
                self._bytes_of_key += Counter()
                self._bytes -= length
                self._changed.notify_all()

    def _fits(self, key_id: str, length: int) -> bool:
        limits = self._limits
        if self._of_key.total() >= limits.uploads or self._bytes + length > limits.temporary:
            return False
        first = self._of_key[key_id] == 0  # It may be larger than half by itself.
        few = self._of_key[key_id] < max(1, limits.uploads // 2)
        return first or (few and self._bytes_of_key[key_id] + length <= limits.temporary // 2)


def announced_length(request: Request, most: int) -> int:
    """What a request says of its body's length. Raises Refusal where it says nothing, or too much."""
    text = request.headers.get("content-length", "")
    if "transfer-encoding" in request.headers or not text.isascii() or not text.isdigit():
        raise Refusal(411, "length", "the length of the content must be given (Content-Length)")
    length = int(text[:20])
    if length > most:
        raise Refusal(413, "too large", f"this is longer than {most} bytes, the most that is taken here")
    return length


async def read_json(request: Request, most: int) -> dict[str, Any]:
    """A small JSON object. Raises Refusal."""
    announced_length(request, most)
    content = await _read_body(request, most)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refusal(400, "malformed", "this is no JSON object")
    return value


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, which may be asked for again. Of fields of one name, the last. Raises Refusal.

    Pages send short fields alone: there is no reader for files here.
    """
    known: dict[str, str] | None = getattr(request.state, "form", None)
    if known is None:
        kind = request.headers.get("content-type", _FORM).partition(";")[0].strip().lower()
        if kind != _FORM:
            raise Refusal(415, "malformed", f"a form is sent as {_FORM}")
        content = await _read_body(request, _LONGEST_FORM)
        try:
            known = dict(parse_qsl(content.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
        except ValueError:
            raise Refusal(400, "malformed", "this form has too many fields") from None
        request.state.form = known
    return known


async def _read_body(request: Request, most: int) -> bytes:
    """A small body, of which no more is read than may be. It may take its time: whoever asks must still be somebody who
    may, when it is there. Raises Refusal.
    """
    content = bytearray()
    try:
        async for piece in request.stream():
            content += piece
            if len(content) > most:
                raise Refusal(413, "too large", f"this is longer than {most} bytes, the most that is taken here")
    except ClientDisconnect:
        raise _cut_off() from None
    await run_in_threadpool(check_still_holds, request)
    return bytes(content)


def _cut_off() -> Refusal:
    return Refusal(400, "cut off", "the connection ended before all was sent")


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
            raise _cut_off() from None
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
