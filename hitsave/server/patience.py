"""Ends bodies that hardly come, and refuses those that could end at two places.

Heads of requests, and answers that nobody takes, are watched by `connections`.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hitsave.server.answers import Refusal, refusal_response

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
        if _is_ambiguous(scope):
            refusal = Refusal(400, "malformed", "the content has two lengths", {"Connection": "close"})
            await refusal_response(Request(scope), refusal)(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        until, counted, ended, answered = loop.time() + self._seconds, 0, False, False

        async def receive_in_time() -> Message:
            nonlocal until, counted, ended
            if ended:  # Whoever waits now waits for the connection's end.
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                if not answered:
                    raise Refusal(408, "slow", "the content came too slowly") from None
                return await receive()  # Nobody asks for the content any more, but for the connection's end.
            counted += len(message.get("body", b""))
            ended = not message.get("more_body", False)
            if counted >= _PORTION:
                until, counted = loop.time() + self._seconds, 0
            return message

        async def send_on(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        await self._app(scope, receive_in_time, send_on)


def _is_ambiguous(scope: Scope) -> bool:
    """Whether a proxy might see the end of the body, and so the next request, elsewhere than this server does."""
    names = {name.lower() for name, _ in scope["headers"]}
    return b"transfer-encoding" in names and b"content-length" in names
