"""Pages for who looks after a server: its keys, and the audit log."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hitsave.server.access import Role, requires
from hitsave.server.administration import is_label, make_key, revoke_key
from hitsave.server.keys import LONGEST_LABEL, KeyTaken, is_id, new_id
from hitsave.server.pages.blobs import refuse_local
from hitsave.server.pages.dashboard import not_found
from hitsave.server.pages.rendering import render, see
from hitsave.server.paths import captured_path
from hitsave.server.receiving import read_form
from hitsave.server.site import Site
from hitsave.server.words import show_name

_ENTRIES = 100
_LONGEST_DETAIL = 2000
_DAY = 86400
_SHORT_DIGEST = 12
_ROLES = {role.name.lower(): role for role in Role}


@requires(Role.ADMIN)
async def list_keys(request: Request) -> Response:
    """All keys, without their secrets."""
    return await _keys_page(request)


async def _keys_page(request: Request, status: int = 200, made: str = "", problem: str = "") -> Response:
    site: Site = request.app.state.site
    refuse_local(site, "keys")
    keys = await run_in_threadpool(site.keys.list)
    now = int(time.time())
    keys.sort(key=lambda key: (not key.holds_at(now), -key.created))
    known: dict[str, Any] = {
        "keys": keys,
        "now": now,
        "made": made,
        "problem": problem,
        "roles": list(_ROLES),
        "id": new_id(),
    }
    return render(request, "keys.html", status, **known)


@requires(Role.ADMIN)
async def add_key(request: Request) -> Response:
    """A new key. It is on the page that follows, and nowhere else.

    The form brings the id that the key is to have: to send it again, as by a reload, makes no other key.
    """
    refuse_local(request.app.state.site, "keys")
    form = await read_form(request)
    key_id, label, role, days = (form.get(name, "").strip() for name in ("id", "label", "role", "days"))
    if not is_id(key_id):
        return await _keys_page(request, 400, problem="This page was out of date; try again.")
    if not is_label(label):
        return await _keys_page(request, 400, problem=f"A label has 1 to {LONGEST_LABEL} printable characters.")
    if role not in _ROLES:
        return await _keys_page(request, 400, problem="A role is one of read, write, admin.")
    if days and not re.fullmatch("[1-9][0-9]{0,4}", days):
        return await _keys_page(request, 400, problem="A key expires after 1 to 99999 days, or never.")
    expires = int(time.time()) + int(days) * _DAY if days else None
    try:
        key, _ = await run_in_threadpool(make_key, request, _ROLES[role], label, expires, key_id)
    except KeyTaken:
        problem = "This key was made already, and shown. If it was lost, revoke it and make another one."
        return await _keys_page(request, 409, problem=problem)
    return await _keys_page(request, 201, made=key)


@requires(Role.ADMIN)
async def confirm_revoking(request: Request) -> Response:
    """Ask before a key is taken out of use."""
    site: Site = request.app.state.site
    key = await run_in_threadpool(site.keys.get, request.path_params["key_id"])
    if key is None:
        raise not_found("key")
    last = await run_in_threadpool(site.keys.is_last_admin, key.id)
    return render(request, "revoke.html", key=key, own=key.id == request.state.principal.key_id, last=last)


@requires(Role.ADMIN)
async def revoke(request: Request) -> Response:
    """Take a key out of use."""
    if await run_in_threadpool(revoke_key, request, request.path_params["key_id"]) is None:
        raise not_found("key")
    return see("/keys")


@requires(Role.ADMIN)
async def show_log(request: Request) -> Response:
    """The audit log, the latest entries first."""
    site: Site = request.app.state.site
    refuse_local(site, "audit logs")
    text = request.query_params.get("before", "")
    before = int(text) if re.fullmatch("[0-9]{1,18}", text) else None
    entries = await run_in_threadpool(site.audit.entries, before, _ENTRIES + 1)
    rows = [(entry, _target(entry.detail), _detail(entry.detail)) for entry in entries]
    return render(request, "log.html", rows=rows[:_ENTRIES], more=len(rows) > _ENTRIES)


def _target(detail: Mapping[str, Any]) -> str:
    """What a deed was done to, in a few words."""
    if digest := detail.get("digest"):
        path = show_name(captured_path(str(detail["path"]))) if detail.get("path") else ""
        return f"{path} {str(digest)[:_SHORT_DIGEST]}".strip()
    if "what" in detail:
        return str(detail["what"])
    if "label" in detail and "id" in detail:
        return f"{detail['label']} ({detail['id']}, {detail.get('role')})"
    named = detail.get("refs") or detail.get("keys") or ()
    number = detail.get("count", len(named))
    if not named:
        return ""
    return str(named[0]) + (f" and {number - 1:,} more" if number > 1 else "")


def _detail(detail: Mapping[str, Any]) -> str:
    return json.dumps(detail, indent=2, sort_keys=True)[:_LONGEST_DETAIL]


routes: list[BaseRoute] = [
    Route("/keys", list_keys, methods=["GET"]),
    Route("/keys", add_key, methods=["POST"]),
    Route("/keys/{key_id}/revoke", confirm_revoking, methods=["GET"]),
    Route("/keys/{key_id}/revoke", revoke, methods=["POST"]),
    Route("/log", show_log, methods=["GET"]),
]
