"""Sends what a remote has lost, out of whatever has it, and what can still be read of its damaged packs.

All of it goes into packs of one session. Small objects come first, since trees tell what else is lost; then large ones:
a chunk is a part of the whole file, wherever that is, and a recipe is made again by cutting the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from hitsave.cache.intake import WHOLE_FROM
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.packing.blocks import EntryKindInPack
from hitsave.packing.index import IndexedPack, Location
from hitsave.progress import Progress
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.reading.ranges import coalesce
from hitsave.remotes.reading.reader import Content, Reader
from hitsave.remotes.verification.closure import Closure, Lost
from hitsave.remotes.verification.holdings import Holdings
from hitsave.remotes.verification.sources import Source
from hitsave.remotes.writing.largefiles import LargeFiles
from hitsave.remotes.writing.packstream import EntryStream, PackStream, holds_large, pack_size
from hitsave.remotes.writing.uploads import Uploads

_THREADS = 2


class Mending:
    """One repair of what `closure` has lost; what is found is taken out of `closure.lost`.

    `folder` is for large files that come from another remote.
    """

    def __init__(
        self, remote: Remote, session: Session, holdings: Holdings, closure: Closure, folder: Path, progress: Progress
    ) -> None:
        self._remote = remote
        self._session = session
        self._holdings = holdings
        self._closure = closure
        self._folder = folder
        self._progress = progress
        self._added: set[bytes] = set()

    def send(
        self, saved: Sequence[IndexedPack], places: Sequence[Location], reader: Reader, sources: Sequence[Source]
    ) -> list[IndexedPack]:
        """Copy the entries at `places`, out of the packs `saved`, and find what is lost. The packs that were made."""
        from concurrent.futures import ThreadPoolExecutor

        large = {pack.digest for pack in saved if holds_large(pack)}
        size = sum(place.length for place in places) + sum(lost.size for lost in self._closure.lost.values())
        self._progress.start("repairing", size)
        uploads = Uploads(self._remote.transport, pack_size(size), lambda _: None)
        with ThreadPoolExecutor(_THREADS) as pool, uploads:
            with PackStream(uploads, pool, self._session) as stream:
                entries = EntryStream(stream)
                self._copy(entries, reader, (place for place in places if place.pack not in large))
                self._find_small(entries, sources)
                entries.flush()
            with PackStream(uploads, pool, self._session) as stream:
                entries = EntryStream(stream)
                self._copy(entries, reader, (place for place in places if place.pack in large))
                for source in sources:
                    self._find_large(entries, source)
                entries.flush()
                for source in sources:
                    self._cut_again(stream, source)
        return uploads.packs

    def _copy(self, entries: EntryStream, reader: Reader, places: Iterable[Location]) -> None:
        for place, content in reader.read_ranges(coalesce(places)):
            self._put(entries, place.digest, place.kind, content)

    # -- small objects

    def _find_small(self, entries: EntryStream, sources: Sequence[Source]) -> None:
        """A tree that is found may show that more is lost, which another source may have."""
        found = True
        while found:
            found = False
            for source in sources:
                found = self._find_small_in(entries, source) or found

    def _find_small_in(self, entries: EntryStream, source: Source) -> bool:
        wanted = [digest for digest, lost in self._closure.lost.items() if not lost.chunks]
        found = False
        for digest, kind, content in source.entries(wanted, WHOLE_FROM - 1) if wanted else ():
            found = True
            self._add(entries, digest, kind, content)
            if kind == EntryKindInPack.BLOB:
                del self._closure.lost[digest]
            else:
                self._closure.follow_found(digest, bytes(content))
        return found

    def _add(self, entries: EntryStream, digest: Digest, kind: int, content: Content) -> None:
        self._put(entries, digest, kind, content)
        self._added.add(digest)

    def _put(self, entries: EntryStream, digest: Digest, kind: int, content: Content) -> None:
        entries.add(digest, kind, bytes(content))
        self._progress.advance(len(content))

    # -- large objects

    def _find_large(self, entries: EntryStream, source: Source) -> None:
        """Chunks, and objects of one chunk, that lie in packs elsewhere; then chunks out of whole blobs."""
        blobs = {digest: lost for digest, lost in self._closure.lost.items() if lost.kind is ObjectKind.BLOB}
        wanted = {piece.digest for lost in blobs.values() for piece in lost.chunks} - self._added
        wanted |= {digest for digest, lost in blobs.items() if not lost.chunks}
        for digest, kind, content in source.entries(wanted, None) if wanted else ():
            self._add(entries, digest, kind, content)
        for blob, lost in blobs.items():
            for piece in lost.chunks:
                if piece.digest not in self._added and (part := source.piece(blob, piece)) is not None:
                    self._add(entries, piece.digest, EntryKindInPack.BLOB, part)
            self._note_found(blob, lost)

    def _note_found(self, blob: Digest, lost: Lost) -> None:
        if blob in self._added or (lost.chunks and all(piece.digest in self._added for piece in lost.chunks)):
            del self._closure.lost[blob]

    def _cut_again(self, stream: PackStream, source: Source) -> None:
        """Blobs of which the recipe is lost."""
        lost = [
            digest for digest, lost in self._closure.lost.items() if lost.kind is ObjectKind.BLOB and not lost.chunks
        ]
        files = LargeFiles(stream, self._remote.format.chunking, self._there, self._progress)
        for digest, path in source.files(lost, self._folder):
            files.send({digest: path})
            del self._closure.lost[digest]

    def _there(self, digests: Sequence[bytes]) -> set[bytes]:
        """What need not be sent. A recipe of which a part is lost is as good as none."""
        found = set(self._holdings.find_many(map(Digest, digests))) - self._closure.lost.keys()
        return found | self._added.intersection(digests)
