"""Runs a site: one process, with limits of time for who sends slowly, and an end without anything torn."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from hitsave.errors import ConfigError
from hitsave.server.application import create_application
from hitsave.server.settings import Settings
from hitsave.server.site import Site, make_first_key, open_site

#: Seconds that requests under way have to end when the server is told to stop.
_GRACE = 10
_WAITING = 512
_LONGEST_HEAD = 32 << 10


def serve(settings: Settings, say: Callable[[str], None]) -> None:
    """Run a server until it is told to stop (SIGINT, SIGTERM). `say` gets lines for who runs it. Raises ConfigError."""
    with open_site(settings) as site:
        listening = listen(settings.host, settings.port)
        key_file = make_first_key(site)
        run(site, listening, lambda: _greet(settings, key_file, say))


def _greet(settings: Settings, key_file: Path | None, say: Callable[[str], None]) -> None:
    if key_file is not None:
        say(f"an admin key is in {key_file}; log in with: hitsave login {settings.public_url} --key-file {key_file}")
    say(f"serving {settings.store_url} at {settings.public_url}")


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises ConfigError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        # Where the protocol is not named, connections are not taken for TCP, and each answer waits for 40 ms.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if sys.platform != "win32":  # There it would let two servers have one port.
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_WAITING)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise ConfigError(
            f"{host}:{port}: cannot be listened at ({error.strerror or error}); choose another with --port"
        ) from None
    return listening


def run(site: Site, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Answer requests at a socket until the process is told to stop."""
    make_server(site, ready).run(sockets=[listening])


def make_server(site: Site, ready: Callable[[], None]) -> uvicorn.Server:
    """A server that is ready to run; `ready` is called when it listens."""
    limits = site.settings.limits
    config = uvicorn.Config(
        create_application(site),
        http=_protocol(limits.head_time),
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        limit_concurrency=limits.connections,
        timeout_keep_alive=limits.idle_time,
        timeout_graceful_shutdown=_GRACE,
        proxy_headers=bool(site.settings.proxies),
        forwarded_allow_ips=site.settings.proxies or None,
    )
    return _Server(config, ready)


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT and SIGTERM. Without an error: that is how a server ends. Threads get no signals."""
        in_thread = threading.current_thread() is not threading.main_thread()
        stopping = () if in_thread else (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in stopping}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self._ready()


def _protocol(head_time: float) -> type[asyncio.Protocol]:
    """HTTP with a limit for the time that the head of a request may take, which uvicorn does not have.

    Who opens a connection and says nothing, or a little now and then, would hold it for ever.
    """

    class Timed(H11Protocol):
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
            self._head_timer = self.loop.call_later(head_time, self._close_late)

        def _head_is_there(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _close_late(self) -> None:
            self._head_timer = None
            if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
                self.transport.close()

    return Timed
