"""Headers of every answer: what a browser may do with it, unless an endpoint says so itself; and where it is sent.

Redirects stay on this server, however it is called: whoever asks names the host in a request, and a proxy the scheme.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def _place_here(location: str) -> str:
    """An address without a host; browsers read two slashes, and a backslash, at its beginning as the name of one."""
    scheme, mark, rest = location.partition("://")
    if mark and scheme.isalpha():
        location = "/" + rest.partition("/")[2]
    return "/" + location.lstrip("/\\") if location.startswith("/") else location


class SecurityHeaders:
    """Adds them to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if "location" in headers:
                    headers["location"] = _place_here(headers["location"])
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
