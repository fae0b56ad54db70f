"""Places for connections: who gets one where all are taken, and what is answered before any routing.

A crowd that connects and says nothing must keep nobody out: where all places are taken, the connection that has waited
longest without a request gives up its own. Only where all have requests under way, who comes is told to come again.
"""

from __future__ import annotations

import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from hitsave.server.headers import SECURITY_HEADERS

#: Of the files that a process may have open, connections take half at most.
_SHARE = 2
_MOST_FILES = 1 << 16


def places(wanted: int) -> int:
    """How many connections there can be, of so many that are wanted: each takes a file of those that a process has."""
    if sys.platform == "win32":
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft < min(most, wanted * _SHARE):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    return max(1, min(wanted, soft // _SHARE))


class Placed(H11Protocol):
    """A connection that has one of so many places."""

    _places: int
    _idle_since = 0.0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        if len(self.connections) > self._places:
            self._make_room()

    def on_response_complete(self) -> None:
        self._idle_since = self.loop.time()
        super().on_response_complete()

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _make_room(self) -> None:
        """Part with the connection that has waited longest without a request, or else with this one."""
        others = (each for each in self.connections if isinstance(each, Placed) and each is not self)
        longest = min((each for each in others if each._is_idle), key=lambda each: each._idle_since, default=None)
        if longest is not None:
            longest.connections.discard(longest)  # It takes a turn of the loop until it is gone.
            longest.transport.abort()
        else:
            self._refuse(503, "too many requests are under way; try again")

    def send_400_response(self, msg: str) -> None:
        """What cannot be understood: a head, or a piece of a body, whose request goes no further then."""
        begun = not self._is_idle and self.cycle.response_started
        if not self._is_idle:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if begun:
            self.transport.abort()
        else:
            self._refuse(400, msg)

    def _refuse(self, status: int, why: str) -> None:
        self.transport.write(_refusal(status, why))
        self.transport.close()


def _refusal(status: int, why: str) -> bytes:
    """An answer to what is no request, or is not looked at, with the headers that all answers have."""
    content = f"{why}\n".encode()
    headers = {
        **SECURITY_HEADERS,
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(content)),
        "Connection": "close",
    }
    connection = h11.Connection(h11.SERVER)
    head = h11.Response(status_code=status, headers=[*headers.items()], reason=b"")
    parts = [connection.send(event) for event in (head, h11.Data(data=content), h11.EndOfMessage())]
    return b"".join(part or b"" for part in parts)
