"""Which parts of packs to read for some entries: what lies close together comes in one request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hitsave.objects.digest import Digest
from hitsave.packing.blocks import Codec
from hitsave.packing.index import Location

#: Bytes between two blocks that are cheaper to read than another request.
NEAR = 64 * 1024
#: One request asks for no more than this, unless one block is larger.
LONGEST_RANGE = 8 << 20
#: Chunks are put in their order in windows whose blocks have no more bytes than this, decoded.
_WINDOW = 32 << 20


class Range(NamedTuple):
    """Blocks of one pack that are read in one request."""

    pack: Digest
    start: int
    length: int
    locations: list[Location]


class Window(NamedTuple):
    """Entries that are wanted in an order of their own, each with a number for whom it is, and the ranges of all."""

    order: list[tuple[int, Location]]
    ranges: list[Range]


def coalesce(locations: Iterable[Location]) -> Iterator[Range]:
    """The requests that bring these entries: blocks of one pack that lie close together come in one."""
    current: Range | None = None
    for location in sorted(locations, key=lambda found: (found.pack, found.block.offset, found.offset)):
        block = location.block
        if current is not None and current.pack == location.pack:
            end = current.start + current.length
            stop = max(end, block.offset + block.stored)
            if block.offset - end <= NEAR and (stop == end or stop - current.start <= LONGEST_RANGE):
                current.locations.append(location)
                current = current._replace(length=stop - current.start)
                continue
        if current is not None:
            yield current
        current = Range(location.pack, block.offset, block.stored, [location])
    if current is not None:
        yield current


def windows(wanted: Iterable[tuple[int, Location]]) -> Iterator[Window]:
    """Cut a long sequence of entries into windows of which each has about as much as one request brings.

    Within a window the order in which the entries lie does not matter: what a file shares with an older version lies
    in another pack than what is new in it, and each pack is asked once for each window.
    """
    order: list[tuple[int, Location]] = []
    blocks: set[tuple[Digest, int]] = set()
    stored = raw = 0
    for number, location in wanted:
        block = location.block
        place = (location.pack, block.offset)
        if place not in blocks:
            if order and (stored + block.stored > LONGEST_RANGE or raw + block.raw > _WINDOW):
                yield _window(order)
                order, blocks, stored, raw = [], set(), 0, 0
            blocks.add(place)
            stored += block.stored
            raw += block.raw
        order.append((number, location))
    if order:
        yield _window(order)


def _window(order: list[tuple[int, Location]]) -> Window:
    return Window(order, [*coalesce({location for _, location in order})])


def memory(wanted: Range) -> int:
    """Bytes that a range needs when it was read and decoded."""
    blocks = {location.block for location in wanted.locations}
    return wanted.length + sum(block.raw for block in blocks if block.codec != Codec.RAW)
