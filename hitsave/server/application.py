"""Puts the parts of a server together."""

from __future__ import annotations

import errno
import logging

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hitsave.errors import CacheError, HitsaveError, RemoteError, RemoteUnavailable
from hitsave.server import administration, health, pages, public, store
from hitsave.server.access import Access, database_failed
from hitsave.server.answers import Refusal, refusal_response
from hitsave.server.headers import SECURITY_HEADERS, SecurityHeaders
from hitsave.server.patience import Patience
from hitsave.server.public.published import Published
from hitsave.server.site import Site
from hitsave.server.store.state import Store

#: What a folder says that is full, or broken, and a system that can open no more files.
_NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE))
_log = logging.getLogger("hitsave.server")


class CutShort:
    """Ends an answer that cannot go on, after its beginning was sent: one line, where there would be a stack trace."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        begun = False

        async def send_on(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except (RuntimeError, HitsaveError) as error:
            # Starlette wraps what it would have had an answer for, and now cannot give it.
            reason = error.__cause__ if isinstance(error, RuntimeError) else error
            if not begun or not isinstance(reason, (HitsaveError, SQLAlchemyError)):
                raise
            _log.error("%s %r was cut short: %s", scope["method"], scope["path"], str(reason).partition("\n")[0])


def create_application(site: Site) -> Starlette:
    """The application of a site; a local one has only pages."""
    shared = [] if site.local else [*health.routes, *store.routes, *administration.routes, *public.routes]
    application = Starlette(
        routes=[*shared, *pages.routes],
        middleware=[
            Middleware(CutShort),
            Middleware(SecurityHeaders),
            Middleware(Access, site=site),
            Middleware(Patience, seconds=site.settings.limits.body_time),
        ],
        exception_handlers={
            Refusal: _refused,
            HTTPException: _not_routed,
            RemoteError: _store_failed,
            SQLAlchemyError: _database_failed,
            CacheError: _folder_failed,
            OSError: _system_failed,
            Exception: _failed,
        },
    )
    application.state.site = site
    application.state.readiness = health.Readiness(site)
    application.state.store = Store(site)
    application.state.published = Published(site.repository)
    return application


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return refusal_response(request, error)


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = {404: "not found", 405: "method"}.get(error.status_code, "refused")
    return refusal_response(request, Refusal(error.status_code, kind, error.detail, error.headers))


async def _store_failed(request: Request, error: Exception) -> Response:
    """What is behind the server fails. The reason may name places that are none of a client's business."""
    _log.error("%s %r: %s", request.method, request.url.path, error)
    if isinstance(error, RemoteUnavailable):
        refusal = Refusal(503, "unavailable", "the store behind this server does not answer", {"Retry-After": "2"})
    else:
        refusal = Refusal(502, "store", "the store behind this server has failed; its log says why")
    return refusal_response(request, refusal)


async def _database_failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, SQLAlchemyError)
    return refusal_response(request, database_failed(error))


async def _folder_failed(request: Request, error: Exception) -> Response:
    _log.error("%s %r: %s", request.method, request.url.path, error)
    refusal = Refusal(503, "folder", "the folder of this server cannot be used; its log says why", {"Retry-After": "2"})
    return refusal_response(request, refusal)


async def _system_failed(request: Request, error: Exception) -> Response:
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return await _folder_failed(request, error)
    raise error


async def _failed(request: Request, error: Exception) -> Response:
    answer = refusal_response(request, Refusal(500, "fault", "a fault of the server; its log says more"))
    for name, value in SECURITY_HEADERS.items():  # This one is made outside of all that would add them.
        answer.headers.setdefault(name, value)
    return answer
