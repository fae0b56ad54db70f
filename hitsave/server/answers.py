"""How a server says no: JSON for programs, a page for people. One clear line, and never a stack trace."""

from __future__ import annotations

import html
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from hitsave.amounts import show_turning
from hitsave.errors import HitsaveError
from hitsave.server.paths import asked_path

#: Where people log in.
LOGIN_PATH = "/login"
#: It stands by itself, so that it can be shown whatever has failed.
_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{1} · hitsave</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<link rel="icon" href="/static/now/icon.svg" type="image/svg+xml">'
    '<link rel="stylesheet" href="/static/now/style.css"></head><body>'
    '<header class="top"><div class="bar"><a class="brand" href="/">hitsave</a>{2}</div></header>'
    '<main><div class="narrow card"><h1>{1}</h1><p class="long">{0}</p>'
    '<p><a href="/">To the first page</a></p></div></main></body></html>'
)
_MENU = (
    '<nav aria-label="Sections"><ul><li><a href="/experiments">Experiments</a></li>'
    '<li><a href="/evaluations">Evaluations</a></li><li><a href="/datasets">Datasets</a></li>'
    '<li><a href="/blobs">Blobs</a></li><li><a href="/links">Public links</a></li></ul></nav>'
)


class Refusal(HitsaveError):
    """A request that is refused: the HTTP status, a word for programs, and one line for people."""

    def __init__(self, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.kind = kind
        self.headers = dict(headers or {})
        super().__init__(message)


def wants_page(request: Request) -> bool:
    """Whether a person with a browser asks."""
    return not request.scope["path"].startswith("/store/") and "text/html" in request.headers.get("accept", "")


def refusal_response(request: Request, refusal: Refusal) -> Response:
    """What is answered."""
    if not wants_page(request):
        content = {"error": str(refusal), "kind": refusal.kind}
        return JSONResponse(content, refusal.status, headers=refusal.headers)
    if refusal.status == 401 and request.method in ("GET", "HEAD"):
        return RedirectResponse(f"{LOGIN_PATH}?next={_quoted(request)}", 303)
    menu = _MENU if getattr(request.state, "principal", None) is not None else ""
    text = show_turning(str(refusal))
    page = _PAGE.format(html.escape(text[:1].upper() + text[1:]), refusal.status, menu)
    return HTMLResponse(page, refusal.status, headers=refusal.headers)


def _quoted(request: Request) -> str:
    from urllib.parse import quote

    query = f"?{request.url.query}" if request.url.query else ""
    return quote(asked_path(request) + query, safe="")
