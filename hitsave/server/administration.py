"""Routes under /store/v1 for who looks after a server: keys, and the audit log."""

from __future__ import annotations

import time
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from hitsave.server.access import Role, requires
from hitsave.server.answers import Refusal
from hitsave.server.keys import LONGEST_LABEL, KeyRecord, LastAdminKey
from hitsave.server.receiving import read_json
from hitsave.server.site import Site

_API_KEYS = "/store/v1/api-keys"
_LONGEST_LIFE = 100 * 366 * 86400
_LONGEST_PAGE = 1000
_MOST_DIGITS = 18


def key_as_json(record: KeyRecord) -> dict[str, Any]:
    """What programs are told of a key."""
    return {**record._asdict(), "role": record.role.name.lower()}


@requires(Role.ADMIN)
async def list_api_keys(request: Request) -> Response:
    """All keys, without their secrets."""
    site: Site = request.app.state.site
    found = await run_in_threadpool(site.keys.list)
    return JSONResponse({"keys": [key_as_json(record) for record in found]})


@requires(Role.ADMIN)
async def make_api_key(request: Request) -> Response:
    """A new key. It is in this answer, and nowhere else."""
    site: Site = request.app.state.site
    asked = await read_json(request, site.settings.limits.json)
    role, label, lifetime = asked.get("role"), asked.get("label"), asked.get("lifetime")
    known = {one.name.lower(): one for one in Role}
    if not isinstance(role, str) or role not in known:
        raise Refusal(400, "malformed", "role is one of read, write, admin")
    if not isinstance(label, str) or not is_label(label):
        raise Refusal(400, "malformed", f"label is a text of 1 to {LONGEST_LABEL} printable characters")
    if lifetime is not None and (type(lifetime) is not int or not 0 < lifetime <= _LONGEST_LIFE):
        raise Refusal(400, "malformed", "lifetime is a number of seconds, at least one and at most a hundred years")
    expires = None if lifetime is None else int(time.time()) + lifetime
    key, record = await run_in_threadpool(make_key, request, known[role], label, expires)
    return JSONResponse({"key": key, **key_as_json(record)}, 201, headers={"Cache-Control": "no-store"})


def is_label(text: str) -> bool:
    """Whether a key may have this label."""
    return 0 < len(text) <= LONGEST_LABEL and text.isprintable()


def make_key(
    request: Request, role: Role, label: str, expires: int | None, key_id: str | None = None
) -> tuple[str, KeyRecord]:
    """Make a key for whoever asks, and write down that it was made. Raises KeyTaken."""
    site: Site = request.app.state.site
    key, record = site.keys.make(role, label, expires, key_id)
    _note(request, "make key", record)
    return key, record


def revoke_key(request: Request, key_id: str) -> KeyRecord | None:
    """Take a key out of use for whoever asks, and write that down; None where there is none. Raises Refusal."""
    site: Site = request.app.state.site
    try:
        record = site.keys.revoke_unless_last(key_id)
    except LastAdminKey as error:
        raise Refusal(409, "last admin key", str(error)) from None
    if record is not None:
        _note(request, "revoke key", record)
    return record


def _note(request: Request, action: str, record: KeyRecord) -> None:
    site: Site = request.app.state.site
    principal = request.state.principal
    detail = {"id": record.id, "label": record.label, "role": record.role.name.lower(), "expires": record.expires}
    site.audit.note(principal.key_id, principal.label, request.state.address, action, detail)


@requires(Role.ADMIN)
async def revoke_api_key(request: Request) -> Response:
    """Take a key out of use, at once and for good."""
    record = await run_in_threadpool(revoke_key, request, request.path_params["key_id"])
    if record is None:
        raise Refusal(404, "no such key", "there is no key with this id")
    return JSONResponse(key_as_json(record))


@requires(Role.ADMIN)
async def read_audit(request: Request) -> Response:
    """The audit log, the latest entries first."""
    site: Site = request.app.state.site
    before, limit = (_number(request, name) for name in ("before", "limit"))
    entries = await run_in_threadpool(site.audit.entries, before, min(limit or 100, _LONGEST_PAGE))
    return JSONResponse({"entries": [entry._asdict() for entry in entries]})


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise Refusal(400, "malformed", f"{name} is a number")
    return int(text)


routes: list[BaseRoute] = [
    Route(_API_KEYS, list_api_keys, methods=["GET"]),
    Route(_API_KEYS, make_api_key, methods=["POST"]),
    Route(f"{_API_KEYS}/{{key_id}}", revoke_api_key, methods=["DELETE"]),
    Route("/store/v1/audit", read_audit, methods=["GET"]),
]
