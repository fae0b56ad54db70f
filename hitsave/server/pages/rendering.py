"""Turns templates into answers, with what every page of the dashboard knows."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hitsave.server.paths import asked_path
from hitsave.server.templating import templates

#: A form's Origin is kept for this server itself, which checks it.
_HEADERS = {"Referrer-Policy": "same-origin", "Cache-Control": "private, no-store"}
#: What users have stored is inert: no script, no frame, no guess at what it might be.
INERT = {
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "private, max-age=3600, immutable",
}


def render(
    request: Request, template: str, status: int = 200, headers: dict[str, str] | None = None, **values: Any
) -> Response:
    """The page that a template makes; it knows who asks, as `principal` and `csrf`."""
    session = request.state.session
    known = {
        "principal": request.state.principal,
        "csrf": session.csrf if session else "",
        "local": request.app.state.site.local,
        "here": request.url.path,
        "query": request.query_params,
        "with_query": lambda **changes: with_query(request, **changes),
    }
    text = templates.get_template(template).render({**known, **values})
    # A lone surrogate, of a name that is no text, has no place in a page.
    return HTMLResponse(text.encode("utf-8", "replace"), status, {**_HEADERS, **(headers or {})})


def with_query(request: Request, **changes: object) -> str:
    """The address of this page with other parameters; None takes one away."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in changes]
    new = [(name, str(value)) for name, value in changes.items() if value is not None]
    query = urlencode([*kept, *new], errors="replace")
    path = asked_path(request)
    return f"{path}?{query}" if query else path


def see(path: str) -> Response:
    """After a form: look at another page."""
    return RedirectResponse(path, 303)
