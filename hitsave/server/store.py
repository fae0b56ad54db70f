"""Routes under /store/v1: a store's face for clients (docs/server.md)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from hitsave.server.access import Principal, Role, requires

PREFIX = "/store/v1"


@requires(Role.READ)
async def whoami(request: Request) -> Response:
    """Whose key it is."""
    principal: Principal = request.state.principal
    return JSONResponse(
        {
            "id": principal.key_id,
            "label": principal.label,
            "role": principal.role.name.lower(),
            "expires": principal.expires,
        }
    )


routes: list[BaseRoute] = [Route(f"{PREFIX}/whoami", whoami, methods=["GET"])]
