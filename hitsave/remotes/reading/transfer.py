"""The content of blobs out of a remote, into an intake of the cache.

A pack of small objects of which at least half is wanted comes whole and becomes a pack of the cache; of others, only
the blocks that are needed are read. Large blobs are put together from their chunks.

Requests are made side by side and ahead of their use: as many as the transport says, and of whole packs, which go to
files, four at most. Ranges that were read and not used yet have no more than 64 MiB. One more thread writes what has
arrived, and holds no more than three ranges beside them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from hitsave.cache.arriving import BlobWriter
from hitsave.cache.intake import WHOLE_FROM, Intake
from hitsave.cache.overlap import Overlap
from hitsave.errors import CorruptObject, MalformedObject, RemoteNotFound
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.packing.blocks import EntryKindInPack
from hitsave.packing.index import Location
from hitsave.packing.pack import BLOCK_RECORD, COUNTS, ENTRY_RECORD, TRAILER, decode_trailer
from hitsave.packing.recipe import Recipe
from hitsave.progress import Progress
from hitsave.remotes.ahead import in_order
from hitsave.remotes.commits.keys import pack_key
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.commits.view import View
from hitsave.remotes.reading.ranges import Range, coalesce, windows
from hitsave.remotes.reading.reader import Content, Reader, corrupt_pack, missing_pack

_MOST_PACKS = 4
#: Chunks whose places are in memory at once, for all the large files together.
_LOOKED_UP_AT_ONCE = 8192


class Fetched(NamedTuple):
    """What a fetch did: objects that the cache did not have, bytes of their content, bytes of packs received."""

    objects: int = 0
    size: int = 0
    received: int = 0


class Transfer:
    """One transfer out of one view. One that is `adopting` takes over packs as they are where that pays."""

    def __init__(
        self, remote: Remote, view: View, reader: Reader, intake: Intake, progress: Progress, adopting: bool = True
    ) -> None:
        self._remote = remote
        self._view = view
        self._reader = reader
        self._intake = intake
        self._progress = progress
        self._adopting = adopting
        self._adopted = 0

    def run(self, blobs: Iterable[Digest], inner: Mapping[Digest, tuple[ObjectKind, bytes]]) -> int:
        """Bring all of it into the intake; bytes received, with those that the reader had read before.

        Of `inner`, which are trees and evaluations, the contents are here.

        Raises ObjectNotFound, RemoteCorrupt.
        """
        located = self._reader.locate_many(blobs)
        small = [location for location in located.values() if location.kind != EntryKindInPack.RECIPE]
        large = [location for location in located.values() if location.kind == EntryKindInPack.RECIPE]
        self._fetch_small(small)
        for digest, (kind, content) in inner.items():
            self._intake.add(kind, content, digest)
        self._fetch_large(large)
        return self._reader.received + self._adopted

    # -- small objects

    def _fetch_small(self, locations: list[Location]) -> None:
        kept = dict(self._reader.kept(locations))
        self._add(kept.items())
        by_pack: dict[Digest, list[Location]] = {}
        for location in locations:
            if location in kept:
                continue
            by_pack.setdefault(location.pack, []).append(location)
        whole = {pack: wanted for pack, wanted in by_pack.items() if self._pays_whole(pack, wanted)}
        self._fetch_packs(whole)
        rest = [location for pack, wanted in by_pack.items() if pack not in whole for location in wanted]
        with self._reader.reading(coalesce(rest)) as read:
            for _, entries in read:
                self._add(entries)

    def _pays_whole(self, pack: Digest, wanted: list[Location]) -> bool:
        """Whether a pack may become one of the cache, by what is known of it, and at least half of it is wanted."""
        if not self._adopting or any(location.length >= WHOLE_FROM for location in wanted):
            return False
        blocks = {location.block.offset: location.block.stored for location in wanted}
        share = sum(blocks.values()) + ENTRY_RECORD.size * len(wanted)
        return 2 * share >= self._view.pack_length(pack)

    def _add(self, entries: Iterable[tuple[Location, Content]]) -> None:
        for location, content in entries:
            # The content is a view of a whole block, of which perhaps only this is needed.
            self._intake.add(ObjectKind(location.kind), bytes(content), location.digest)
            self._progress.advance(location.length, 1)

    def _fetch_packs(self, wanted: dict[Digest, list[Location]]) -> None:
        """Fetch packs as they are: while one is verified, others are on their way."""
        threads = min(self._remote.transport.parallel, _MOST_PACKS)
        with Overlap(self._take_over, waiting=2) as taking, in_order(wanted, self._download, threads) as downloads:
            for pack, path in downloads:
                taking.submit((pack, path, wanted[pack]))

    def _download(self, pack: Digest) -> Path:
        path = self._intake.folder / f"received-{pack}"
        try:
            self._remote.transport.download(pack_key(pack), path)
        except RemoteNotFound:
            raise missing_pack(self._remote, pack) from None
        return path

    def _take_over(self, arrived: tuple[Digest, Path, list[Location]]) -> None:
        pack, path, wanted = arrived
        self._adopted += path.stat().st_size
        if _is_fit_for_cache(path):
            self._adopt(pack, path, wanted)
        else:
            self._take_out(path, wanted)

    def _adopt(self, pack: Digest, path: Path, wanted: list[Location]) -> None:
        try:
            adopted = self._intake.adopt_pack(path, pack)
        except CorruptObject as error:
            raise corrupt_pack(self._remote, pack, error.reason) from None
        held = {record[:32] for record in adopted.table.records}
        if lost := [location for location in wanted if location.digest not in held]:
            raise corrupt_pack(self._remote, pack, f"does not hold {lost[0].digest}, which its index says it does")
        self._progress.advance(sum(location.length for location in wanted), len(wanted))

    def _take_out(self, path: Path, wanted: list[Location]) -> None:
        """Take what is wanted out of a pack that no cache keeps: one with recipes, or large objects."""
        with path.open("rb") as file:
            for part in coalesce(wanted):
                file.seek(part.start)
                self._add(self._reader.entries_of(part, memoryview(file.read(part.length))))
        path.unlink()

    # -- large objects

    def _fetch_large(self, locations: list[Location]) -> None:
        """Read recipes, and chunks of which they have told, and write files one after the other without a pause."""
        with (
            self._reader.reading(coalesce(locations)) as recipes,
            _LargeFiles(self._remote, self._intake, self._progress) as files,
            Overlap(files.write, waiting=1) as writing,
            self._reader.reading_windows(windows(self._chunks(recipes, files))) as read,
        ):
            for window, contents in read:
                for number, group in groupby(window.order, key=itemgetter(0)):
                    writing.submit((number, [contents[location.digest] for _, location in group]))

    def _chunks(
        self, recipes: Iterable[tuple[Range, list[tuple[Location, Content]]]], files: _LargeFiles
    ) -> Iterator[tuple[int, Location]]:
        """Where the chunks of all files lie, in their order, each with its file's number."""
        batch: list[tuple[int, Digest]] = []
        for _, entries in recipes:
            for location, recipe in self._reader.flat_recipes(entries):
                number = files.announce(recipe, location.pack)
                for chunk in recipe.chunks:
                    batch.append((number, chunk.digest))
                    if len(batch) == _LOOKED_UP_AT_ONCE:
                        yield from self._locate(batch)
                        batch = []
        yield from self._locate(batch)

    def _locate(self, batch: list[tuple[int, Digest]]) -> list[tuple[int, Location]]:
        located = self._reader.locate_many(dict.fromkeys(digest for _, digest in batch))
        return [(number, located[digest]) for number, digest in batch]


class _LargeFiles:
    """Writes blobs one after the other out of their pieces. Leaving the block without an error ends the last one."""

    def __init__(self, remote: Remote, intake: Intake, progress: Progress) -> None:
        self._remote = remote
        self._intake = intake
        self._progress = progress
        self._announced: list[tuple[Digest, int, Digest]] = []
        self._current = -1
        self._writer: BlobWriter | None = None

    def announce(self, recipe: Recipe, pack: Digest) -> int:
        """The number of the next blob; its recipe lies in `pack`."""
        self._announced.append((recipe.blob, recipe.size, pack))
        return len(self._announced) - 1

    def write(self, part: tuple[int, list[Content]]) -> None:
        """The next pieces of the blob with a number, which follow what was written before. Raises RemoteCorrupt."""
        number, pieces = part
        self._go_on_to(number)
        assert self._writer is not None
        for piece in pieces:
            self._writer.write(piece)
        self._progress.advance(sum(map(len, pieces)))

    def _go_on_to(self, number: int) -> None:
        """End each blob before this one; one that has no chunks is begun and ended."""
        while self._current < number:
            self._end()
            self._current += 1
            if self._current < len(self._announced):
                blob, size, _ = self._announced[self._current]
                self._writer = self._intake.blob_writer(blob, size)

    def _end(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            with writer:
                pass
        except CorruptObject:
            blob, _, pack = self._announced[self._current]
            raise corrupt_pack(self._remote, pack, f"the recipe of {blob} makes other content") from None
        self._progress.advance(0, 1)

    def __enter__(self) -> _LargeFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._go_on_to(len(self._announced))
        elif self._writer is not None:
            self._writer.__exit__(kind, error, trace)


def _is_fit_for_cache(path: Path) -> bool:
    """Whether all that is in a pack are objects which a cache keeps in packs: no recipes, and nothing large.

    What is malformed passes: it is refused when it is adopted.
    """
    length = path.stat().st_size
    try:
        with path.open("rb") as file:
            file.seek(max(length - TRAILER.size, 0))
            table_at, _, _ = decode_trailer(file.read(TRAILER.size), length)
            file.seek(table_at)
            table = file.read(length - TRAILER.size - table_at)
        blocks, count = COUNTS.unpack_from(table)
        at = COUNTS.size + blocks * BLOCK_RECORD.size
        records = ENTRY_RECORD.iter_unpack(table[at : at + count * ENTRY_RECORD.size])
        return all(kind != EntryKindInPack.RECIPE and size < WHOLE_FROM for _, _, _, size, kind in records)
    except (MalformedObject, struct.error):
        return True
