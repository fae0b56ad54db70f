"""Marks what is alive: one byte for each entry of each index, set where a ref reaches it.

An object that several packs hold is marked in one of them only, so that the others die.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hitsave.errors import MalformedObject, ObjectNotFound
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.graph import Link, links
from hitsave.packing.blocks import EntryKindInPack
from hitsave.packing.index import Index, IndexedPack, Location
from hitsave.packing.recipe import decode_recipe
from hitsave.remotes.ranges import coalesce
from hitsave.remotes.reader import Reader


class Marks:
    """The entries of some indexes, none of them marked at first. Indexes that come first are preferred."""

    def __init__(self, indexes: Sequence[Index]) -> None:
        self._marked = [(index, bytearray(index.entry_count)) for index in indexes]

    def mark(self, digest: bytes) -> Location | None:
        """Mark an object; where it lies, or None where it was marked before. Raises ObjectNotFound."""
        for index, marked in self._marked:
            number = index.number_of(digest)
            if number >= 0:
                if marked[number]:
                    return None
                marked[number] = 1
                return index.location(number)
        raise ObjectNotFound(Digest(digest).hex(), "the remote")

    def tables(self) -> list[list[IndexedPack]]:
        """The packs of each index, and of their entries those that are marked."""
        return [index.tables(only=marked) for index, marked in self._marked]

    def dead(self) -> Iterator[Location]:
        """The entries that are not marked."""
        for index, marked in self._marked:
            at = marked.find(0)
            while at >= 0:
                yield index.location(at)
                at = marked.find(0, at + 1)


def mark_reachable(marks: Marks, reader: Reader, roots: Iterable[tuple[Digest, ObjectKind]]) -> None:
    """Mark everything that `roots` reach. Raises ObjectNotFound, RemoteCorrupt: then nothing may be removed."""
    wanted = list(_mark_level(marks, (Link(digest, kind, 0) for digest, kind in roots)))
    while wanted:
        found: list[Link] = []
        for location, content in reader.read_ranges(coalesce(wanted)):
            if location.kind == EntryKindInPack.RECIPE:
                _mark_chunks(marks, location, bytes(content))
            else:
                found += links(ObjectKind(location.kind), bytes(content))
        wanted = list(_mark_level(marks, found))


def _mark_level(marks: Marks, level: Iterable[Link]) -> Iterator[Location]:
    """Mark objects; those that have to be looked into."""
    for link in level:
        location = marks.mark(link.digest)
        if location is not None and location.kind != EntryKindInPack.BLOB:
            yield location


def _mark_chunks(marks: Marks, location: Location, content: bytes) -> None:
    try:
        recipe = decode_recipe(content, location.digest)
    except MalformedObject as error:  # It was verified when it was read.
        raise ObjectNotFound(location.digest.hex(), f"the remote ({error})") from None
    for chunk in recipe.chunks:
        marks.mark(chunk.digest)
