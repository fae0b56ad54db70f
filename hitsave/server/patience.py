"""Ends bodies that hardly come. Heads of requests, and answers that nobody takes, are watched by `connections`."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hitsave.server.answers import Refusal

#: Bytes that must come in each span of time.
_PORTION = 64 << 10


class Patience:
    """Gives each portion of a body so many seconds."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        until, counted, ended = loop.time() + self._seconds, 0, False

        async def receive_in_time() -> Message:
            nonlocal until, counted, ended
            if ended:  # Whoever waits now waits for the connection's end.
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise Refusal(408, "slow", "the content came too slowly") from None
            counted += len(message.get("body", b""))
            ended = not message.get("more_body", False)
            if counted >= _PORTION:
                until, counted = loop.time() + self._seconds, 0
            return message

        await self._app(scope, receive_in_time, send)
