"""Reads objects out of a view of a remote, every one checked against its digest.

Blocks are read by ranges; those that lie close together come in one request. A wrong byte is RemoteCorrupt, which
names the pack.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hitsave.errors import MalformedObject, ObjectNotFound, RemoteCorrupt, RemoteNotFound
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.packing.blocks import EntryKindInPack, decode_block, entry_content
from hitsave.packing.index import Location
from hitsave.packing.pack import Block
from hitsave.packing.packreader import check_entry
from hitsave.packing.recipe import Chunk, Recipe, decode_recipe
from hitsave.remotes.keys import pack_key
from hitsave.remotes.log import Remote
from hitsave.remotes.view import View

#: Bytes between two blocks that are cheaper to read than another request.
NEAR = 64 * 1024
#: One request asks for no more than this, unless one block is larger.
LONGEST_RANGE = 8 << 20
_BLOCKS_KEPT = 16


class Range(NamedTuple):
    """Blocks of one pack that are read in one request."""

    pack: Digest
    start: int
    length: int
    locations: list[Location]


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


def missing_pack(remote: Remote, pack: Digest) -> RemoteCorrupt:
    """What is wrong where a pack is not there that an index names."""
    return RemoteCorrupt(remote.transport.url, pack_key(pack), "is missing, and an index names it")


class Reader:
    """Reads from one view; keeps the blocks that it decoded last. `received` counts the bytes of packs that it read."""

    def __init__(self, remote: Remote, view: View) -> None:
        self._remote = remote
        self._view = view
        self.received = 0
        self._blocks: OrderedDict[tuple[Digest, Block], bytes | memoryview] = OrderedDict()

    def locate(self, digest: Digest) -> Location:
        """Where an object is. Raises ObjectNotFound."""
        location = self._view.find(digest)
        if location is None:
            raise ObjectNotFound(str(digest), f"the remote {self._remote.transport.url}")
        return location

    def read(self, digest: Digest) -> bytes:
        """A small object, or a whole large one."""
        location = self.locate(digest)
        content = bytes(self.entry(location))
        if location.kind != EntryKindInPack.RECIPE:
            return content
        recipe = self._recipe(location, content)
        whole = b"".join(bytes(self._chunk(chunk, digest)) for chunk in recipe.chunks)
        if blob_digest(whole) != digest:
            raise self._corrupt(location.pack, f"the recipe of {digest} makes other content")
        return whole

    def recipe(self, digest: Digest) -> Recipe | None:
        """How a large object is made; None for a small one."""
        location = self.locate(digest)
        if location.kind != EntryKindInPack.RECIPE:
            return None
        return self._recipe(location, bytes(self.entry(location)))

    def read_range(self, digest: Digest, offset: int, length: int) -> bytes:
        """A part of a blob; of a large one, only the chunks that it lies in are read."""
        recipe = self.recipe(digest)
        if recipe is None:
            return self.read(digest)[offset : offset + length]
        pieces: list[bytes] = []
        at = 0
        for chunk in recipe.chunks:
            if at + chunk.length > offset and at < offset + length:
                content = bytes(self._chunk(chunk, digest))
                pieces.append(content[max(offset - at, 0) : offset + length - at])
            at += chunk.length
        return b"".join(pieces)

    def _chunk(self, chunk: Chunk, blob: Digest) -> bytes | memoryview:
        location = self.locate(chunk.digest)
        content = self.entry(location)
        if len(content) != chunk.length:
            raise self._corrupt(location.pack, f"a chunk of {blob} has another length than its recipe says")
        return content

    def _corrupt(self, pack: Digest, reason: str) -> RemoteCorrupt:
        return RemoteCorrupt(self._remote.transport.url, pack_key(pack), reason)

    def size(self, digest: Digest) -> int:
        """The length of an object in bytes."""
        recipe = self.recipe(digest)
        return recipe.size if recipe else self.locate(digest).length

    def entry(self, location: Location) -> bytes | memoryview:
        """The content of an entry, checked."""
        key = (location.pack, location.block)
        content = self._blocks.get(key)
        if content is not None:
            self._blocks.move_to_end(key)
        else:
            stored = self._get(location.pack, location.block.offset, location.block.stored)
            content = self._decode(location.pack, location.block, stored)
            self._blocks[key] = content
            while len(self._blocks) > _BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        return self._take(location, content)

    def read_ranges(self, ranges: Iterable[Range]) -> Iterator[tuple[Location, bytes | memoryview]]:
        """Each entry with its content, checked; every block is decoded once."""
        for wanted in ranges:
            stored = memoryview(self._get(wanted.pack, wanted.start, wanted.length))
            decoded: Block | None = None
            content: bytes | memoryview = b""
            for location in wanted.locations:
                block = location.block
                if block != decoded:  # An empty block shares its offset with the one behind it.
                    decoded = block
                    begin = block.offset - wanted.start
                    content = self._decode(wanted.pack, block, stored[begin : begin + block.stored])
                yield location, self._take(location, content)

    def _get(self, pack: Digest, start: int, length: int) -> bytes:
        key = pack_key(pack)
        try:
            content = self._remote.transport.get(key, start, length)
        except RemoteNotFound:
            raise missing_pack(self._remote, pack) from None
        self.received += len(content)
        if len(content) != length:
            raise self._corrupt(pack, "is shorter than its index says")
        return content

    def _decode(self, pack: Digest, block: Block, stored: bytes | memoryview) -> bytes | memoryview:
        try:
            return decode_block(block.codec, stored, block.raw)
        except MalformedObject as error:
            raise self._corrupt(pack, f"the block at {block.offset}: {error}") from None

    def _take(self, location: Location, content: bytes | memoryview) -> bytes | memoryview:
        try:
            piece = entry_content(content, location.digest, location.offset, location.length)
            check_entry(location.digest, location.kind, piece)
        except MalformedObject as error:
            raise self._corrupt(location.pack, f"object {location.digest}: {error}") from None
        return piece

    def _recipe(self, location: Location, content: bytes) -> Recipe:
        try:
            return decode_recipe(content, location.digest)
        except MalformedObject as error:
            raise self._corrupt(location.pack, str(error)) from None
