"""Transports for tests: a store in memory that is stricter than any real one, one that counts, one that fails.

The store in memory refuses keys that the specification does not know, values that do not have the digest of their key,
and commits that name what is not there or not durable yet. `lose_power` takes away all that was not made durable.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from blake3 import blake3

from hitsave.errors import RemoteConflict, RemoteError, RemoteNotFound
from hitsave.packing.commit import decode_commit
from hitsave.packing.index import Index
from hitsave.remotes.commits.keys import COMMITS, FORMAT_KEY, commit_key, index_key, pack_key, refs_key
from hitsave.remotes.transports.protocol import Buffer, Listed, Transport

Result = TypeVar("Result")


def join(content: Buffer | Sequence[Buffer]) -> bytes:
    """A value in one piece."""
    return bytes(content) if isinstance(content, (bytes, bytearray, memoryview)) else b"".join(content)


_KEY = re.compile(
    r"format|packs/([0-9a-f]{2})/(\1[0-9a-f]{62})\.pack|indexes/([0-9a-f]{64})-[0-9a-f]{32}\.index|refs/([0-9a-f]{64})-[0-9a-f]{32}\.refs"
    r"|commits/[0-9]{20}|probe/[0-9a-z]+|claims/[0-9a-f]{64}-[0-9]{20}|public/[0-9a-f]{64}(?:\.trees|/[^\0]+)?"
)


class Misuse(AssertionError):
    """A transport was used in a way that no store has to bear."""


class MemoryStore:
    """Keys and values, and which of them would be there after a loss of power."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.durable: set[str] = set()
        self.lock = threading.Lock()

    def lose_power(self) -> None:
        """Forget what no `sync` has made durable."""
        self.values = {key: value for key, value in self.values.items() if key in self.durable}

    def size(self) -> int:
        """Bytes of all values."""
        return sum(map(len, self.values.values()))


class MemoryTransport:
    """One client's way to a store in memory."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.url = "memory:"
        self.parallel = 2
        self.store = store or MemoryStore()
        self._unsynced: set[str] = set()

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        _check_key(key)
        if start < 0 or (length is not None and length < 0):
            raise Misuse(f"get({key!r}, {start}, {length})")
        if key not in self.store.values:
            raise RemoteNotFound(self.url, key)
        return self.store.values[key][start : None if length is None else start + length]

    def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
        content = join(content)
        match = _check_key(key)
        named = match and next((group for group in match.groups()[1:] if group), None)
        if named and blake3(content).hexdigest() != named:
            raise Misuse(f"{key} was put with content of another digest")
        with self.store.lock:
            # A taken key, too, is durable after the next sync: whoever created it may be dead.
            self._unsynced.add(key)
            if key in self.store.values:
                raise RemoteConflict(self.url, key)
            if key.startswith(COMMITS) and not self._is_overtaken(key):
                self._check_commit(content)
            self.store.values[key] = content

    def _is_overtaken(self, key: str) -> bool:
        """Whether this commit cannot become the newest: its writer slept, and what it names may be gone."""
        return any(other.startswith(COMMITS) and other > key for other in self.store.values)

    def _check_commit(self, content: bytes) -> None:
        commit = decode_commit(content)
        for file in commit.indexes:
            self._check_named(index_key(file), file.length)
            for pack in Index(self.store.values[index_key(file)]).packs:
                self._check_named(pack_key(pack.digest), pack.length)
        for file in commit.refs:
            self._check_named(refs_key(file), file.length)

    def _check_named(self, key: str, length: int) -> None:
        if len(self.store.values.get(key, b"")) != length:
            raise Misuse(f"a commit names {key}, which is not there with {length} bytes")
        if key not in self.store.durable:
            raise Misuse(f"a commit names {key}, which is not durable")

    def put_file(self, key: str, path: Path) -> None:
        self.put(key, path.read_bytes())

    def download(self, key: str, path: Path) -> None:
        content = self.get(key)
        with path.open("xb") as file:
            file.write(content)

    def list(self, prefix: str, after: str = "") -> list[str]:
        with self.store.lock:
            return sorted(key for key in self.store.values if key.startswith(prefix) and key > after)

    def scan(self, prefix: str) -> Iterator[Listed]:
        with self.store.lock:
            return iter(
                [Listed(key, len(value), 0) for key, value in self.store.values.items() if key.startswith(prefix)]
            )

    def delete(self, keys: Iterable[str]) -> None:
        with self.store.lock:
            for key in keys:
                if key in self._needed():
                    raise Misuse(f"{key} was removed, and is needed")
                self.store.values.pop(key, None)

    def _needed(self) -> set[str]:
        """What no collection may remove: the newest commit, what it names, and the commits that it retains."""
        keys = sorted(key for key in self.store.values if key.startswith(COMMITS))
        if not keys:
            return {FORMAT_KEY}
        newest = decode_commit(self.store.values[keys[-1]])
        needed = {FORMAT_KEY, *(key for key in keys if key >= commit_key(newest.oldest)), *map(refs_key, newest.refs)}
        for file in newest.indexes:
            needed.add(index_key(file))
            needed |= {pack_key(pack.digest) for pack in Index(self.store.values[index_key(file)]).packs}
        return needed

    def sync(self) -> None:
        self.store.durable |= self._unsynced
        self._unsynced = set()

    def close(self) -> None:
        pass


def _check_key(key: str) -> re.Match[str]:
    match = _KEY.fullmatch(key)
    if match is None:
        raise Misuse(f"{key!r} is not a key")
    return match


class WrappedTransport:
    """Passes every operation through `around`, which subclasses define.

    `around` gets the operation's name, its key where it has one, and the operation itself.
    """

    def __init__(self, inner: Transport) -> None:
        self.url = inner.url
        self.parallel = inner.parallel
        self.inner = inner

    def around(self, name: str, key: str, action: Callable[[], Result]) -> Result:
        return action()

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        return self.around("get", key, lambda: self.inner.get(key, start, length))

    def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
        self.around("put", key, lambda: self.inner.put(key, content))

    def put_file(self, key: str, path: Path) -> None:
        self.around("put_file", key, lambda: self.inner.put_file(key, path))

    def download(self, key: str, path: Path) -> None:
        self.around("download", key, lambda: self.inner.download(key, path))

    def list(self, prefix: str, after: str = "") -> list[str]:
        return self.around("list", prefix, lambda: self.inner.list(prefix, after))

    def scan(self, prefix: str) -> Iterator[Listed]:
        return self.around("scan", prefix, lambda: iter([*self.inner.scan(prefix)]))

    def delete(self, keys: Iterable[str]) -> None:
        chosen = [*keys]
        self.around("delete", "", lambda: self.inner.delete(chosen))

    def sync(self) -> None:
        self.around("sync", "", self.inner.sync)

    def close(self) -> None:
        self.inner.close()


class CountingTransport(WrappedTransport):
    """Counts requests by their kind, and bytes of values either way; notes keys in the order of their requests."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.requests: Counter[str] = Counter()
        self.keys: list[tuple[str, str]] = []
        self.sent = 0
        #: Bytes by the first part of the key.
        self.received_from: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """All requests that a store on a network would have to answer."""
        return sum(self.requests.values())

    @property
    def received(self) -> int:
        """Bytes of values that were read."""
        return sum(self.received_from.values())

    def around(self, name: str, key: str, action: Callable[[], Result]) -> Result:
        if name != "sync":
            with self._lock:
                self.requests[name] += 1
                self.keys.append((name, key))
        return action()

    def got(self, prefix: str) -> list[str]:
        """The keys with this prefix of which something was read."""
        return [key for name, key in self.keys if name in ("get", "download") and key.startswith(prefix)]

    def made(self, prefix: str) -> list[str]:
        """The keys with this prefix that were created, or tried to."""
        return [key for name, key in self.keys if name in ("put", "put_file") and key.startswith(prefix)]

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        content = super().get(key, start, length)
        self._receive(key, len(content))
        return content

    def download(self, key: str, path: Path) -> None:
        super().download(key, path)
        self._receive(key, path.stat().st_size)

    def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
        self._send(len(join(content)))
        super().put(key, content)

    def put_file(self, key: str, path: Path) -> None:
        self._send(path.stat().st_size)
        super().put_file(key, path)

    def _receive(self, key: str, length: int) -> None:
        with self._lock:
            self.received_from[key.partition("/")[0]] += length

    def _send(self, length: int) -> None:
        with self._lock:
            self.sent += length


class Lost(RemoteError):
    """What a transport raises that was told to fail."""


class FaultyTransport(WrappedTransport):
    """Fails at the operation with number `at`, counted from 0, before or after it is carried out.

    One that `dies` fails at every later one, too: its process is gone, and cleans up nothing.
    """

    def __init__(self, inner: Transport, at: int | None = None, *, after: bool = False, dies: bool = True) -> None:
        super().__init__(inner)
        self._lock = threading.Lock()
        self._at = at
        self._after = after
        self._dies = dies
        self.operations = 0
        self.dead = False

    def around(self, name: str, key: str, action: Callable[[], Result]) -> Result:
        with self._lock:
            number = self.operations
            self.operations += 1
            failing = number == self._at
            if self.dead or (failing and not self._after):
                self.dead = self._dies
                raise Lost(f"{self.url}: {name} {key}: the connection was lost")
            if failing:
                self.dead = self._dies
        result = action()
        if failing:
            raise Lost(f"{self.url}: {name} {key}: the connection was lost")
        return result
