"""Reads objects out of a view of a remote, every one checked against its digest.

Blocks are read by ranges, several at once and ahead of their use; those that lie close together come in one request. No
more than 64 MiB are held at once that were read and not used yet. A wrong byte is RemoteCorrupt, which names the pack.

A reader may work beside a collection. Where something is not what it should be, `look_again` tells whether that is the
remote's fault: not where there is a newer commit by now, nor before all that the view believed was checked.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from hitsave.errors import MalformedObject, ObjectNotFound, RemoteCorrupt, RemoteNotFound
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.packing.blocks import EntryKindInPack, decode_block, entry_content
from hitsave.packing.index import Location
from hitsave.packing.pack import Block
from hitsave.packing.packreader import check_entry
from hitsave.packing.recipe import Chunk, Recipe, decode_part, decode_recipe, join_parts
from hitsave.remotes.ahead import in_order
from hitsave.remotes.commits.keys import pack_key
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.commits.view import View
from hitsave.remotes.reading.ranges import Range, Window, coalesce, memory, windows

__all__ = ["Content", "Reader", "Shelf", "coalesce", "corrupt_pack", "look_again", "missing_pack"]

#: Bytes of decoded blocks that are kept; the last one is, however large it is.
_KEPT = 8 << 20
_TRIES = 5

Content = bytes | memoryview
Answer = TypeVar("Answer")


class Shelf(NamedTuple):
    """A view of a remote with a reader of it: where objects are looked up that are not in the cache."""

    view: View
    reader: Reader

    def complete(self, abbreviation: str) -> list[Digest]:
        """The objects that an abbreviated digest may stand for."""
        return self.view.complete(abbreviation)

    def kind_of(self, digest: Digest) -> ObjectKind:
        """The kind of an object. Raises ObjectNotFound."""
        kind = self.reader.locate(digest).kind
        return ObjectKind.BLOB if kind == EntryKindInPack.RECIPE else ObjectKind(kind)


def corrupt_pack(remote: Remote, pack: Digest, reason: str) -> RemoteCorrupt:
    """What is wrong with a pack."""
    return RemoteCorrupt(remote.transport.url, pack_key(pack), reason)


def missing_pack(remote: Remote, pack: Digest) -> RemoteCorrupt:
    """What is wrong where a pack is not there that an index names."""
    return corrupt_pack(remote, pack, "is missing, and an index names it")


def look_again(remote: Remote, view: View, error: RemoteCorrupt | ObjectNotFound) -> View:
    """The view to try again with, after an error. Raises the error where another try would tell the same.

    There is another view where a commit came meanwhile: a collection may have removed what the older one names. And the
    same view may tell more when its indexes, of which only parts were read, are read whole and checked.
    """
    newest = remote.latest()
    if newest.digest != view.digest:
        return newest
    if not view.settle(found_only=isinstance(error, RemoteCorrupt)):
        raise error
    return view


class Reader:
    """Reads from one view; keeps the blocks that it decoded last. `received` counts the bytes of packs that it read.

    `kept_bytes` bounds what is kept.
    """

    def __init__(self, remote: Remote, view: View, kept_bytes: int = _KEPT) -> None:
        self._remote = remote
        self._view = view
        self.received = 0
        self._lock = threading.Lock()
        self._blocks: OrderedDict[tuple[Digest, Block], Content] = OrderedDict()
        self._kept_bytes = kept_bytes
        self._held = 0

    # -- single objects

    def locate(self, digest: Digest) -> Location:
        """Where an object is. Raises ObjectNotFound."""
        return self.trying_again(lambda: self.locate_many([digest])[digest])

    def read(self, digest: Digest) -> bytes:
        """A small object, or a whole large one."""

        def read_it() -> bytes:
            location = self.locate_many([digest])[digest]
            content = bytes(self.entry(location))
            if location.kind != EntryKindInPack.RECIPE:
                return content
            whole = b"".join(map(bytes, self._chunks(self._flat(location, content).chunks, digest)))
            if blob_digest(whole) != digest:
                raise self._corrupt(location.pack, f"the recipe of {digest} makes other content")
            return whole

        return self.trying_again(read_it)

    def recipe(self, digest: Digest) -> Recipe | None:
        """How a large object is made; None for a small one."""
        return self.trying_again(lambda: self._recipe_of(digest))

    def read_range(self, digest: Digest, offset: int, length: int) -> bytes:
        """A part of a blob; of a large one, only the chunks that it lies in are read."""
        return self.trying_again(lambda: self._read_range(digest, offset, length))

    def size(self, digest: Digest) -> int:
        """The length of an object in bytes."""
        recipe = self.recipe(digest)
        return recipe.size if recipe else self.locate(digest).length

    def trying_again(self, action: Callable[[], Answer]) -> Answer:
        """What `action` gives, carried out again where another look at the remote may help."""
        for _ in range(_TRIES):
            try:
                return action()
            except (RemoteCorrupt, ObjectNotFound) as error:
                self._view = look_again(self._remote, self._view, error)
        return action()

    def _recipe_of(self, digest: Digest) -> Recipe | None:
        location = self.locate_many([digest])[digest]
        if location.kind != EntryKindInPack.RECIPE:
            return None
        return self._flat(location, self.entry(location))

    def _flat(self, location: Location, content: Content) -> Recipe:
        return self.flat_recipes([(location, content)])[0][1]

    def _read_range(self, digest: Digest, offset: int, length: int) -> bytes:
        recipe = self._recipe_of(digest)
        if recipe is None:
            return bytes(self.entry(self.locate_many([digest])[digest]))[offset : offset + length]
        chosen: list[Chunk] = []
        at = first = 0
        for chunk in recipe.chunks:
            if at + chunk.length > offset and at < offset + length:
                first = first if chosen else at
                chosen.append(chunk)
            at += chunk.length
        content = b"".join(map(bytes, self._chunks(chosen, digest)))
        return content[max(offset - first, 0) :][:length]

    def _chunks(self, chunks: Sequence[Chunk], blob: Digest) -> list[Content]:
        located = self.locate_many([chunk.digest for chunk in chunks])
        pieces: list[Content] = []
        with self.reading_windows(windows((0, located[chunk.digest]) for chunk in chunks)) as read:
            for window, contents in read:
                pieces += [contents[location.digest] for _, location in window.order]
        for chunk, piece in zip(chunks, pieces, strict=True):
            if len(piece) != chunk.length:
                pack = located[chunk.digest].pack
                raise self._corrupt(pack, f"a chunk of {blob} has another length than its recipe says")
        return pieces

    def entry(self, location: Location) -> Content:
        """The content of an entry, checked."""
        key = (location.pack, location.block)
        with self._lock:
            content = self._blocks.get(key)
            if content is not None:
                self._blocks.move_to_end(key)
        if content is None:
            stored = self._get(location.pack, location.block.offset, location.block.stored)
            content = self._decode(location.pack, location.block, stored)
            self._keep(location.pack, location.block, content)
        return self._take(location, content)

    def _keep(self, pack: Digest, block: Block, content: Content) -> None:
        with self._lock:
            if (pack, block) not in self._blocks:
                self._blocks[pack, block] = content
                self._held += len(content)
            while self._held > self._kept_bytes and len(self._blocks) > 1:
                self._held -= len(self._blocks.popitem(last=False)[1])

    # -- many at once; these do not look again by themselves

    def locate_many(self, digests: Iterable[Digest]) -> dict[Digest, Location]:
        """Where objects and chunks are. Raises ObjectNotFound for the first one that is nowhere."""
        wanted = list(digests)
        found = self._view.find_many(wanted)
        if len(found) < len(wanted) and (missing := [digest for digest in wanted if digest not in found]):
            raise ObjectNotFound(str(missing[0]), f"the remote {self._remote.transport.url}")
        return found

    def read_many(self, digests: Iterable[Digest]) -> dict[Digest, bytes]:
        """Small objects, such as trees: those of one folder often lie in one block, which is kept for the next call."""
        located = self.locate_many(digests).values()
        found = {location.digest: bytes(content) for location, content in self.kept(located)}
        with self.reading(coalesce(place for place in located if place.digest not in found), keep=True) as read:
            for _, entries in read:
                found |= {location.digest: bytes(content) for location, content in entries}
        return found

    def kept(self, locations: Iterable[Location]) -> Iterator[tuple[Location, Content]]:
        """Those entries, with their contents, whose blocks were kept: they take no request."""
        for location in locations:
            if (location.pack, location.block) in self._blocks:
                yield location, self.entry(location)

    def read_ranges(self, ranges: Iterable[Range]) -> Iterator[tuple[Location, Content]]:
        """Each entry with its content, checked; every block is decoded once."""
        with self.reading(ranges) as read:
            for _, entries in read:
                yield from entries

    @contextmanager
    def reading(
        self, ranges: Iterable[Range], keep: bool = False
    ) -> Iterator[Iterator[tuple[Range, list[tuple[Location, Content]]]]]:
        """As `read_ranges`, range by range; what is under way has ended when the block is left.

        `keep` keeps blocks for `entry`.
        """
        with in_order(ranges, lambda part: self._read_part(part, keep), self._threads, memory) as read:
            yield read

    @contextmanager
    def reading_windows(self, wanted: Iterable[Window]) -> Iterator[Iterator[tuple[Window, dict[Digest, Content]]]]:
        """Each window with the contents of its entries, checked."""

        def read_window(window: Window) -> dict[Digest, Content]:
            entries = (entry for part in window.ranges for entry in self._read_part(part, keep=False))
            return {location.digest: content for location, content in entries}

        with in_order(wanted, read_window, self._threads, lambda window: sum(map(memory, window.ranges))) as read:
            yield read

    @property
    def _threads(self) -> int:
        return self._remote.transport.parallel

    def _read_part(self, wanted: Range, keep: bool) -> list[tuple[Location, Content]]:
        return self.entries_of(wanted, memoryview(self._get(wanted.pack, wanted.start, wanted.length)), keep)

    def entries_of(self, wanted: Range, stored: memoryview, keep: bool = False) -> list[tuple[Location, Content]]:
        """The entries of a range of which the stored bytes are here, with their contents, checked."""
        decoded: Block | None = None
        content: Content = b""
        found: list[tuple[Location, Content]] = []
        for location in wanted.locations:
            block = location.block
            if block != decoded:  # An empty block shares its offset with the one behind it.
                decoded = block
                begin = block.offset - wanted.start
                content = self._decode(wanted.pack, block, stored[begin : begin + block.stored])
                if keep:
                    content = memoryview(bytes(content))  # Not a view of all that came with it.
                    self._keep(wanted.pack, block, content)
            found.append((location, self._take(location, content)))
        return found

    # -- one block

    def _corrupt(self, pack: Digest, reason: str) -> RemoteCorrupt:
        return corrupt_pack(self._remote, pack, reason)

    def _get(self, pack: Digest, start: int, length: int) -> bytes:
        try:
            content = self._remote.transport.get(pack_key(pack), start, length)
        except RemoteNotFound:
            raise missing_pack(self._remote, pack) from None
        with self._lock:
            self.received += len(content)
        if len(content) != length:
            raise self._corrupt(pack, "is shorter than its index says")
        return content

    def _decode(self, pack: Digest, block: Block, stored: Content) -> Content:
        try:
            return memoryview(decode_block(block.codec, stored, block.raw))
        except MalformedObject as error:
            raise self._corrupt(pack, f"the block at {block.offset}: {error}") from None

    def _take(self, location: Location, content: Content) -> Content:
        try:
            piece = entry_content(content, location.digest, location.offset, location.length)
            check_entry(location.digest, location.kind, piece)
        except MalformedObject as error:
            raise self._corrupt(location.pack, f"object {location.digest}: {error}") from None
        return piece

    def flat_recipes(self, entries: Iterable[tuple[Location, Content]]) -> list[tuple[Location, Recipe]]:
        """The recipes that entries hold, each with all of its chunks; parts are read. Raises RemoteCorrupt."""
        decoded = [(location, self.decode_recipe(location, content)) for location, content in entries]
        parts = {part.digest for _, recipe in decoded if recipe.of_parts for part in recipe.chunks}
        contents = self.read_many(parts) if parts else {}
        return [(location, self._join(location, recipe, contents)) for location, recipe in decoded]

    def _join(self, location: Location, recipe: Recipe, contents: Mapping[Digest, bytes]) -> Recipe:
        try:
            return join_parts(recipe, contents)
        except MalformedObject as error:
            raise self._corrupt(location.pack, f"the parts of the recipe of {recipe.blob}: {error}") from None

    def decode_recipe(self, location: Location, content: Content) -> Recipe:
        """The recipe that an entry holds, which may be one of parts. Raises RemoteCorrupt."""
        try:
            return decode_recipe(bytes(content), location.digest)
        except MalformedObject as error:
            raise self._corrupt(location.pack, str(error)) from None

    def decode_part(self, location: Location, content: Content, length: int) -> tuple[Chunk, ...]:
        """The chunks that a part of a recipe lists, which covers `length` bytes of its blob. Raises RemoteCorrupt."""
        try:
            return decode_part(bytes(content), length)
        except MalformedObject as error:
            raise self._corrupt(location.pack, f"a part of a recipe, {location.digest}: {error}") from None
