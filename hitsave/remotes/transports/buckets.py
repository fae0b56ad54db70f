"""A remote in a bucket: S3 and what speaks S3, Google Cloud Storage, Azure.

All of them create a key only if it is free when they are asked to, in one request; an upload in several parts cannot
ask for that, so only `put_file` uses one, for keys that are named by their content. What was answered is durable.

The library is asynchronous inside and releases the interpreter's lock, so threads that wait here cost nothing.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hitsave.cache.files import write_all
from hitsave.errors import RemoteConflict, RemoteError
from hitsave.remotes.transports.bucketfaults import Action, Place, explain, is_missing, is_past_end
from hitsave.remotes.transports.protocol import Buffer, Listed
from hitsave.remotes.transports.waiting import wait_for

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

_Result = TypeVar("_Result")
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
#: Files up to this size are sent in one request, which creates a key only if it is free.
SINGLE_PUT = 64 << 20
#: Larger ones go in parts of this size or more, so many at once: this bounds the memory.
_PART = 16 << 20
_PARTS_AT_ONCE = 4
_MOST_PARTS = 9_000
#: The most keys that a store takes in one request.
_DELETED_AT_ONCE = 1_000
_LISTED_AT_ONCE = 1_000
_DOWNLOADED_AT_ONCE = 1 << 20

#: The process that asked first. The library's threads live there, and a fork of it waits for them for ever.
_used_by: dict[str, int] = {}


class BucketTransport:
    """A bucket, or what is beneath a prefix in it, as a store.

    `prefix` is empty or ends with `/`. `writing` is the same store with more patience: a request that sends much takes
    long until it is answered, one that reads does not.
    """

    #: Puts a second stop growing here (2 KB to a server on the same machine); asyncio is no faster.
    parallel = 16

    def __init__(self, store: ObjectStore, place: Place, prefix: str = "", writing: ObjectStore | None = None) -> None:
        self.url = place.url
        self._place = place
        self._reading = store
        self._writing = writing or store
        self._prefix = prefix

    def _path(self, key: str) -> str:
        """Where a key lies in the bucket. Raises RemoteError in a process whose requests would never be answered."""
        if _used_by.setdefault("process", os.getpid()) != os.getpid():
            raise RemoteError(
                f"{self.url}: this process was forked from one that had asked the bucket already, which cannot work; "
                "start processes with multiprocessing's method 'spawn' or 'forkserver'"
            )
        return self._prefix + key

    def _ask(self, action: Action, key: str, request: Callable[[], _Result]) -> _Result:
        """What the store answers; what it refuses is a RemoteError that names the key."""
        try:
            return wait_for(request)
        except Exception as error:
            raise explain(error, self._place, action, key) from None

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """A value, or a part of it."""
        path = self._path(key)
        try:
            return wait_for(lambda: _read(self._reading, path, start, length))
        except Exception as error:
            if is_past_end(error):
                return b""
            raise explain(error, self._place, Action.READ, key) from None

    def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
        """Create a key with a value, in one request; pieces are sent from where they are."""
        import obstore

        pieces = [content] if isinstance(content, (bytes, bytearray, memoryview)) else list(content)
        path = self._path(key)
        self._ask(
            Action.WRITE, key, lambda: obstore.put(self._writing, path, pieces, mode="create", use_multipart=False)
        )

    def put_file(self, key: str, path: Path) -> None:
        """Create a key with the content of a file. A large one is not sent where the key is taken."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                self.put(key, b"")
            elif size <= SINGLE_PUT:
                # Never closed by hand: the library may hold it a moment longer than the request.
                self.put(key, [memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))])
            else:
                self._put_parts(key, path, size)

    def _put_parts(self, key: str, path: Path, size: int) -> None:
        import obstore

        if self._exists(key):
            raise RemoteConflict(self.url, key)
        target = self._path(key)
        part = max(_PART, -(-size // _MOST_PARTS))
        self._ask(
            Action.WRITE,
            key,
            lambda: obstore.put(
                self._writing, target, path, use_multipart=True, chunk_size=part, max_concurrency=_PARTS_AT_ONCE
            ),
        )

    def _exists(self, key: str) -> bool:
        import obstore

        path = self._path(key)
        try:
            wait_for(lambda: obstore.head(self._reading, path))
        except Exception as error:
            if is_missing(error):
                return False
            raise explain(error, self._place, Action.READ, key) from None
        return True

    def download(self, key: str, path: Path) -> None:
        """Write a value into a new file, which is there at the end only with all of it."""
        import obstore

        source = self._path(key)
        stream = self._ask(
            Action.READ, key, lambda: iter(obstore.get(self._reading, source).stream(_DOWNLOADED_AT_ONCE))
        )
        target = os.open(path, _CREATE, 0o644)
        try:
            try:
                while piece := self._next(stream, key):
                    write_all(target, piece)
            finally:
                os.close(target)
        except BaseException:
            path.unlink()
            raise

    def _next(self, stream: Iterator[bytes], key: str) -> bytes:
        return self._ask(Action.READ, key, lambda: next(stream, b""))

    def list(self, prefix: str, after: str = "") -> list[str]:
        """The keys that begin with `prefix` and sort after `after`."""
        return sorted(listed.key for listed in self._listed(prefix, after) if listed.key > after)

    def scan(self, prefix: str) -> Iterator[Listed]:
        """The keys that begin with `prefix`, with sizes and ages."""
        return self._listed(prefix, "")

    def _listed(self, prefix: str, after: str) -> Iterator[Listed]:
        """Some stores begin after `after`; some ignore it."""
        import obstore

        # Stores match whole parts of a path. What is finer is sorted out here.
        folder = self._path(prefix.rpartition("/")[0])
        offset = self._path(after) if after and all(after.split("/")) else None
        pages = iter(obstore.list(self._reading, folder or None, offset=offset, chunk_size=_LISTED_AT_ONCE))
        while page := self._next_page(pages, prefix):
            for found in page:
                key = found["path"].removeprefix(self._prefix)
                if key.startswith(prefix):
                    yield Listed(key, found["size"], int(found["last_modified"].timestamp()))

    def _next_page(self, pages: Iterator[Sequence[ObjectMeta]], prefix: str) -> Sequence[ObjectMeta]:
        return self._ask(Action.LIST, prefix, lambda: next(pages, ()))

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys, many in a request."""
        remaining = iter(keys)
        while batch := list(islice(remaining, _DELETED_AT_ONCE)):
            if not self._deleted(batch):
                # Which of them were missing is not said, nor how many were removed before that.
                for key in batch:
                    self._deleted([key])

    def _deleted(self, keys: Sequence[str]) -> bool:
        """Remove keys; False where some were missing."""
        import obstore

        paths = [self._path(key) for key in keys]
        try:
            wait_for(lambda: obstore.delete(self._writing, paths))
        except Exception as error:
            if is_missing(error):
                return False
            raise explain(error, self._place, Action.DELETE, keys[0]) from None
        return True

    def sync(self) -> None:
        """There is nothing to do: what a store has answered is durable."""

    def close(self) -> None:
        """Connections that are not used end by themselves."""


def _read(store: ObjectStore, path: str, start: int, length: int | None) -> bytes:
    import obstore

    if length == 0:
        obstore.head(store, path)
        return b""
    if length is not None:
        return obstore.get_range(store, path, start=start, length=length).to_bytes()
    if start:
        return obstore.get(store, path, options={"range": {"offset": start}}).bytes().to_bytes()
    return obstore.get(store, path).bytes().to_bytes()
