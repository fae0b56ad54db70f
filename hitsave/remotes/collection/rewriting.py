"""Takes what is alive out of packs that are mostly dead, into new packs of a collection's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hitsave.cache.intake import WHOLE_FROM
from hitsave.objects.digest import Digest
from hitsave.packing.blocks import BlockBuilder, EntryKindInPack
from hitsave.packing.index import IndexedPack, Location
from hitsave.progress import Progress
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.commits.view import View
from hitsave.remotes.reading.ranges import coalesce
from hitsave.remotes.reading.reader import Reader
from hitsave.remotes.writing.packstream import PackStream, pack_size
from hitsave.remotes.writing.uploads import Uploads

_THREADS = 2


def rewrite(
    remote: Remote, view: View, session: Session, packs: Sequence[IndexedPack], progress: Progress
) -> list[IndexedPack]:
    """New packs with the entries of `packs`, every one checked on the way. Raises RemoteError."""
    from concurrent.futures import ThreadPoolExecutor

    size = sum(pack.length for pack in packs)
    progress.start("rewriting", size)
    reader = Reader(remote, view)
    with (
        ThreadPoolExecutor(_THREADS) as pool,
        Uploads(remote.transport, pack_size(size), lambda _: None) as uploads,
    ):
        # Parts of large objects lie apart from small ones: packs of these are what caches take as they are.
        for large in (False, True):
            chosen = [pack for pack in packs if holds_large(pack) == large]
            with PackStream(uploads, pool, session) as stream:
                _copy(stream, reader.read_ranges(coalesce(locations(chosen))), progress)
    return uploads.packs


def holds_large(pack: IndexedPack) -> bool:
    """Whether a pack holds parts of large objects."""
    entries = pack.table.entries()
    return any(entry.kind == EntryKindInPack.RECIPE or entry.length >= WHOLE_FROM for entry in entries)


def locations(packs: Iterable[IndexedPack]) -> Iterator[Location]:
    """Where the entries of packs lie."""
    for pack in packs:
        for entry in pack.table.entries():
            block = pack.table.blocks[entry.block]
            yield Location(Digest(entry.digest), entry.kind, pack.digest, block, entry.offset, entry.length)


def _copy(stream: PackStream, entries: Iterable[tuple[Location, bytes | memoryview]], progress: Progress) -> None:
    # Blobs and what has to be looked into lie in blocks of their own, as in every pack.
    builders = {True: BlockBuilder(), False: BlockBuilder()}
    for location, content in entries:
        is_blob = location.kind == EntryKindInPack.BLOB
        builder = builders[is_blob]
        builder.add(location.digest, location.kind, bytes(content))
        if builder.full:
            stream.add(builder.parts, builder.entries)
            builders[is_blob] = BlockBuilder()
        progress.advance(location.length)
    for builder in builders.values():
        if builder.entries:
            stream.add(builder.parts, builder.entries)
