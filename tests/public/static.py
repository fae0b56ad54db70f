"""A host of static files, as anybody has one: a folder behind a web server that knows GET, and counts."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

#: What is answered instead of a file: a status and content, or None for the file itself.
Instead = Callable[[str], tuple[int, bytes] | None]


@dataclass
class StaticHost:
    """Where it is, and what it was asked for."""

    url: str
    asked: list[str] = field(default_factory=list)
    instead: Instead = lambda path: None


@contextlib.contextmanager
def static_host(folder: Path) -> Iterator[StaticHost]:
    """A host for the files of a folder."""
    found = StaticHost("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(self.path, errors="surrogateescape").lstrip("/")
            found.asked.append(path)
            file = folder / path
            status, content = found.instead(path) or ((200, file.read_bytes()) if file.is_file() else (404, b""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
