"""Lays the content of a public snapshot out in a store, so that any host of static files can give it.

The tree list is written last, so that where it is, all files are. What is found there already is what an earlier try
has written. When this may be done, and what has to be looked at afterwards, is in `settling`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from hitsave.cache.store import Cache
from hitsave.errors import RemoteConflict, RemoteNotFound, RemoteRefused, SnapshotError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import decode_tree
from hitsave.objects.model import EntryKind
from hitsave.packing.treelist import encode_tree_list
from hitsave.progress import Progress
from hitsave.remotes.ahead import in_order
from hitsave.remotes.public.layout import PUBLIC, file_key, inner_key, list_key, snapshot_of
from hitsave.remotes.public.places import is_server
from hitsave.remotes.transports.protocol import Listed, Transport


class Source(Protocol):
    """Where content comes from. Raises ObjectNotFound, CorruptObject, RemoteError."""

    def load(self, digest: Digest) -> bytes:
        """A small object."""

    def put(self, transport: Transport, key: str, blob: Digest) -> None:
        """Create a key with a blob. Raises RemoteConflict."""


class CacheSource:
    """Content of a cache, which has all of it."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def load(self, digest: Digest) -> bytes:
        """A small object."""
        return self._cache.read(digest)

    def put(self, transport: Transport, key: str, blob: Digest) -> None:
        """Create a key with a blob: as a file, where it is kept as one."""
        path = self._cache.whole_file(blob)
        if path is None:
            transport.put(key, self._cache.read(blob))
        else:
            transport.put_file(key, path)


def check_names(digest: Digest, kind: ObjectKind, source: Source) -> None:
    """Raises SnapshotError where a name cannot stand in a link."""
    if kind is ObjectKind.TREE:
        for path, _ in _files(digest, source):
            _key(digest, path)


def lay_out(
    transport: Transport, digest: Digest, kind: ObjectKind, source: Source, progress: Progress, trusting: bool
) -> bool:
    """Write the files of a snapshot that are not there; whether any was written. Raises SnapshotError, RemoteError.

    Where there is no tree list, whoever has put files may have died before they were durable. So all are put, and those
    that are there are durable afterwards, unless the listing is to be trusted.
    """
    last = list_key(digest)
    there = keys_there(transport, digest, kind)
    wanted = _wanted(digest, kind, source)
    if trusting or last in there:
        wanted = {key: blob for key, blob in wanted.items() if key not in there}
    written = False

    def put(item: tuple[str, Digest]) -> bool:
        return _created(lambda: source.put(transport, *item))

    with in_order(wanted.items(), put, transport.parallel) as done:
        for _, created in done:
            written = written or created
            progress.advance(0, 1)
    transport.sync()
    if kind is ObjectKind.TREE and last not in there:
        written = _created(lambda: transport.put(last, [*encode_tree_list(digest, source.load)])) or written
        transport.sync()
    return written


def keys_there(transport: Transport, digest: Digest, kind: ObjectKind | None) -> set[str]:
    """The keys of a snapshot that a store has. Where its kind is known, no other one's are listed for that."""
    try:
        return _find_keys(transport, digest, kind)
    except RemoteRefused:
        if is_server(transport.url):
            return set()  # An older one, which takes no such key and has none.
        raise


def list_public(transport: Transport) -> list[Listed]:
    """All that lies under `public/`. Raises RemoteError."""
    try:
        return list(transport.scan(PUBLIC))
    except RemoteRefused:
        if is_server(transport.url):
            return []
        raise


def _find_keys(transport: Transport, digest: Digest, kind: ObjectKind | None) -> set[str]:
    if kind is None:
        return {key for key in transport.list(file_key(digest)) if snapshot_of(key) == digest}
    if kind is ObjectKind.TREE:
        inner = {key for key in transport.list(f"{file_key(digest)}/") if snapshot_of(key) == digest}
        return inner | _if_there(transport, list_key(digest))
    return _if_there(transport, file_key(digest))


def _if_there(transport: Transport, key: str) -> set[str]:
    try:
        transport.get(key, 0, 1)
    except RemoteNotFound:
        return set()
    return {key}


def _created(put: Callable[[], None]) -> bool:
    """Whether a key was free."""
    try:
        put()
    except RemoteConflict:
        return False
    return True


def _wanted(digest: Digest, kind: ObjectKind, source: Source) -> dict[str, Digest]:
    """The keys of the files of a snapshot, and what they hold."""
    if kind is ObjectKind.TREE:
        return {_key(digest, path): blob for path, blob in _files(digest, source)}
    return {file_key(digest): digest}


def _files(root: Digest, source: Source) -> Iterator[tuple[bytes, Digest]]:
    waiting = [(b"", root)]
    while waiting:
        above, tree = waiting.pop()
        for entry in decode_tree(source.load(tree)).entries:
            path = above + entry.name
            if entry.kind is EntryKind.TREE:
                waiting.append((path + b"/", entry.digest))
            else:
                yield path, entry.digest


def _key(digest: Digest, path: bytes) -> str:
    try:
        return inner_key(digest, path)
    except ValueError as error:
        raise SnapshotError(f"{path!r}: such a name cannot stand in a link ({error}); rename the file") from None
