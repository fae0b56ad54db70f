"""Lookups in an index of which only parts are read: header and fan-out, then buckets, then block and pack records.

Nothing here is checked against the index's digest. What leads outside of the index, or to something malformed, is
MalformedObject; where parts are not enough, NeedsWhole.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import islice
from typing import TypeVar

from hitsave.errors import MalformedObject
from hitsave.objects.digest import DIGEST_SIZE, Digest
from hitsave.packing.commit import StoredFile
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
from hitsave.remotes.commits.pages import REQUEST, Pages, Span

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


class NeedsWhole(Exception):
    """Parts of an index are not enough."""


class IndexParts:
    """What was read of one index. `get` gives its bytes from one offset to another; `pack_lengths` are in bytes."""

    def __init__(self, get: Callable[[int, int], bytes], file: StoredFile) -> None:
        self._file = file
        self._pages = Pages(get, file.length)
        self._layout: IndexLayout | None = None
        #: What was looked up, of which all parts are in memory now.
        self._looked_up: set[Digest] = set()
        self.pack_lengths: dict[Digest, int] = {}

    def whole_is_cheaper(self, digests: Iterable[Digest]) -> bool:
        """Whether these lookups, with what was read before, would cost as much as the whole index."""
        lookups = sum(digest not in self._looked_up for digest in digests)
        return lookups > 0 and self._pages.spent + lookups * REQUEST >= self._file.length

    def find(self, digests: Sequence[Digest]) -> Search[dict[Digest, Location]]:
        """Where objects are; what is not in this index is left out. Four rounds of requests at most."""
        layout = yield from self._open(digests)
        buckets = yield from self._buckets(layout, digests)
        if any(stop - start > _LARGEST_PART for start, stop in buckets.values()):
            raise NeedsWhole
        yield self._pages.jobs(buckets.values())
        records: dict[Digest, bytes] = {}
        for digest, span in buckets.items():
            if record := find_in_bucket(self._pages.read(*span), digest):
                records[digest] = record
        found = (yield from self._locate(layout, records)) if records else {}
        self._looked_up.update(digests)
        return found

    def complete(self, low: bytes, high: bytes, most: int) -> Search[list[Digest]]:
        """The first `most` digests from `low` to `high`, both included, ascending."""
        ends = (Digest(low), Digest(high))
        layout = yield from self._open(ends)
        buckets = yield from self._buckets(layout, ends)
        start, stop = buckets[ends[0]][0], buckets[ends[1]][1]
        if stop - start > _LARGEST_PART:
            raise NeedsWhole
        yield self._pages.jobs([(start, stop)])
        entries = self._pages.read(start, stop)
        step = ENTRY_RECORD.size
        digests = (Digest(entries[at : at + DIGEST_SIZE]) for at in range(0, len(entries), step))
        return list(islice(dict.fromkeys(digest for digest in digests if low <= digest <= high), most))

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
        self.pack_lengths |= {pack.digest: pack.length for pack in packs.values()}
        found: dict[Digest, Location] = {}
        for digest, record in records.items():
            block, owner = blocks[numbers[digest]]
            found[digest] = locate_entry(record, block, packs[owner])
        return found


def _around(layout: IndexLayout, places: Iterable[int]) -> Iterable[Span]:
    """What to read for the block records at these places."""
    if layout.entries_at <= _HEAD:
        yield 0, layout.entries_at
        return
    for at in places:
        start = max(at - at % _BLOCKS_AROUND, layout.blocks_at)
        yield start, min(at - at % _BLOCKS_AROUND + _BLOCKS_AROUND, layout.fanout_at)
        yield at, at + INDEX_BLOCK.size
