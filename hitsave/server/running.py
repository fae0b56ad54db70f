"""Runs a site: one process, with limits of time for who sends slowly, and an end without anything torn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from hitsave.errors import ConfigError, RemoteError, RemoteNotFound
from hitsave.remotes.commits.keys import FORMAT_KEY
from hitsave.remotes.opening import open_transport
from hitsave.server.application import create_application
from hitsave.server.connections import timed_protocol
from hitsave.server.places import places
from hitsave.server.settings import Settings
from hitsave.server.site import Site, make_first_key, open_site

#: How much longer requests that were cut off have to end, before the process does: so many times as others.
_LONGER = 1.5
_WAITING = 512
_LONGEST_HEAD = 32 << 10
_log = logging.getLogger("hitsave.server")


def serve(settings: Settings, say: Callable[[str], None]) -> None:
    """Run a server until it is told to stop (SIGINT, SIGTERM). `say` gets lines for who runs it. Raises ConfigError."""
    _log_to_stderr()
    with open_site(settings) as site:
        listening = listen(settings.host, settings.port)
        key_file = make_first_key(site)
        _look_at_store(settings)
        run(site, listening, lambda: _greet(settings, key_file, say))


def _log_to_stderr() -> None:
    """Give each line of the log its time and weight."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for name in ("hitsave.server", "uvicorn"):
        logging.getLogger(name).addHandler(handler)


def _look_at_store(settings: Settings) -> None:
    """Warn at once, while somebody looks, of a store that cannot be used. It may be mended while the server runs."""
    try:
        with contextlib.closing(open_transport(settings.store_url, hasty=True)) as transport:
            transport.get(FORMAT_KEY, 0, 1)
    except RemoteNotFound:
        pass  # Nothing was pushed there yet.
    except RemoteError as error:
        _log.warning("the store cannot be used as it is, and what needs it fails until that changes: %s", error)


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
    server = make_server(site, ready)
    try:
        server.run(sockets=[listening])
    finally:
        server.ended()


def make_server(site: Site, ready: Callable[[], None]) -> _Server:
    """A server that is ready to run; `ready` is called when it listens."""
    limits = site.settings.limits
    config = uvicorn.Config(
        create_application(site),
        http=timed_protocol(limits.head_time, limits.body_time, places(limits.connections)),
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        timeout_keep_alive=limits.idle_time,
        proxy_headers=bool(site.settings.proxies),
        forwarded_allow_ips=site.settings.proxies or None,
    )
    return _Server(config, ready, limits.grace)


class _Server(uvicorn.Server):
    """Says when it listens. At its end, it cuts off what takes too long, and waits for no store that is silent."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], grace: float) -> None:
        super().__init__(config)
        self._ready = ready
        self._grace = grace
        self._last_resort: threading.Timer | None = None

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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen no more, and wait for requests under way, so long as that is."""
        if threading.current_thread() is threading.main_thread():
            self._last_resort = threading.Timer(self._grace * _LONGER, _end_process)
            self._last_resort.daemon = True
            self._last_resort.start()
        cutting = asyncio.get_running_loop().call_later(self._grace, self._cut_off)
        await super().shutdown(sockets)
        cutting.cancel()

    def ended(self) -> None:
        """It runs no more: the process may do something else."""
        if self._last_resort is not None:
            self._last_resort.cancel()

    def _cut_off(self) -> None:
        late = [connection.transport for connection in self.server_state.connections]
        _log.warning("what has not ended in %g s is cut off; connections: %d", self._grace, len(late))
        for transport in late:
            transport.abort()


def _end_process() -> None:
    """A thread that waits for a store cannot be told to stop. What it was about is not torn: it has no key yet."""
    _log.warning("what is behind the server does not answer, and is not waited for")
    os._exit(1)
