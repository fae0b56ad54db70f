"""Routes under /store/v1 (docs/server.md)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from hitsave.server.access import Principal, Role, requires
from hitsave.server.store.reading import get_key, list_keys, scan_keys
from hitsave.server.store.state import KEYS, PREFIX
from hitsave.server.store.writing import delete_keys, put_key, sync


@requires(Role.READ)
async def whoami(request: Request) -> Response:
    """Whose key it is."""
    principal: Principal = request.state.principal
    role, expires = principal.role.name.lower(), principal.expires
    return JSONResponse({"id": principal.key_id, "label": principal.label, "role": role, "expires": expires})


routes: list[BaseRoute] = [
    Route(f"{PREFIX}/whoami", whoami, methods=["GET"]),
    Route(KEYS, list_keys, methods=["GET"]),
    Route(f"{PREFIX}/scan", scan_keys, methods=["GET"]),
    Route(f"{KEYS}/{{key:path}}", get_key, methods=["GET"]),
    Route(f"{KEYS}/{{key:path}}", put_key, methods=["PUT"]),
    Route(f"{PREFIX}/delete", delete_keys, methods=["POST"]),
    Route(f"{PREFIX}/sync", sync, methods=["POST"]),
]
