"""The indexes that a commit names, each read only as far as lookups need it.

A small index is fetched whole, checked against its digest, and kept as a copy on this machine. Of a large one, a lookup
reads parts: header and fan-out, then buckets, then block records, then pack records, each of these for all that is
looked up at once. When reading on by parts would cost more than the whole, the whole is fetched, checked and kept.

What is read by parts is not checked against the index's digest, nor is a large copy that this machine has: what is
found through them is checked by its content. Where they lead to something malformed, the whole index is fetched, or the
copy checked, and looked at again. Whoever finds nothing where something must be, or other content than he should, calls
`settle`, which does the same. So a damaged index is RemoteCorrupt, which names it, and never passes for one that lacks
an object.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TypeVar

from blake3 import blake3

from hitsave.errors import MalformedObject, RemoteCorrupt, RemoteNotFound
from hitsave.objects.digest import DIGEST_SIZE, Digest
from hitsave.packing.commit import StoredFile
from hitsave.packing.index import Index
from hitsave.packing.indexlayout import (
    HEADER,
    INDEX_BLOCK,
    PACK_RECORD,
    IndexLayout,
    Location,
    check_owner,
    decode_block_record,
    decode_header,
    decode_pack_record,
    find_in_bucket,
    guess_layout,
    locate_entry,
)
from hitsave.packing.pack import ENTRY_RECORD
from hitsave.remotes.ahead import run_all
from hitsave.remotes.keys import index_key, pack_key
from hitsave.remotes.pages import REQUEST, Pages, Span
from hitsave.remotes.transport import Transport

#: An index of up to this many bytes is fetched whole, in one request.
WHOLE_UP_TO = 1 << 20
#: The first part that is read: the header, and the records of the first packs.
_FIRST_PART = 4096
#: Once something was found in an index, all that lies before its entries is read where it has no more bytes than this.
_HEAD = 128 * 1024
#: Block records around the one that is needed, in bytes: what lies beside it is often asked for next.
_BLOCKS_AROUND = 8 * 1024
#: More entries than this, in bytes, are not read by parts for one digest.
_LARGEST_PART = 64 * 1024

Answer = TypeVar("Answer")
Job = Callable[[], object]
#: Gives lists of requests that may be made side by side, goes on when they were made, and ends in an answer.
Search = Generator[list[Job], None, Answer]


def run_searches(searches: Iterable[Search[Answer]], threads: int) -> list[Answer]:
    """The answers of searches that go on side by side, in rounds: each round makes the requests of all of them."""
    running = dict(enumerate(searches))
    answers: dict[int, Answer] = {}
    while running:
        jobs: list[Job] = []
        for number, search in list(running.items()):
            try:
                jobs += next(search)
            except StopIteration as end:
                answers[number] = end.value
                del running[number]
        run_all(jobs, threads)
    return [answers[number] for number in sorted(answers)]


class _NeedsWhole(Exception):
    """Parts of an index are not enough."""


class CommittedIndex:
    """One index that a commit names. `copy` is where this machine keeps it when all of it was fetched.

    `useful` tells whether anything was ever found in it.
    """

    def __init__(self, transport: Transport, copy: Path, file: StoredFile) -> None:
        self._transport = transport
        self._copy = copy
        self._file = file
        self._key = index_key(file)
        self._index: Index | None = None
        self._checked = False
        self._looked_for_copy = False
        self._pages = Pages(self._get, file.length)
        self._layout: IndexLayout | None = None
        self._pack_lengths: dict[Digest, int] = {}
        #: What was looked up by parts, which are in memory now.
        self._looked_up: set[Digest] = set()
        self._there: set[Digest] = set()
        self.useful = False

    @property
    def entries(self) -> int:
        """How many entries it has."""
        return self._file.entries

    @property
    def _is_small(self) -> bool:
        return self._file.length <= WHOLE_UP_TO

    # -- the whole

    @property
    def here(self) -> bool:
        """Whether all of it is on this machine, so that lookups make no requests."""
        if self._index is None and not self._looked_for_copy:
            self._looked_for_copy = True
            with contextlib.suppress(FileNotFoundError, MalformedObject):
                self._open_copy()
        return self._index is not None

    def whole(self) -> Index:
        """All of it, checked against its digest. Raises RemoteCorrupt."""
        if not self._checked:
            if self.here and _digest_of(self._copy) == self._file.digest:
                self._checked = True
            else:
                self._fetch()
        assert self._index is not None
        return self._index

    def settle(self) -> bool:
        """Make sure of what was believed unchecked; False where there was nothing of that. Raises RemoteCorrupt."""
        if self._checked:
            return False
        self.whole()
        return True

    def _open_copy(self) -> None:
        if self._is_small:
            content = self._copy.read_bytes()
            if blake3(content).digest() == self._file.digest:
                self._use(Index(content), checked=True)
        elif self._copy.stat().st_size == self._file.length:
            self._use(Index(_Copy(self._copy)), checked=False)

    def _use(self, index: Index, checked: bool) -> None:
        self._index, self._checked = index, checked
        self._pack_lengths = {pack.digest: pack.length for pack in index.packs}

    def _fetch(self) -> None:
        temporary = self._copy.with_name(f"{self._copy.name}.{secrets.token_hex(6)}")
        try:
            if self._is_small:
                temporary.write_bytes(self._transport.get(self._key))
            else:
                self._transport.download(self._key, temporary)
            if _digest_of(temporary) != self._file.digest:
                raise self._corrupt("its content has another digest")
            os.replace(temporary, self._copy)
        except RemoteNotFound:
            raise self._missing() from None
        finally:
            temporary.unlink(missing_ok=True)
        try:
            self._use(Index(self._copy.read_bytes() if self._is_small else _Copy(self._copy)), checked=True)
        except MalformedObject as error:
            raise self._corrupt(str(error)) from None

    def _corrupt(self, reason: str) -> RemoteCorrupt:
        return RemoteCorrupt(self._transport.url, self._key, reason)

    def _missing(self) -> RemoteCorrupt:
        return self._corrupt("is missing, and the newest commit names it")

    # -- lookups

    def pack_length(self, pack: Digest) -> int | None:
        """The length of a pack that something was found in, in bytes."""
        return self._pack_lengths.get(pack)

    def find(self, digests: Sequence[Digest]) -> Search[dict[Digest, Location]]:
        """Where objects are; what is not in this index is left out. Raises RemoteCorrupt."""
        new = len(digests) if self.here else sum(digest not in self._looked_up for digest in digests)
        found = yield from self._search(
            new, lambda index: index.find_many(digests), lambda: self._find_in_parts(digests)
        )
        self.useful = self.useful or bool(found)
        return found

    def has(self, digests: Sequence[Digest]) -> Search[set[Digest]]:
        """Which objects this index holds, as a writer may rely on it. Raises RemoteCorrupt.

        What was found by parts counts when its pack is there: an index of another remote would name others.
        """
        found = yield from self.find(digests)
        if not self.here:
            packs = {location.pack for location in found.values()} - self._there
            yield [lambda pack=pack: self._look_for_pack(pack) for pack in packs]  # type: ignore[misc]
            if not packs <= self._there:
                yield [self._fetch]
                found = self._ask(lambda index: index.find_many(digests))
        return set(found)

    def _look_for_pack(self, pack: Digest) -> None:
        with contextlib.suppress(RemoteNotFound):
            if len(self._transport.get(pack_key(pack), self._pack_lengths[pack] - 1, 1)) == 1:
                self._there.add(pack)

    def complete(self, low: bytes, high: bytes, most: int) -> Search[list[Digest]]:
        """The first `most` digests from `low` to `high`, both included, ascending. Raises RemoteCorrupt."""

        def first(index: Index) -> list[Digest]:
            return list(islice(dict.fromkeys(index.find_prefix(low, high)), most))

        return (yield from self._search(1, first, lambda: self._complete_in_parts(low, high, most)))

    def _search(
        self, lookups: int, of_whole: Callable[[Index], Answer], by_parts: Callable[[], Search[Answer]]
    ) -> Search[Answer]:
        """An answer by parts, or of the whole index where it is here, or cheaper, or parts lead nowhere."""
        if not self.here and self._whole_is_cheaper(lookups):
            yield [self._fetch]
        if not self.here:
            try:
                return (yield from by_parts())
            except (MalformedObject, _NeedsWhole):
                yield [self._fetch]
        return self._ask(of_whole)

    def _whole_is_cheaper(self, lookups: int) -> bool:
        return self._is_small or (lookups > 0 and self._pages.spent + lookups * REQUEST >= self._file.length)

    def _ask(self, question: Callable[[Index], Answer]) -> Answer:
        assert self._index is not None
        try:
            return question(self._index)
        except MalformedObject as error:
            if self._checked:
                raise self._corrupt(str(error)) from None
            self.whole()
        return self._ask(question)

    # -- by parts

    def _get(self, start: int, stop: int) -> bytes:
        try:
            return self._transport.get(self._key, start, stop - start)
        except RemoteNotFound:
            raise self._missing() from None

    def _open(self, digests: Iterable[bytes]) -> Search[IndexLayout]:
        """The layout. The fan-out is fetched together with the header, since where it lies can be guessed."""
        if self._layout is None:
            length, entries = self._file.length, self._file.entries
            guess = guess_layout(length, entries)
            spans = [guess.fanout_span(guess.bucket(digest)) for digest in digests]
            first = min(_FIRST_PART, length)
            yield self._pages.jobs([(0, first), *(span for span in spans if span[0] >= HEADER.size)])
            layout = decode_header(self._pages.read(0, min(HEADER.size, first)))
            if layout.length != length or layout.entries != entries:
                raise MalformedObject("index", "has another length than its header says")
            self._layout = layout
        return self._layout

    def _buckets(self, layout: IndexLayout, digests: Iterable[Digest]) -> Search[dict[Digest, Span]]:
        fanout = {digest: layout.fanout_span(layout.bucket(digest)) for digest in digests}
        yield self._pages.jobs(fanout.values())
        return {digest: layout.bucket_span(self._pages.read(*span)) for digest, span in fanout.items()}

    def _find_in_parts(self, digests: Sequence[Digest]) -> Search[dict[Digest, Location]]:
        layout = yield from self._open(digests)
        buckets = yield from self._buckets(layout, digests)
        if any(stop - start > _LARGEST_PART for start, stop in buckets.values()):
            raise _NeedsWhole
        yield self._pages.jobs(buckets.values())
        records: dict[Digest, bytes] = {}
        for digest, span in buckets.items():
            if record := find_in_bucket(self._pages.read(*span), digest):
                records[digest] = record
        found = (yield from self._locate(layout, records)) if records else {}
        self._looked_up.update(digests)
        return found

    def _locate(self, layout: IndexLayout, records: dict[Digest, bytes]) -> Search[dict[Digest, Location]]:
        pages = self._pages
        numbers = {digest: int.from_bytes(record[32:36], "little") for digest, record in records.items()}
        places = {number: layout.block_at(number) for number in numbers.values()}
        yield pages.jobs(_around(layout, places.values()))
        blocks = {number: decode_block_record(pages.read(at, at + INDEX_BLOCK.size)) for number, at in places.items()}
        owners = {owner: layout.pack_at(owner) for _, owner in blocks.values()}
        yield pages.jobs((at, at + PACK_RECORD.size) for at in owners.values())
        packs = {owner: decode_pack_record(pages.read(at, at + PACK_RECORD.size)) for owner, at in owners.items()}
        for number, (_, owner) in blocks.items():
            check_owner(packs[owner], owner, number)
        self._pack_lengths |= {pack.digest: pack.length for pack in packs.values()}
        found: dict[Digest, Location] = {}
        for digest, record in records.items():
            block, owner = blocks[numbers[digest]]
            found[digest] = locate_entry(record, block, packs[owner])
        return found

    def _complete_in_parts(self, low: bytes, high: bytes, most: int) -> Search[list[Digest]]:
        ends = (Digest(low), Digest(high))
        layout = yield from self._open(ends)
        buckets = yield from self._buckets(layout, ends)
        start, stop = buckets[ends[0]][0], buckets[ends[1]][1]
        if stop - start > _LARGEST_PART:
            raise _NeedsWhole
        yield self._pages.jobs([(start, stop)])
        entries = self._pages.read(start, stop)
        step = ENTRY_RECORD.size
        digests = (Digest(entries[at : at + DIGEST_SIZE]) for at in range(0, len(entries), step))
        return list(islice(dict.fromkeys(digest for digest in digests if low <= digest <= high), most))


def _around(layout: IndexLayout, places: Iterable[int]) -> Iterable[Span]:
    """What to read for the block records at these places."""
    if layout.entries_at <= _HEAD:
        yield 0, layout.entries_at
        return
    for at in places:
        start = max(at - at % _BLOCKS_AROUND, layout.blocks_at)
        yield start, min(at - at % _BLOCKS_AROUND + _BLOCKS_AROUND, layout.fanout_at)
        yield at, at + INDEX_BLOCK.size


class _Copy:
    """A file that gives slices, as bytes do. A mapped one would count as this process's memory where it is touched."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._length = os.fstat(self._file.fileno()).st_size
        self._lock = Lock()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice, /) -> bytes:
        start, stop, step = part.indices(self._length)
        wanted = max(stop - start, 0)
        if hasattr(os, "pread"):
            content = os.pread(self._file.fileno(), wanted, start)
        else:
            with self._lock:
                self._file.seek(start)
                content = self._file.read(wanted)
        return content if step == 1 else content[::step]


def _digest_of(path: Path) -> bytes:
    """The digest of a file, read in pieces."""
    hasher = blake3()
    with path.open("rb", buffering=0) as file:
        while content := file.read(1 << 20):
            hasher.update(content)
    return hasher.digest()
