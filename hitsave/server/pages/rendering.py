"""Turns templates into answers. Whatever comes from users is escaped: nothing in a template is marked as safe."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hitsave._version import __version__
from hitsave.server.access import Role
from hitsave.server.pages import words

FOLDER = Path(__file__).parent.parent
#: A form's Origin is kept for this server itself, which checks it.
_HEADERS = {"Referrer-Policy": "same-origin", "Cache-Control": "private, no-store"}


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        size=words.show_size,
        duration=words.show_duration,
        moment=words.show_moment,
        iso=words.iso_moment,
        number=words.show_number,
        name=words.show_name,
        path=words.quote_path,
        text=words.show_text,
        count=words.count,
        base64=lambda data: b64encode(data).decode(),
    )
    environment.globals.update(version=__version__, Role=Role)
    return environment


_templates = _environment()


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
    text = _templates.get_template(template).render({**known, **values})
    # A lone surrogate, of a name that is no text, has no place in a page.
    return HTMLResponse(text.encode("utf-8", "replace"), status, {**_HEADERS, **(headers or {})})


def with_query(request: Request, **changes: object) -> str:
    """The address of this page with other parameters; None takes one away."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in changes]
    new = [(name, str(value)) for name, value in changes.items() if value is not None]
    query = urlencode([*kept, *new], errors="replace")
    return f"{request.url.path}?{query}" if query else request.url.path


def see(path: str) -> Response:
    """After a form: look at another page."""
    return RedirectResponse(path, 303)
