"""The files that pages are made with: one style sheet, two small scripts, and htmx."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from hitsave.server.pages.dashboard import not_found
from hitsave.server.templating import FOLDER

_TYPES = {
    "style.css": "text/css",
    "htmx.min.js": "text/javascript",
    "site.js": "text/javascript",
    "figure.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_A_WEEK = 7 * 86400


async def send_asset(request: Request) -> Response:
    """One of them. Figures are pages without an origin, to which every origin is another one."""
    name = request.path_params["name"]
    if name not in _TYPES:
        raise not_found("file")
    headers = {"Cache-Control": f"public, max-age={_A_WEEK}"}
    if name == "figure.js":
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return FileResponse(FOLDER / "static" / name, media_type=_TYPES[name], headers=headers)


async def send_no_icon(request: Request) -> Response:
    """Files have no icon, and browsers ask for one beside each that is shown: as a page without an origin, too."""
    headers = {"Cache-Control": f"public, max-age={_A_WEEK}", "Cross-Origin-Resource-Policy": "cross-origin"}
    return Response(status_code=204, headers=headers)


routes: list[BaseRoute] = [
    Route("/favicon.ico", send_no_icon, methods=["GET"]),
    Route("/static/{version}/{name}", send_asset, methods=["GET"]),
]
