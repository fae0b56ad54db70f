"""Counts what is asked of a store by its kind (`put indexes`, `get commits`), and races for a commit that are lost."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hitsave.errors import RemoteConflict
from hitsave.remotes.commits.keys import COMMITS
from hitsave.remotes.transports.protocol import Buffer, Listed, Transport


class CountedRequests:
    """A transport whose calls are counted in `asked`; `lost` are races, and `sent` and `received` are bytes."""

    def __init__(self, inner: Transport) -> None:
        self.url = inner.url
        self.parallel = inner.parallel
        self.asked: Counter[str] = Counter()
        self.lost = self.sent = self.received = 0
        self._inner = inner
        self._lock = threading.Lock()

    def start(self) -> None:
        """Count from nothing again."""
        with self._lock:
            self.asked = Counter()
            self.lost = self.sent = self.received = 0

    def _note(self, name: str, key: str, sent: int = 0, received: int = 0) -> None:
        with self._lock:
            self.asked[f"{name} {key.partition('/')[0]}"] += 1
            self.sent += sent
            self.received += received

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """A value, or a part of it."""
        content = self._inner.get(key, start, length)
        self._note("get", key, received=len(content))
        return content

    def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
        """Create a key with a value."""
        pieces = [content] if isinstance(content, (bytes, bytearray, memoryview)) else content
        self._note("put", key, sent=sum(memoryview(piece).nbytes for piece in pieces))
        try:
            self._inner.put(key, content)
        except RemoteConflict:
            self.lost += key.startswith(COMMITS)
            raise

    def put_file(self, key: str, path: Path) -> None:
        """Create a key with the content of a file."""
        self._note("put", key, sent=path.stat().st_size)
        self._inner.put_file(key, path)

    def download(self, key: str, path: Path) -> None:
        """Write a value into a new file."""
        self._inner.download(key, path)
        self._note("get", key, received=path.stat().st_size)

    def list(self, prefix: str, after: str = "") -> list[str]:
        """The keys that begin with `prefix` and sort after `after`."""
        self._note("list", prefix)
        return self._inner.list(prefix, after)

    def scan(self, prefix: str) -> Iterator[Listed]:
        """The keys that begin with `prefix`, with sizes and ages."""
        self._note("scan", prefix)
        return self._inner.scan(prefix)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys."""
        self._note("delete", "")
        self._inner.delete(keys)

    def sync(self) -> None:
        """Make everything that was put so far durable."""
        self._inner.sync()

    def close(self) -> None:
        """End connections."""
        self._inner.close()
