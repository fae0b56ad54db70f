"""How a server says no: JSON for programs, a page for people. One clear line, and never a stack trace."""

from __future__ import annotations

import html
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from hitsave.errors import HitsaveError

#: Where people log in.
LOGIN_PATH = "/login"


class Refusal(HitsaveError):
    """A request that is refused: the HTTP status, a word for programs, and one line for people."""

    def __init__(self, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.kind = kind
        self.headers = dict(headers or {})
        super().__init__(message)


def wants_page(request: Request) -> bool:
    """Whether a person with a browser asks."""
    return not request.url.path.startswith("/store/") and "text/html" in request.headers.get("accept", "")


def refusal_response(request: Request, refusal: Refusal) -> Response:
    """What is answered."""
    if not wants_page(request):
        content = {"error": str(refusal), "kind": refusal.kind}
        return JSONResponse(content, refusal.status, headers=refusal.headers)
    if refusal.status == 401 and request.method in ("GET", "HEAD"):
        return RedirectResponse(f"{LOGIN_PATH}?next={_quoted(request)}", 303)
    title = html.escape(str(refusal))
    page = f"<!doctype html><html lang=en><meta charset=utf-8><title>hitsave</title><p>{title}</p></html>"
    return HTMLResponse(page, refusal.status, headers=refusal.headers)


def _quoted(request: Request) -> str:
    from urllib.parse import quote

    query = f"?{request.url.query}" if request.url.query else ""
    return quote(request.url.path + query, safe="")
