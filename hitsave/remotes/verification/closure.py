"""Follows the refs of a remote, and tells what they need that is not there, and whose it is.

Trees and recipes are read level by level, and side by side; of other objects it is looked up only that they are there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from hitsave.errors import MalformedObject, RemoteCorrupt
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.graph import Link, links
from hitsave.objects.refs import Ref
from hitsave.packing.blocks import EntryKindInPack
from hitsave.packing.index import Location
from hitsave.packing.recipe import Recipe, decode_recipe, join_parts
from hitsave.remotes.reading.ranges import coalesce
from hitsave.remotes.reading.reader import Content, Reader
from hitsave.remotes.verification.holdings import Holdings

#: So many chunks of one large object are looked up at once.
_AT_ONCE = 8192


class Piece(NamedTuple):
    """A chunk, and where it lies in its blob, in bytes."""

    digest: Digest
    offset: int
    length: int


class Lost(NamedTuple):
    """An object that cannot be had: what it is, why, the pack it is lost with, and which of its chunks are lost."""

    kind: ObjectKind
    size: int
    reason: str
    pack: Digest | None = None
    chunks: tuple[Piece, ...] = ()


class Closure:
    """What refs need. `note` is told where each entry of it lies, some of them several times."""

    def __init__(
        self, holdings: Holdings, reader: Reader, note: Callable[[Iterable[Location]], object] = lambda _: None
    ) -> None:
        self._holdings = holdings
        self._reader = reader
        self._note = note
        #: Objects that cannot be had.
        self.lost: dict[Digest, Lost] = {}
        #: Of each tree what is beneath it, but for small blobs that are there.
        self._beneath: dict[Digest, list[Digest]] = {}
        self._seen: set[Digest] = set()

    def follow(self, roots: Iterable[tuple[Digest, ObjectKind]]) -> None:
        """Look at everything that these objects need. Raises RemoteError where the store does not answer."""
        level = self._choose(Link(digest, kind, 0) for digest, kind in roots)[1]
        while level:
            level = self._look_into(level)

    def follow_found(self, digest: Digest, content: bytes) -> None:
        """A tree or an evaluation that was lost was found: look at what it needs."""
        kind = self.lost.pop(digest).kind
        self._beneath[digest], level = self._choose(links(kind, content))
        while level:
            level = self._look_into(level)

    def _choose(self, wanted: Iterable[Link]) -> tuple[list[Digest], list[tuple[Location, Link]]]:
        """Those of some objects that are lost or have something beneath them, and which of these to look into."""
        asked = {link.digest: link for link in wanted}
        places = self._holdings.find_many(asked)
        self._note(places.values())
        chosen: list[Digest] = []
        unseen: list[tuple[Location, Link]] = []
        for digest, link in asked.items():
            place = places.get(digest)
            if place is None:
                self._lose(digest, link)
            elif link.kind is ObjectKind.BLOB and place.kind != EntryKindInPack.RECIPE:
                continue
            elif digest not in self._seen:
                unseen.append((place, link))
            self._seen.add(digest)
            chosen.append(digest)
        return chosen, unseen

    def _lose(self, digest: Digest, link: Link) -> None:
        if digest not in self._seen:
            reason, pack = self._holdings.why_not(digest)
            self.lost[digest] = Lost(link.kind, link.size, f"the object {reason}", pack)

    def _look_into(self, level: Sequence[tuple[Location, Link]]) -> list[tuple[Location, Link]]:
        asked = {link.digest: link for _, link in level}
        found: list[tuple[Location, Link]] = []
        for location, content in read_each(self._reader, [location for location, _ in level]):
            link = asked[location.digest]
            try:
                if isinstance(content, RemoteCorrupt):
                    self.lost[link.digest] = Lost(link.kind, link.size, str(content), location.pack)
                elif location.kind == EntryKindInPack.RECIPE:
                    self._check_recipe(link, location, content)
                else:
                    self._beneath[link.digest], unseen = self._choose(links(link.kind, bytes(content)))
                    found += unseen
            except MalformedObject as error:
                self.lost[link.digest] = Lost(link.kind, link.size, str(error), location.pack)
        return found

    def _check_recipe(self, link: Link, location: Location, content: Content) -> None:
        recipe = decode_recipe(bytes(content), location.digest)
        if recipe.of_parts:
            parts = {part.digest for part in recipe.chunks}
            places = self._holdings.find_many(parts)
            self._note(places.values())
            if missing := sorted(parts - places.keys()):
                reason, pack = self._holdings.why_not(missing[0])
                reason = f"a part of its recipe, {missing[0]}, {reason}"
                self.lost[link.digest] = Lost(ObjectKind.BLOB, recipe.size, reason, pack)
                return
            recipe = join_parts(recipe, read_parts(self._reader, places.values()))
        self._check_chunks(link, recipe)

    def _check_chunks(self, link: Link, recipe: Recipe) -> None:
        lost: dict[Digest, Piece] = {}
        offset = 0
        for at in range(0, len(recipe.chunks), _AT_ONCE):
            some = recipe.chunks[at : at + _AT_ONCE]
            places = self._holdings.find_many(chunk.digest for chunk in some)
            self._note(places.values())
            for digest, length in some:
                if digest not in places:
                    lost[digest] = Piece(digest, offset, length)
                offset += length
        if lost:
            first = next(iter(lost))
            reason, pack = self._holdings.why_not(first)
            reason = f"its chunk {first} {reason}"
            self.lost[link.digest] = Lost(ObjectKind.BLOB, recipe.size, reason, pack, tuple(lost.values()))

    def owners(self, refs: Iterable[Ref]) -> dict[Digest, tuple[str, ...]]:
        """For each object that is lost, the refs that need it, by name."""
        if not self.lost:
            return {}
        above: dict[Digest, list[Digest]] = {}
        for tree, beneath in self._beneath.items():
            for digest in beneath:
                above.setdefault(digest, []).append(tree)
        holders: dict[Digest, list[str]] = {}
        for ref in refs:
            holders.setdefault(ref.digest, []).append(str(ref.name))
        return {digest: tuple(sorted(_owners_of(digest, above, holders))) for digest in self.lost}


def _owners_of(digest: Digest, above: dict[Digest, list[Digest]], holders: dict[Digest, list[str]]) -> set[str]:
    owners: set[str] = set()
    seen = {digest}
    pending = [digest]
    while pending:
        current = pending.pop()
        owners.update(holders.get(current, ()))
        for tree in above.get(current, ()):
            if tree not in seen:
                seen.add(tree)
                pending.append(tree)
    return owners


def read_parts(reader: Reader, places: Collection[Location]) -> dict[Digest, bytes]:
    """The parts of a recipe. Raises MalformedObject where one cannot be read."""
    found: dict[Digest, bytes] = {}
    for place, content in read_each(reader, places):
        if isinstance(content, RemoteCorrupt):
            raise MalformedObject("recipe", f"a part of it cannot be read: {content}")
        found[place.digest] = bytes(content)
    return found


def read_each(reader: Reader, wanted: Collection[Location]) -> Iterator[tuple[Location, Content | RemoteCorrupt]]:
    """Entries with their contents, or with what is wrong: one that is damaged does not keep the others from coming."""
    done: set[Digest] = set()
    try:
        for location, content in reader.read_ranges(coalesce(wanted)):
            done.add(location.digest)
            yield location, content
        return
    except RemoteCorrupt:
        pass
    for location in wanted:
        if location.digest not in done:
            try:
                yield location, reader.entry(location)
            except RemoteCorrupt as error:
                yield location, error
