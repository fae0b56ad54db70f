"""Marks what is alive: one byte for each entry of each index, set where a ref reaches it.

An object that several packs hold is marked in one of them only, so that the others die.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from hitsave.errors import ObjectNotFound
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.graph import Link, links
from hitsave.packing.blocks import EntryKindInPack
from hitsave.packing.index import Index, Location, PackSummary
from hitsave.packing.pack import ENTRY_RECORD
from hitsave.packing.recipe import Chunk
from hitsave.remotes.reading.ranges import coalesce
from hitsave.remotes.reading.reader import Reader

#: Parts of recipes that are looked up at once.
_PARTS_AT_ONCE = 4096


@dataclass(slots=True)
class PackWeight:
    """What of a pack is alive: entries, and bytes of content, of `total` in all."""

    pack: PackSummary
    total: int
    entries: int = 0
    alive: int = 0


@dataclass(slots=True)
class Weights:
    """The packs of one index, and how many of its entries are not alive; of these, objects and their bytes."""

    packs: list[PackWeight]
    not_alive: int = 0
    dead: int = 0
    dead_size: int = 0


@dataclass(slots=True)
class MarkedIndex:
    """An index, and which of its entries are alive."""

    index: Index
    marked: bytearray = field(init=False)

    def __post_init__(self) -> None:
        self.marked = bytearray(self.index.entry_count)

    def weigh(self) -> Weights:
        """How much is alive, pack by pack."""
        packs = [PackWeight(pack, sum(block.raw for block in self.index.blocks_of(pack))) for pack in self.index.packs]
        owners = array("I", (number for number, weight in enumerate(packs) for _ in range(weight.pack.blocks)))
        found = Weights(packs)
        unpack = ENTRY_RECORD.unpack
        for record, alive in zip(self.index.records(), self.marked, strict=True):
            _, block, _, length, kind = unpack(record)
            if alive:
                weight = packs[owners[block]]
                weight.entries += 1
                weight.alive += length
            else:
                found.not_alive += 1
                found.dead += kind != EntryKindInPack.RECIPE
                found.dead_size += length if kind != EntryKindInPack.RECIPE else 0
        return found


class Marks:
    """Marks in several indexes. Those that come first are preferred."""

    def __init__(self, indexes: Sequence[Index]) -> None:
        self.indexes = [MarkedIndex(index) for index in indexes]

    def mark(self, digest: bytes) -> Location | None:
        """Mark an object; where it lies, or None where it was marked before. Raises ObjectNotFound."""
        for one in self.indexes:
            number = one.index.number_of(digest)
            if number >= 0:
                if one.marked[number]:
                    return None
                one.marked[number] = 1
                return one.index.location(number)
        raise ObjectNotFound(Digest(digest).hex(), "the remote")


def mark_reachable(marks: Marks, reader: Reader, roots: Iterable[tuple[Digest, ObjectKind]]) -> None:
    """Mark everything that `roots` reach. Raises ObjectNotFound, RemoteCorrupt: then nothing may be removed."""
    wanted = list(_mark_level(marks, (Link(digest, kind, 0) for digest, kind in roots)))
    listed: set[Digest] = set()
    while wanted:
        found: list[Location] = []
        parts: dict[Digest, int] = {}
        for location, content in reader.read_ranges(coalesce(wanted)):
            if location.kind == EntryKindInPack.RECIPE:
                recipe = reader.decode_recipe(location, content)
                _mark_chunks(marks, recipe.chunks)
                if recipe.of_parts:
                    parts |= recipe.chunks
            else:
                found += _mark_level(marks, links(ObjectKind(location.kind), bytes(content)))
        _mark_parts(marks, reader, {digest: length for digest, length in parts.items() if digest not in listed})
        listed |= parts.keys()
        wanted = found


def _mark_chunks(marks: Marks, chunks: Iterable[Chunk]) -> None:
    for chunk in chunks:
        marks.mark(chunk.digest)


def _mark_parts(marks: Marks, reader: Reader, parts: dict[Digest, int]) -> None:
    """Mark the chunks that parts of recipes list; of each part the bytes of its blob that it covers are given.

    Few of them are in memory at once, decoded: all together they are as many as the entries of the indexes.
    """
    left = iter(parts)
    while some := list(islice(left, _PARTS_AT_ONCE)):
        for location, content in reader.read_ranges(coalesce(reader.locate_many(some).values())):
            _mark_chunks(marks, reader.decode_part(location, content, parts[location.digest]))


def _mark_level(marks: Marks, level: Iterable[Link]) -> Iterator[Location]:
    """Mark objects; those that have to be looked into."""
    for link in level:
        location = marks.mark(link.digest)
        if location is not None and location.kind != EntryKindInPack.BLOB:
            yield location
