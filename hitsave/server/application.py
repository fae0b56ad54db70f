"""Puts the parts of a server together."""

from __future__ import annotations

import logging

from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from hitsave.errors import RemoteError, RemoteUnavailable
from hitsave.server import administration, pages, public, store
from hitsave.server.access import Access, database_failed
from hitsave.server.answers import Refusal, refusal_response
from hitsave.server.headers import SecurityHeaders
from hitsave.server.patience import Patience
from hitsave.server.public.published import Published
from hitsave.server.site import Site

_log = logging.getLogger("hitsave.server")


def create_application(site: Site) -> Starlette:
    """The application of a site; a local one has only pages."""
    shared = [] if site.local else [*store.routes, *administration.routes, *public.routes]
    application = Starlette(
        routes=[*shared, *pages.routes],
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(Access, site=site),
            Middleware(Patience, seconds=site.settings.limits.body_time),
        ],
        exception_handlers={
            Refusal: _refused,
            HTTPException: _not_routed,
            RemoteError: _store_failed,
            OperationalError: _database_failed,
            Exception: _failed,
        },
    )
    application.state.site = site
    application.state.store = store.Store(site)
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
    return refusal_response(request, database_failed(error))


async def _failed(request: Request, error: Exception) -> Response:
    return refusal_response(request, Refusal(500, "fault", "a fault of the server; its log says more"))
