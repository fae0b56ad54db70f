"""Servers in threads of this process: as real as others, at a port of their own, and there at once."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from hitsave.remotes.transports.web import WebTransport
from hitsave.server.access import Role
from hitsave.server.running import listen, make_server
from hitsave.server.settings import ServerLimits, Settings
from hitsave.server.site import Site, open_site

PATIENT = 20
CREATE = {"If-None-Match": "*"}


@dataclass
class Running:
    """A server that runs, and its site."""

    url: str
    site: Site
    thread: threading.Thread
    stop: Callable[[], None]

    def key(self, role: Role = Role.ADMIN, label: str = "a test") -> str:
        """A new key."""
        return self.site.keys.make(role, label)[0]

    @property
    def store(self) -> Path:
        """The folder behind it."""
        return Path(self.site.settings.store_url)

    def holds(self) -> dict[str, bytes]:
        """Every file of the store."""
        return {
            path.relative_to(self.store).as_posix(): path.read_bytes()
            for path in sorted(self.store.rglob("*"))
            if path.is_file()
        }

    def uploads(self) -> list[Path]:
        """The uploads that are under way."""
        return [*self.site.temporary.iterdir()]

    def request(
        self, method: str, path: str, *, key: str | None, headers: dict[str, str] | None = None, **how: Any
    ) -> urllib3.response.BaseHTTPResponse:
        """One request with a key, or none."""
        sent = {**({"Authorization": f"Bearer {key}"} if key else {}), **(headers or {})}
        return urllib3.request(method, self.url + path, headers=sent, retries=False, redirect=False, **how)

    def put(self, name: str, content: bytes, key: str) -> tuple[int, str]:
        """Put a value; the status, and what was said of it."""
        answer = self.request("PUT", f"/store/v1/keys/{name}", key=key, headers=CREATE, body=content)
        return answer.status, answer.json()["error"] if answer.data else ""

    def transport(self, role: Role = Role.ADMIN) -> WebTransport:
        """A client with a new key."""
        return WebTransport(self.url, self.key(role))


@contextlib.contextmanager
def running(
    folder: Path, limits: ServerLimits | None = None, store: str = "", database: str = "", **more: str
) -> Iterator[Running]:
    """A server, its data folder being `folder`; `more` are other settings."""
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        limits = limits or ServerLimits()
        settings = Settings(folder, port=port, store=store, database=database, limits=limits, **more)
        with open_site(settings) as site:
            ready = threading.Event()
            server = make_server(site, ready.set)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
            thread.start()
            assert ready.wait(30)

            def stop() -> None:
                server.should_exit = True

            try:
                yield Running(f"http://127.0.0.1:{port}", site, thread, stop)
            finally:
                stop()
                thread.join(30)


def behind_server(store: Path | str) -> WebTransport:
    """A remote behind a server of its own, which ends with the transport."""
    kept = contextlib.ExitStack()
    folder = kept.enter_context(tempfile.TemporaryDirectory())
    transport = kept.enter_context(running(Path(folder) / "data", store=str(store))).transport()
    kept.callback(transport.close)
    weakref.finalize(transport, kept.close)
    return transport


def connect(server: Running, request: str, key: str, *headers: str) -> socket.socket:
    """A connection on which a request was begun, and that takes little at once."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(PATIENT)
    connection.connect((host, int(port)))
    head = [f"{request} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", *headers, "", ""]
    connection.sendall("\r\n".join(head).encode())
    return connection
