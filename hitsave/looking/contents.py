"""The content of one file, from wherever it is: the cache, or else a remote, of which nothing else is read."""

from __future__ import annotations

from collections.abc import Iterator

from hitsave.cache.store import Cache
from hitsave.errors import ObjectNotFound
from hitsave.objects.digest import Digest
from hitsave.remotes.reading.stream import stream_blob
from hitsave.remotes.reading.trees import Trees

_PIECE = 1 << 20


def stream(cache: Cache, trees: Trees, digest: Digest) -> Iterator[bytes | memoryview]:
    """The pieces of a blob, checked; nothing is kept. Raises ObjectNotFound, CorruptObject, RemoteError."""
    try:
        file = cache.open_blob(digest)
    except ObjectNotFound:
        if trees.shelf is None:
            raise
        yield from stream_blob(trees.shelf.reader, digest)
        return
    with file:
        while piece := file.read(_PIECE):
            yield piece
