"""The content of one file, from wherever it is: the cache, or else a remote, of which nothing else is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hitsave.cache.store import Cache
from hitsave.errors import CorruptObject, ObjectError, ObjectNotFound
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.remotes.reading.stream import stream_blob
from hitsave.remotes.reading.trees import Trees
from hitsave.repository import Repository

_PIECE = 1 << 20


def open_files(repository: Repository, words: Iterable[str]) -> list[Iterator[bytes | memoryview]]:
    """The files that words stand for, each in pieces, read when they are asked for.

    Raises ObjectError for what is no file, ObjectNotFound, AmbiguousDigest, WorkspaceError, before anything is read.
    """
    trees = Trees(repository.cache, repository.exchange.shelf_if_any)
    found = [(text, repository.resolve(text)) for text in words]
    for text, named in found:
        if named.kind is ObjectKind.TREE:
            raise ObjectError(f"{text} is a directory; 'hitsave ls {text}' lists it")
        if named.kind is ObjectKind.EVALUATION:
            raise ObjectError(f"{text} is an evaluation, not a file")
    return [stream(repository.cache, trees, named.digest) for _, named in found]


def stream(cache: Cache, trees: Trees, digest: Digest) -> Iterator[bytes | memoryview]:
    """The pieces of a blob, checked; nothing is kept. What is damaged here comes from the remote.

    Raises ObjectNotFound, CorruptObject, RemoteError.
    """
    try:
        file = cache.open_blob(digest)
    except (ObjectNotFound, CorruptObject):
        if trees.shelf is None:
            raise
        yield from stream_blob(trees.shelf.reader, digest)
        return
    with file:
        while piece := file.read(_PIECE):
            yield piece
