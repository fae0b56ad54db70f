"""The content of a blob out of a remote, piece by piece, for who passes it on and keeps nothing.

Only the chunks of this blob are read, each checked before it is handed out. That all of them make the blob shows at the
end alone: a recipe that lies is an error there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hitsave.cache.hashing import new_hasher
from hitsave.errors import ObjectError
from hitsave.objects.digest import Digest
from hitsave.packing.recipe import Chunk
from hitsave.remotes.reading.ranges import windows
from hitsave.remotes.reading.reader import Content, Reader

#: Chunks whose places are in memory at once.
_LOOKED_UP_AT_ONCE = 8192


def stream_blob(reader: Reader, digest: Digest) -> Iterator[Content]:
    """The pieces of a blob in their order. Raises ObjectNotFound, RemoteCorrupt, RemoteError."""
    recipe = reader.recipe(digest)
    if recipe is None:
        yield reader.read(digest)
        return
    hasher = new_hasher()
    for at in range(0, len(recipe.chunks), _LOOKED_UP_AT_ONCE):
        for piece in _pieces(reader, recipe.chunks[at : at + _LOOKED_UP_AT_ONCE]):
            hasher.update(piece)
            yield piece
    if hasher.digest() != digest:
        raise ObjectError(f"{digest}: its recipe in the remote makes other content; run 'hitsave fsck --remote'")


def _pieces(reader: Reader, chunks: Sequence[Chunk]) -> Iterator[Content]:
    located = reader.locate_many(dict.fromkeys(chunk.digest for chunk in chunks))
    with reader.reading_windows(windows((0, located[chunk.digest]) for chunk in chunks)) as read:
        for window, contents in read:
            for _, location in window.order:
                yield contents[location.digest]
