"""Values and lists of keys for clients; values in pieces of a mebibyte."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from hitsave.errors import RemoteNotFound
from hitsave.remotes.transports.protocol import Transport
from hitsave.server.access import Role, requires
from hitsave.server.answers import Refusal
from hitsave.server.store.admission import StoreKey, is_prefix, parse_key
from hitsave.server.store.state import key_of, store_of
from hitsave.server.streaming import stream

#: What is read and sent at once.
_PIECE = 1 << 20
_LONGEST_PAGE = 10_000
_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{1,18})?")
_BYTES = "application/octet-stream"


class _Span(NamedTuple):
    """The bytes that are asked for: from `start` on, `length` of them, or all without."""

    start: int = 0
    length: int | None = None


@requires(Role.READ)
async def get_key(request: Request) -> Response:
    """A value, or a part of it."""
    key, span = key_of(request), _span_of(request)
    transport = store_of(request).transport
    try:
        if request.method == "HEAD":
            return _head(await run_in_threadpool(_length, transport, key))
        return await run_in_threadpool(_open_value, request, transport, key, span)
    except RemoteNotFound:
        raise _no_key(key) from None


def _no_key(key: StoreKey) -> Refusal:
    return Refusal(404, "no key", f"there is no {key.text}")


def _head(length: int) -> Response:
    return Response(headers={"Content-Length": str(length), "Accept-Ranges": "bytes"}, media_type=_BYTES)


def _length(transport: Transport, key: StoreKey) -> int:
    """Raises RemoteNotFound."""
    for listed in transport.scan(key.text):
        if listed.key == key.text:
            return listed.size
    raise RemoteNotFound(transport.url, key.text)


def _open_value(request: Request, transport: Transport, key: StoreKey, span: _Span) -> Response:
    """The answer with a value, of which a piece was read: so it is there. Raises RemoteNotFound."""
    start, length = span
    wanted = _PIECE if length is None else min(length, _PIECE)
    first = transport.get(key.text, start, wanted)
    ended = len(first) < wanted or wanted == length
    if ended:
        total = len(first)
    else:
        there = _length(transport, key) - start
        total = there if length is None else min(length, there)
    headers = {"Content-Length": str(total), "Accept-Ranges": "bytes", "Cache-Control": "private, no-store"}
    status = 200
    if span != _Span():
        status = 206
        headers["Content-Range"] = f"bytes {start}-{start + total - 1}/*"
        if not total:
            return Response(status_code=416, headers={"Content-Range": "bytes */*"})
    if ended:
        return Response(first, status, headers, _BYTES)
    pieces = _pieces(transport, key, start, start + total, first)
    return stream(request, pieces, status, headers, _BYTES)


def _pieces(transport: Transport, key: StoreKey, at: int, end: int, first: bytes) -> Iterator[bytes]:
    """A value, piece by piece. One that becomes shorter meanwhile ends the connection."""
    piece = first
    while piece:
        yield piece
        at += len(piece)
        piece = transport.get(key.text, at, min(_PIECE, end - at)) if at < end else b""


def _span_of(request: Request) -> _Span:
    text = request.headers.get("range")
    if text is None:
        return _Span()
    found = _RANGE.fullmatch(text)
    if found is None or (found[2] and int(found[2]) < int(found[1])):
        raise Refusal(400, "malformed", "a range is given as bytes=FIRST-LAST, or bytes=FIRST-")
    start = int(found[1])
    return _Span(start, int(found[2]) - start + 1 if found[2] else None)


@requires(Role.READ)
async def list_keys(request: Request) -> Response:
    """Keys by their beginning, a page at a time."""
    prefix, after = request.query_params.get("prefix", ""), request.query_params.get("after", "")
    limit = request.query_params.get("limit", str(_LONGEST_PAGE))
    if not is_prefix(prefix) or not is_prefix(after) or not re.fullmatch("[0-9]{1,5}", limit) or int(limit) == 0:
        raise Refusal(400, "malformed", "prefix and after are beginnings of keys, limit is a number up to 10000")
    most = min(int(limit), _LONGEST_PAGE)
    keys = await run_in_threadpool(store_of(request).transport.list, prefix, after)
    known = [key for key in keys if parse_key(key)]
    return JSONResponse({"keys": known[:most], "more": len(known) > most})


@requires(Role.READ)
async def scan_keys(request: Request) -> Response:
    """Keys with sizes and ages, a JSON array on each line; `null` on the last one says that it is whole."""
    prefix = request.query_params.get("prefix", "")
    if not is_prefix(prefix):
        raise Refusal(400, "malformed", "prefix is the beginning of a key")
    lines = _scan_lines(store_of(request).transport, prefix)
    first = await run_in_threadpool(next, lines)  # A store that fails does so now.
    return StreamingResponse(_after(first, lines), media_type="application/x-ndjson")


def _scan_lines(transport: Transport, prefix: str) -> Iterator[bytes]:
    """Many lines at once."""
    lines: list[str] = []
    for key, size, modified in transport.scan(prefix):
        if parse_key(key):
            lines.append(f"[{json.dumps(key)},{size},{modified}]\n")
        if len(lines) == _LONGEST_PAGE:
            yield "".join(lines).encode()
            lines = []
    yield ("".join(lines) + "null\n").encode()


async def _after(first: bytes, rest: Iterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in iterate_in_threadpool(rest):
        yield piece
