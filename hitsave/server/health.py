"""Whether a server is alive, and whether what is behind it answers: for who watches it. Nobody needs a key for that.

It is told in one line, and nothing else: no version, no name of a place.
"""

from __future__ import annotations

import asyncio
import logging
import time

import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from hitsave.errors import RemoteError, RemoteNotFound
from hitsave.remotes.commits.keys import FORMAT_KEY
from hitsave.server.access import HEALTH, READINESS
from hitsave.server.database import first_line
from hitsave.server.site import Site

#: Seconds for which a look counts, however many ask; and that one may take.
_FRESH = 2.0
_PATIENCE = 10.0
_NOT_KEPT = {"Cache-Control": "no-store"}
_log = logging.getLogger("hitsave.server")


class Readiness:
    """Looks at the database and the store of one site, for all who ask at once a single time."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._look: asyncio.Task[str] | None = None
        self._looked = 0.0

    async def missing(self) -> str:
        """What does not answer; nothing where all does."""
        now = time.monotonic()
        if self._look is None or (self._look.done() and now - self._looked > _FRESH):
            self._looked = now
            self._look = asyncio.create_task(run_in_threadpool(self._missing))
        try:
            async with asyncio.timeout(_PATIENCE):
                return await asyncio.shield(self._look)
        except TimeoutError:
            return "what is behind the server does not answer in time"

    def _missing(self) -> str:
        try:
            with self._site.database.transaction() as connection:
                connection.execute(sql.select(1))
        except SQLAlchemyError as error:
            _log.error("not ready, the database does not answer: %s", first_line(error))
            return "the database does not answer"
        try:
            self._site.transport.get(FORMAT_KEY, 0, 1)
        except RemoteNotFound:
            pass  # Nothing was pushed there yet.
        except RemoteError as error:
            _log.error("not ready, the store does not answer: %s", error)
            return "the store does not answer"
        return ""


async def alive(request: Request) -> Response:
    """It answers: that is all."""
    return PlainTextResponse("ok\n", headers=_NOT_KEPT)


async def ready(request: Request) -> Response:
    """Whether requests can be answered, too."""
    missing = await request.app.state.readiness.missing()
    return PlainTextResponse(f"{missing or 'ready'}\n", 503 if missing else 200, _NOT_KEPT)


routes: list[BaseRoute] = [Route(HEALTH, alive, methods=["GET"]), Route(READINESS, ready, methods=["GET"])]
