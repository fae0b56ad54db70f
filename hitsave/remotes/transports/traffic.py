"""How much is asked of remotes, for whoever wants to tell: requests, and bytes either way.

Where nobody watches, transports are as they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path

from hitsave.remotes.transports.protocol import Buffer, Listed, Transport

_watching: ContextVar[Traffic | None] = ContextVar("hitsave_traffic", default=None)


class Counts:
    """What was asked of one remote. A request is a call of its transport; bytes are those of values."""

    def __init__(self) -> None:
        self.requests = 0
        self.sent = 0
        self.received = 0
        self._lock = threading.Lock()

    def add(self, sent: int = 0, received: int = 0) -> None:
        """One more request."""
        with self._lock:
            self.requests += 1
            self.sent += sent
            self.received += received


class Traffic:
    """What is asked of remotes from now on, by their URLs. `opened` is told of each before it is asked anything."""

    def __init__(self, opened: Callable[[str], None]) -> None:
        self.counts: dict[str, Counts] = {}
        self._opened = opened

    def watch(self) -> None:
        """Count what transports do that are opened from now on in this context."""
        _watching.set(self)

    def of(self, url: str) -> Counts:
        """The counts of a remote."""
        if url not in self.counts:
            self.counts[url] = Counts()
            self._opened(url)
        return self.counts[url]


def counted(transport: Transport) -> Transport:
    """A transport that is counted where somebody watches."""
    traffic = _watching.get()
    return transport if traffic is None else _Counted(transport, traffic.of(transport.url))


class _Counted:
    """A transport whose every call is counted, whether it succeeds or not."""

    def __init__(self, inner: Transport, counts: Counts) -> None:
        self.url = inner.url
        self.parallel = inner.parallel
        self._inner = inner
        self._counts = counts

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        content = b""
        try:
            content = self._inner.get(key, start, length)
            return content
        finally:
            self._counts.add(received=len(content))

    def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
        pieces = [content] if isinstance(content, (bytes, bytearray, memoryview)) else content
        self._counts.add(sent=sum(memoryview(piece).nbytes for piece in pieces))
        self._inner.put(key, content)

    def put_file(self, key: str, path: Path) -> None:
        self._counts.add(sent=path.stat().st_size)
        self._inner.put_file(key, path)

    def download(self, key: str, path: Path) -> None:
        try:
            self._inner.download(key, path)
        finally:
            self._counts.add(received=path.stat().st_size if path.exists() else 0)

    def list(self, prefix: str, after: str = "") -> list[str]:
        self._counts.add()
        return self._inner.list(prefix, after)

    def scan(self, prefix: str) -> Iterator[Listed]:
        self._counts.add()
        return self._inner.scan(prefix)

    def delete(self, keys: Iterable[str]) -> None:
        self._counts.add()
        self._inner.delete(keys)

    def sync(self) -> None:
        self._inner.sync()

    def close(self) -> None:
        self._inner.close()
