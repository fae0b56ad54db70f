"""Routes under /store/v1: a store's face for clients (docs/server.md).

Values go both ways in pieces of a mebibyte. An upload is a temporary file until it was checked; only then does it get
its key, in the store itself, which decides who comes first. What a server has answered to be there is durable, also for
who asks another server of the same store next.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from hitsave.errors import MalformedObject, RemoteConflict, RemoteNotFound
from hitsave.remotes.commits.keys import COMMITS, session_of
from hitsave.remotes.transports.protocol import Transport
from hitsave.server.access import Principal, Role, check_still_holds, needs_role, requires
from hitsave.server.admission import (
    PASSING,
    Inadmissible,
    KeyKind,
    Overtaken,
    StoreKey,
    check_begun,
    check_creatable,
    is_prefix,
    largest,
    parse_key,
)
from hitsave.server.answers import Refusal
from hitsave.server.audit import DROP_REFS, MAKE_PUBLIC, TAKE_BACK
from hitsave.server.commits import Admitted, Commits
from hitsave.server.content import check_content, pack_session
from hitsave.server.receiving import Received, Room, announced_length, read_json, received_file
from hitsave.server.site import Site
from hitsave.server.streaming import stream

PREFIX = "/store/v1"
_KEYS = f"{PREFIX}/keys"
#: What is read and sent at once.
_PIECE = 1 << 20
_LONGEST_PAGE = 10_000
_NOTED_KEYS = 100
_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{1,18})?")
_IN_FILES = frozenset((KeyKind.PACK, KeyKind.INDEX, KeyKind.REFS))


class Store:
    """What the routes share: the store of one site, and who is at work in it."""

    def __init__(self, site: Site) -> None:
        self.transport = site.transport
        self.room = Room(site.settings.limits)
        self.commits = Commits(site.transport, site.repository.cache.path / "remotes")
        #: One commit is judged at a time; a removal beside it could take away what it names.
        self.judging = asyncio.Lock()
        #: The number of the newest commit that is known here: neither it nor one before it is ever free again.
        self.newest = 0
        self._syncing = threading.Lock()

    def sync(self) -> None:
        """Make everything that was put so far durable, also what another thread is about to."""
        with self._syncing:
            self.transport.sync()


def store_of(request: Request) -> Store:
    """The store of the application that was asked."""
    store: Store = request.app.state.store
    return store


# -- reading


@requires(Role.READ)
async def whoami(request: Request) -> Response:
    """Whose key it is."""
    principal: Principal = request.state.principal
    role, expires = principal.role.name.lower(), principal.expires
    return JSONResponse({"id": principal.key_id, "label": principal.label, "role": role, "expires": expires})


class _Span(NamedTuple):
    """The bytes that are asked for: from `start` on, `length` of them, or all without."""

    start: int = 0
    length: int | None = None


@requires(Role.READ)
async def get_key(request: Request) -> Response:
    """A value, or a part of it."""
    key, span = _key_of(request), _span_of(request)
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


_BYTES = "application/octet-stream"


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


def _key_of(request: Request) -> StoreKey:
    """The key in the path, spelled as it is: what needs an escape, or is taken away by a proxy, is no key."""
    text: str = request.path_params["key"]
    key = parse_key(text)
    if key is None or request.scope.get("raw_path", b"").partition(b"?")[0] != f"{_KEYS}/{text}".encode():
        raise Refusal(404, "no such key", "there are no keys of this form")
    return key


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


# -- writing


@requires(Role.WRITE)
async def put_key(request: Request) -> Response:
    """Create a key. Nothing is ever overwritten."""
    key, store = _key_of(request), store_of(request)
    site: Site = request.app.state.site
    if request.headers.get("if-none-match") != "*":
        raise Refusal(428, "condition", "keys are only ever created; send 'If-None-Match: *'")
    try:
        check_creatable(key)
    except Inadmissible as error:
        raise _inadmissible(error, request.state.principal) from None
    length = announced_length(request, largest(key.kind, site.settings.limits))
    async with (
        store.room.take(request.state.principal.key_id, length),
        received_file(request, site.temporary, length) as received,
    ):
        await run_in_threadpool(check_still_holds, request)
        await _admit(request, key, received)
    return Response(status_code=201)


async def _admit(request: Request, key: StoreKey, received: Received) -> None:
    """Check what came, and give it its key."""
    store, site = store_of(request), request.app.state.site
    if key.digest is not None and key.digest != received.digest:
        raise Refusal(422, "digest", f"what came for {key.text} has the digest {received.digest}")
    try:
        if key.kind is KeyKind.COMMIT:
            await _admit_commit(request, key, received)
            return
        await run_in_threadpool(check_content, key, received.path, site.settings.limits)
        await _check_session(store, key, received.path)
        await run_in_threadpool(_create, store, key, received.path)
    except MalformedObject as error:
        raise Refusal(422, "malformed", f"{key.text}: {error}") from None
    except Inadmissible as error:
        raise _inadmissible(error, request.state.principal) from None
    except RemoteConflict:
        raise _taken(key) from None


async def _check_session(store: Store, key: StoreKey, path: Path) -> None:
    """Refuse files of sessions that have not begun yet. Raises Inadmissible, RemoteError."""
    if key.kind not in _IN_FILES:
        return
    session = session_of(key.text)
    if session is None:
        session = await run_in_threadpool(pack_session, path)
    if session.base > store.newest:  # Another server of this store may have let in newer commits.
        async with store.judging:
            store.newest = max(store.newest, await run_in_threadpool(store.commits.newest_number))
    check_begun(session, store.newest)


def _taken(key: StoreKey) -> Refusal:
    return Refusal(412, "taken", f"{key.text} exists already")


async def _admit_commit(request: Request, key: StoreKey, received: Received) -> None:
    store, principal = store_of(request), request.state.principal
    content = await run_in_threadpool(received.path.read_bytes)
    number = int(key.text.removeprefix(COMMITS))
    async with store.judging:
        if number <= store.newest:  # Of many who want it at once, all but one are told so without a look.
            raise _taken(key)
        try:
            admitted = await run_in_threadpool(store.commits.admit, key, content, principal.role)
        except Overtaken:
            raise _taken(key) from None
        except Inadmissible as error:
            raise _inadmissible(error, principal) from None
        await run_in_threadpool(store.sync)  # What it names is durable before it is.
        await run_in_threadpool(_create, store, key, received.path)
        store.newest = number
    await run_in_threadpool(_note_commit, request, admitted)


def _inadmissible(error: Inadmissible, principal: Principal) -> Refusal:
    if error.needs_admin:
        return needs_role(Role.ADMIN, principal, str(error))
    return Refusal(409, "inadmissible", str(error))


def _create(store: Store, key: StoreKey, path: Path) -> None:
    """Raises RemoteConflict. Either way, what has the key is durable then."""
    try:
        if key.kind in _IN_FILES:
            store.transport.put_file(key.text, path)
        else:
            store.transport.put(key.text, path.read_bytes())
    finally:
        store.sync()


def _note_commit(request: Request, admitted: Admitted) -> None:
    commit, dropped, taken_back, published = admitted
    detail = {"commit": commit.number, "operation": commit.operation, "author": commit.author}
    for action, refs in ((TAKE_BACK, taken_back), (MAKE_PUBLIC, published)):
        for ref in refs[:_NOTED_KEYS]:
            _note(request, action, {**detail, "digest": str(ref.digest), "path": ref.path, "count": len(refs)})
    if dropped is None:
        detail["unknown"] = True
    if dropped != []:
        known = [str(name) for name in dropped or ()]
        _note(request, DROP_REFS, {**detail, "count": len(known), "refs": known[:_NOTED_KEYS]})


@requires(Role.WRITE)
async def delete_keys(request: Request) -> Response:
    """Remove keys that nothing needs."""
    store, site = store_of(request), request.app.state.site
    asked = (await read_json(request, site.settings.limits.json)).get("keys")
    if not isinstance(asked, list) or not all(isinstance(key, str) for key in asked):
        raise Refusal(400, "malformed", 'give {"keys": [...]}')
    keys = [key for text in asked if (key := parse_key(text))]
    if len(keys) < len(asked):
        raise Refusal(404, "no such key", "there are no keys of this form")
    lasting = [key.text for key in keys if key.kind not in PASSING]
    async with store.judging:
        if lasting:
            try:
                await run_in_threadpool(store.commits.check_removable, keys, request.state.principal.role)
            except Inadmissible as error:
                raise _inadmissible(error, request.state.principal) from None
            detail = {"count": len(lasting), "keys": lasting[:_NOTED_KEYS]}
            await run_in_threadpool(_note, request, "delete keys", detail)
        await run_in_threadpool(store.transport.delete, [key.text for key in keys])
    return Response(status_code=204)


@requires(Role.WRITE)
async def sync(request: Request) -> Response:
    """Make durable what was put. Each answer to a put says so already; this is for who wants to hear it again."""
    await run_in_threadpool(store_of(request).sync)
    return Response(status_code=204)


def _note(request: Request, action: str, detail: dict[str, object]) -> None:
    site: Site = request.app.state.site
    principal: Principal = request.state.principal
    site.audit.note(principal.key_id, principal.label, request.state.address, action, detail)


routes: list[BaseRoute] = [
    Route(f"{PREFIX}/whoami", whoami, methods=["GET"]),
    Route(_KEYS, list_keys, methods=["GET"]),
    Route(f"{PREFIX}/scan", scan_keys, methods=["GET"]),
    Route(f"{_KEYS}/{{key:path}}", get_key, methods=["GET"]),
    Route(f"{_KEYS}/{{key:path}}", put_key, methods=["PUT"]),
    Route(f"{PREFIX}/delete", delete_keys, methods=["POST"]),
    Route(f"{PREFIX}/sync", sync, methods=["POST"]),
]
