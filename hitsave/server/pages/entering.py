"""Logging in with a key, and out: the browser gets a cookie instead, which no script and no other site can use."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hitsave.server.access import COOKIE, Role, check_same_site, count_failure, requires, session_cookie
from hitsave.server.pages.rendering import render, see
from hitsave.server.receiving import read_form
from hitsave.server.sessions import SESSION_LIFE
from hitsave.server.site import Site


async def show_login(request: Request) -> Response:
    """Where a key is asked for."""
    site: Site = request.app.state.site
    if site.local or request.state.session is not None:
        return see(_next_page(request.query_params.get("next", "")))
    return render(request, "login.html", next=request.query_params.get("next", ""), problem="")


async def log_in(request: Request) -> Response:
    """Exchange a key for a cookie."""
    site: Site = request.app.state.site
    check_same_site(request)
    form = await read_form(request)
    key, following = form.get("key", "").strip(), form.get("next", "")
    cookie = await run_in_threadpool(site.sessions.begin, key)
    if cookie is None:
        count_failure(request, site, key)
        problem = "This key is not known here, was revoked or has expired."
        return render(request, "login.html", 401, next=following, problem=problem)
    answer = see(_next_page(following))
    secure = request.url.scheme == "https" or site.settings.public_url.startswith("https:")
    answer.set_cookie(COOKIE, cookie, SESSION_LIFE, path="/", secure=secure, httponly=True, samesite="strict")
    return answer


def _next_page(text: str) -> str:
    """The page that somebody wanted to see, of this server alone."""
    inside = text.startswith("/") and not text.startswith(("//", "/\\", "/login")) and text.isprintable()
    return text if inside else "/experiments"


@requires(Role.READ)
async def log_out(request: Request) -> Response:
    """End the session."""
    site: Site = request.app.state.site
    if cookie := session_cookie(request):
        await run_in_threadpool(site.sessions.end, cookie)
    answer = see("/login")
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return answer


routes: list[BaseRoute] = [
    Route("/login", show_login, methods=["GET"]),
    Route("/login", log_in, methods=["POST"]),
    Route("/logout", log_out, methods=["POST"]),
]
