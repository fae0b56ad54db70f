"""Takes values from clients, and removes keys for them.

An upload is a temporary file until it was checked; only then does it get its key, in the store itself, which decides
who comes first. What a server has answered to be there is durable, also for who asks another server of the same store
next.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from hitsave.errors import MalformedObject, RemoteConflict
from hitsave.remotes.commits.keys import COMMITS, session_of
from hitsave.server.access import Principal, Role, needs_role, requires
from hitsave.server.answers import Refusal
from hitsave.server.audit import DROP_REFS, MAKE_PUBLIC, TAKE_BACK
from hitsave.server.receiving import Received, announced_length, read_json, received_file
from hitsave.server.site import Site
from hitsave.server.standing import check_still_holds
from hitsave.server.store.admission import (
    PASSING,
    Inadmissible,
    KeyKind,
    Overtaken,
    StoreKey,
    check_begun,
    check_creatable,
    largest,
    parse_key,
)
from hitsave.server.store.commits import Admitted
from hitsave.server.store.content import check_content, pack_session
from hitsave.server.store.state import Store, key_of, store_of

_NOTED_KEYS = 100
_IN_FILES = frozenset((KeyKind.PACK, KeyKind.INDEX, KeyKind.REFS))


@requires(Role.WRITE)
async def put_key(request: Request) -> Response:
    """Create a key. Nothing is ever overwritten."""
    key, store = key_of(request), store_of(request)
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
        await run_in_threadpool(check_still_holds, request)  # It may have waited for long.
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
    # What passes is named by no commit, and waits for none that is judged: each computed call ends with that.
    async with store.judging if any(key.kind not in PASSING for key in keys) else nullcontext():
        await _check_removable(request, keys)
        await run_in_threadpool(store.transport.delete, [key.text for key in keys])
    return Response(status_code=204)


async def _check_removable(request: Request, keys: list[StoreKey]) -> None:
    """Refuse to remove what is needed, and write down what else lasts. Raises Refusal."""
    lasting = [key.text for key in keys if key.kind not in PASSING]
    if not lasting:
        return
    try:
        await run_in_threadpool(store_of(request).commits.check_removable, keys, request.state.principal.role)
    except Inadmissible as error:
        raise _inadmissible(error, request.state.principal) from None
    detail = {"count": len(lasting), "keys": lasting[:_NOTED_KEYS]}
    await run_in_threadpool(_note, request, "delete keys", detail)


@requires(Role.WRITE)
async def sync(request: Request) -> Response:
    """Make durable what was put. Each answer to a put says so already; this is for who wants to hear it again."""
    await run_in_threadpool(store_of(request).sync)
    return Response(status_code=204)


def _note(request: Request, action: str, detail: dict[str, object]) -> None:
    site: Site = request.app.state.site
    principal: Principal = request.state.principal
    site.audit.note(principal.key_id, principal.label, request.state.address, action, detail)
