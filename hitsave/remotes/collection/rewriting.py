"""Takes what is alive out of packs that are mostly dead, into new packs of a collection's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hitsave.objects.digest import Digest
from hitsave.packing.index import IndexedPack, Location
from hitsave.progress import Progress
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.commits.view import View
from hitsave.remotes.reading.ranges import coalesce
from hitsave.remotes.reading.reader import Content, Reader
from hitsave.remotes.writing.packstream import EntryStream, PackStream, holds_large, pack_size
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
        for large in (False, True):
            chosen = [pack for pack in packs if holds_large(pack) == large]
            with PackStream(uploads, pool, session) as stream:
                _copy(EntryStream(stream), reader.read_ranges(coalesce(locations(chosen))), progress)
    return uploads.packs


def locations(packs: Iterable[IndexedPack]) -> Iterator[Location]:
    """Where the entries of packs lie."""
    for pack in packs:
        for entry in pack.table.entries():
            block = pack.table.blocks[entry.block]
            yield Location(Digest(entry.digest), entry.kind, pack.digest, block, entry.offset, entry.length)


def _copy(entries: EntryStream, found: Iterable[tuple[Location, Content]], progress: Progress) -> None:
    for location, content in found:
        # The content is a view of a whole block, of which perhaps only this is needed.
        entries.add(location.digest, location.kind, bytes(content))
        progress.advance(location.length)
    entries.flush()
