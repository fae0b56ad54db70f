"""HTTP connections that nobody can hold for ever: limits of time that uvicorn does not have.

Who opens a connection and says nothing, or a little now and then, or does not take what it has asked for, is cut off.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import MutableMapping
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from hitsave.server.places import Placed

#: Bytes of an answer that must be taken in each span of time, unless all of it is.
_PORTION = 64 << 10
_log = logging.getLogger("hitsave.server")


def timed_protocol(head_time: float, answer_time: float, connections: int) -> type[asyncio.Protocol]:
    """HTTP with so many seconds for the head of a request, and each portion of an answer, on so many connections."""

    class Timed(_Named, _TimedHead, _TimedAnswers, Placed):
        _head_time = head_time
        _answer_time = answer_time
        _places = connections

    return Timed


class _Named(H11Protocol):
    """Says in the log whose connection it is that something is wrong with."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.logger = _OfClient(self.logger, self.client[0] if self.client else "somebody")  # type: ignore[assignment]


class _OfClient(logging.LoggerAdapter[logging.Logger]):
    """Puts the address of a client before each message."""

    def __init__(self, logger: logging.Logger, client: str) -> None:
        super().__init__(logger)
        self._client = client

    @property
    def level(self) -> int:
        """As loggers have it."""
        return self.logger.level

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """The message, as it is written."""
        return f"{self._client.replace('%', '%%')}: {msg}", kwargs


class _TimedHead(H11Protocol):
    """Closes a connection on which no request begins, or whose head does not end."""

    _head_time: float
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_there()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head_timer is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_head()
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._head_is_there()

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self._head_time, self._close_late)

    def _head_is_there(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _close_late(self) -> None:
        self._head_timer = None
        if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
            self.transport.close()


class _TimedAnswers(H11Protocol):
    """Ends a connection whose other end does not take what is sent, also where it was closed and something is left.

    Now and then it looks at what waits to be sent. A request that came after the last look, or a pause in writing that
    is over, shows that something was taken.
    """

    _answer_time: float
    _look_timer: asyncio.TimerHandle | None = None
    _waiting = 0
    _taken = False
    _seen: object = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        connected = transport.get_extra_info("socket")
        if hasattr(socket, "TCP_NOTSENT_LOWAT") and connected is not None:
            # Else the system takes megabytes ahead, and a slow line looks as if it took nothing for a long time.
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 2 * _PORTION)
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look_timer is not None:
            self._look_timer.cancel()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        self._taken = True
        super().resume_writing()

    def _look_later(self) -> None:
        self._look_timer = self.loop.call_later(self._answer_time, self._look)

    def _look(self) -> None:
        waiting = self.transport.get_write_buffer_size()
        taken = self._taken or self.cycle is not self._seen or waiting <= self._waiting - _PORTION
        if waiting and self._waiting and not taken:
            peer = self.client[0] if self.client else "somebody"
            _log.warning("%s does not take what it asked for, and is cut off", peer)
            self.transport.abort()
            return
        self._waiting, self._taken, self._seen = waiting, False, self.cycle
        self._look_later()
