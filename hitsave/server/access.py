"""Who asks, and what they may do.

A request says who it is from by an API key (`Authorization: Bearer KEY`) or by the cookie of a session. A request that
changes something and comes by cookie could be another site's doing: it must come from a page of this server, and carry
the session's token. A server for one person alone (`hitsave dashboard`) knows no keys; it answers to its own name only,
so that no other site can reach it under a name that it has pointed here.
"""

from __future__ import annotations

import functools
import hmac
import logging
import math
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hitsave.server.answers import Refusal, refusal_response
from hitsave.server.database import first_line
from hitsave.server.rates import Rate
from hitsave.server.receiving import read_form
from hitsave.server.standing import CHALLENGE, unknown_key

if TYPE_CHECKING:
    from hitsave.server.site import Site

_log = logging.getLogger("hitsave.server")

#: The cookie of a session.
COOKIE = "hitsave_session"
#: The header, or the field of a form, that carries a session's token.
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"
#: Where anybody may ask, as often as he likes, whether the server is well (`health`).
HEALTH, READINESS = "/health", "/health/ready"
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_ID_IN_KEY = re.compile("hsk_([A-Za-z0-9]{8})_")
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Role(IntEnum):
    """What a key may do; each may do what those before it may."""

    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a key by its id and label. `expires` is in seconds since 1970."""

    key_id: str
    label: str
    role: Role
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """Whose session it is, and the token that its requests that change something must carry."""

    principal: Principal
    csrf: str

    def is_token(self, token: str) -> bool:
        """Whether a request carries the right token."""
        return hmac.compare_digest(self.csrf.encode(), token.encode())


#: Who asks a server that is for one person alone.
LOCAL = Principal("local", "you", Role.ADMIN)

Endpoint = Callable[[Request], Awaitable[Response]]


def requires(role: Role) -> Callable[[Endpoint], Endpoint]:
    """For endpoints that only some may use. What comes by cookie and changes something is checked to be meant."""

    def decorate(endpoint: Endpoint) -> Endpoint:
        @functools.wraps(endpoint)
        async def guarded(request: Request) -> Response:
            principal: Principal | None = request.state.principal
            if principal is None:
                raise Refusal(401, "unauthenticated", "a key is needed; run 'hitsave login URL'", CHALLENGE)
            if principal.role < role:
                raise needs_role(role, principal)
            await check_meant(request)
            return await endpoint(request)

        return guarded

    return decorate


def needs_role(role: Role, principal: Principal, what: str = "this") -> Refusal:
    """What is answered to a key whose role is not enough."""
    label = principal.label
    return Refusal(
        403,
        "forbidden",
        f"{what} needs a key with the role {role.name.lower()}; yours, {label!r}, has {principal.role.name.lower()}",
    )


async def check_meant(request: Request) -> None:
    """Refuse what another site made a browser send. Raises Refusal."""
    session = request.state.session
    if request.method in _SAFE or session is None:
        return
    check_same_site(request)
    token = request.headers.get(CSRF_HEADER)
    if token is None:
        token = (await read_form(request)).get(CSRF_FIELD, "")
    if not session.is_token(token):
        raise Refusal(403, "forged", "this page is out of date; load it again")


def check_same_site(request: Request) -> None:
    """Refuse what a page of another site has sent, by what browsers say of that. Raises Refusal."""
    origin = request.headers.get("origin")
    fetched = request.headers.get("sec-fetch-site", "same-origin")
    if fetched not in ("same-origin", "none") or (origin is not None and origin.lower() not in _origins(request)):
        raise Refusal(403, "forged", "this request comes from another site")


def session_cookie(request: Request) -> str:
    """The value of the session's cookie, empty where there is none.

    Cookies are not unquoted, which ours needs not, and in which libraries have spent seconds on hostile ones.
    """
    found = ""
    for part in request.headers.get("cookie", "").split(";"):
        name, _, value = part.partition("=")
        if name.strip() == COOKIE:
            found = value.strip()
    return found


def _origins(request: Request) -> tuple[str, ...]:
    site: Site = request.app.state.site
    own = request.headers.get("host", "").lower()
    return (site.settings.public_url.lower(), f"http://{own}", f"https://{own}")  # A proxy may have taken off TLS.


class Access:
    """Finds out who asks, and holds back who asks too much: sets `principal`, `session` and `address` of the state."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        limits = site.settings.limits
        self._app = app
        self._site = site
        self._local = BrowserSession(LOCAL, secrets.token_urlsafe(32))
        self._by_address = Rate(limits.requests_by_address, time.monotonic)
        self._by_key = Rate(limits.requests_by_key, time.monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] in (HEALTH, READINESS):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        client = scope.get("client")
        request.state.address = client[0] if client else ""
        request.state.principal = request.state.session = None
        try:
            await self._look(request)
        except Refusal as refusal:
            await refusal_response(request, refusal)(scope, receive, send)
            return
        except SQLAlchemyError as error:
            await refusal_response(request, database_failed(error))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _look(self, request: Request) -> None:
        if self._site.local:
            check_host(request, self._site.settings.port)
            request.state.session, request.state.principal = self._local, LOCAL
            return
        too_many(self._by_address.take(request.state.address))
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            request.state.principal = await self._check_key(request, key.strip())
        elif cookie := session_cookie(request):
            session = await run_in_threadpool(self._site.sessions.find, cookie)
            if session is not None:
                request.state.session, request.state.principal = session, session.principal
        if request.state.principal is not None:
            too_many(self._by_key.take(request.state.principal.key_id))

    async def _check_key(self, request: Request, key: str) -> Principal:
        principal = await run_in_threadpool(self._site.keys.check, key)
        if principal is None:
            count_failure(request, self._site, key)
            raise unknown_key()
        return principal


def count_failure(request: Request, site: Site, key: str) -> None:
    """Note that somebody came with a key that opens nothing, and refuse him where that is too often. Raises Refusal.

    Who has the right one is let in, whatever others behind the same address try.
    """
    address = request.state.address
    too_many(site.failures.take(address))
    found = _ID_IN_KEY.match(key)  # It tells keys apart, and opens nothing.
    _log.warning("%s has tried a key that opens nothing here: %s", address, found[1] if found else "none by its form")


def database_failed(error: SQLAlchemyError) -> Refusal:
    """What is answered where the database is not there, or fails. The log says more."""
    _log.error("the database does not answer: %s", first_line(error))
    return Refusal(503, "unavailable", "the database of this server does not answer", {"Retry-After": "2"})


def too_many(wait: float) -> None:
    """Refuse where a rate says to wait. Raises Refusal."""
    if wait > 0:
        seconds = math.ceil(wait)
        raise Refusal(429, "too many", f"too many requests; try again in {seconds} s", {"Retry-After": str(seconds)})


def check_host(request: Request, port: int) -> None:
    """Refuse a request that was sent to another name than this machine's own. Raises Refusal."""
    if request.headers.get("host", "").lower() not in {f"{name}:{port}" for name in _LOOPBACK}:
        raise Refusal(421, "misdirected", "this server answers on this machine only")
