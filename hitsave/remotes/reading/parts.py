"""Parts of blobs out of a remote: only the chunks that they lie in are read, each checked.

A recipe is bound to its blob (objects_spec.md, section 7), so that a part can be trusted without the whole. The list of
a very large blob's chunks is read in parts, too. Blocks that were read last are kept in memory, for whoever reads on,
and nothing is kept on the disk.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from hitsave.errors import MalformedObject, ObjectError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.packing.blocks import EntryKindInPack
from hitsave.packing.recipe import Chunk, decode_part
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.commits.view import View
from hitsave.remotes.reading.ranges import coalesce
from hitsave.remotes.reading.reader import Content, Reader, corrupt_pack

#: Bytes of decoded blocks that are kept for who reads on.
KEPT_BYTES = 32 << 20
_OUTLINES_KEPT = 32


class Piece(NamedTuple):
    """A chunk of a blob, or a part of the list of its chunks: where in the blob what it covers begins, in bytes."""

    start: int
    digest: Digest
    length: int


class Wanted(NamedTuple):
    """Bytes from `start` on of a blob, as many as `target` has room for."""

    blob: Digest
    start: int
    target: memoryview


class Outline:
    """How a blob is made, as far as its recipe tells: of chunks, or of parts of their list. `size` is in bytes."""

    __slots__ = ("_chunks", "_ends", "of_parts", "size")

    def __init__(self, chunks: Sequence[Chunk], of_parts: bool = False) -> None:
        self._chunks = chunks
        self._ends = list(accumulate(chunk.length for chunk in chunks))
        self.of_parts = of_parts
        self.size = self._ends[-1] if self._ends else 0

    def covering(self, start: int, stop: int) -> Iterator[Piece]:
        """What the bytes from `start` up to `stop` lie in, in order."""
        stop = stop if start < stop else 0
        for number in range(bisect_right(self._ends, start), len(self._chunks)):
            digest, length = self._chunks[number]
            begin = self._ends[number] - length
            if begin >= stop:
                return
            yield Piece(begin, digest, length)


class _Span(NamedTuple):
    """Where a piece belongs in what somebody wants."""

    piece: Piece
    wanted: Wanted

    def copy(self, content: Content) -> None:
        (start, _, length), target = self.piece, self.wanted.target
        offset = start - self.wanted.start
        begin, end = max(offset, 0), min(offset + length, len(target))
        target[begin:end] = content[begin - offset : end - offset]


class Parts:
    """Reads parts of the blobs of one remote. Safe to use from several threads."""

    def __init__(self, remote: Remote, view: View, kept_bytes: int = KEPT_BYTES) -> None:
        self.view = view
        self._remote = remote
        self.reader = Reader(remote, view, kept_bytes)
        self._outlines: OrderedDict[Digest, Outline] = OrderedDict()
        self._lock = threading.Lock()

    def kind(self, digest: Digest) -> ObjectKind:
        """What an object is. Raises ObjectNotFound, RemoteError."""
        kind = self.reader.locate(digest).kind
        return ObjectKind.BLOB if kind == EntryKindInPack.RECIPE else ObjectKind(kind)

    def size(self, blob: Digest) -> int:
        """The bytes of a blob. Raises ObjectNotFound, ObjectError where it is something else, RemoteError."""
        return self._outline(blob).size

    def read(self, ranges: Iterable[tuple[Digest, int, int]]) -> list[bytes]:
        """Bytes of blobs from a start up to a stop, fewer where a blob ends before. Raises as `size`.

        What lies close together in packs comes in one request, whatever ranges it is for.
        """
        buffers = [(blob, start, bytearray(max(min(stop, self.size(blob)) - start, 0))) for blob, start, stop in ranges]
        self.fill([Wanted(blob, start, memoryview(buffer)) for blob, start, buffer in buffers])
        return [bytes(buffer) for _, _, buffer in buffers]

    def chunk_end(self, blob: Digest, start: int) -> int:
        """Where the chunk ends in which a byte of a blob lies."""
        (piece,) = self._pieces(blob, start, start + 1)
        return piece.start + piece.length

    def fill(self, wanted: Sequence[Wanted], ahead: tuple[Digest, int, int] | None = None) -> None:
        """Read what is wanted, which must not reach beyond the ends of blobs.

        `ahead`, bytes of a blob from a start up to a stop, is read with it where something has to be read at all.
        Raises as `size`.
        """
        spans: dict[Digest, list[_Span]] = {}
        for one in wanted:
            for piece in self._pieces(one.blob, one.start, one.start + len(one.target)):
                spans.setdefault(piece.digest, []).append(_Span(piece, one))
        self.reader.trying_again(lambda: self._read(spans, ahead))

    def _read(self, spans: Mapping[Digest, list[_Span]], ahead: tuple[Digest, int, int] | None) -> None:
        located = self.reader.locate_many(spans)
        rest = dict(located)
        for location, content in self.reader.kept(located.values()):
            del rest[location.digest]
            self._use(content, spans[location.digest])
        if not rest:
            return
        if ahead is not None:
            further = [piece.digest for piece in self._pieces(*ahead) if piece.digest not in located]
            rest |= self.reader.locate_many(further)
        with self.reader.reading(coalesce(rest.values()), keep=True) as read:
            for _, entries in read:
                for location, content in entries:
                    self._use(content, spans.get(location.digest, ()))

    def _use(self, content: Content, spans: Iterable[_Span]) -> None:
        for span in spans:
            if len(content) != span.piece.length:
                blob = span.wanted.blob
                pack = self.reader.locate(blob).pack
                raise corrupt_pack(self._remote, pack, f"a chunk of {blob} has another length than its recipe says")
            span.copy(content)

    # -- recipes

    def _pieces(self, blob: Digest, start: int, stop: int) -> list[Piece]:
        outline = self._outline(blob)
        found = list(outline.covering(start, stop))
        if not outline.of_parts or not found:
            return found
        contents = self._lists([part.digest for part in found])
        return [
            piece._replace(start=part.start + piece.start)
            for part in found
            for piece in self._chunks(part, contents[part.digest]).covering(start - part.start, stop - part.start)
        ]

    def _lists(self, parts: list[Digest]) -> dict[Digest, bytes]:
        return self.reader.trying_again(lambda: self.reader.read_many(parts))

    def _chunks(self, part: Piece, content: bytes) -> Outline:
        try:
            return Outline(decode_part(content, part.length))
        except MalformedObject:  # Said again, with the pack's name.
            return Outline(self.reader.decode_part(self.reader.locate(part.digest), content, part.length))

    def _outline(self, blob: Digest) -> Outline:
        with self._lock:
            if known := self._outlines.get(blob):
                self._outlines.move_to_end(blob)
                return known
        found = self.reader.trying_again(lambda: self._load_outline(blob))
        with self._lock:
            self._outlines[blob] = found
            while len(self._outlines) > _OUTLINES_KEPT:
                self._outlines.popitem(last=False)
        return found

    def _load_outline(self, blob: Digest) -> Outline:
        location = self.reader.locate_many([blob])[blob]
        if location.kind == EntryKindInPack.RECIPE:
            recipe = self.reader.decode_recipe(location, self.reader.entry(location))
            return Outline(recipe.chunks, recipe.of_parts)
        if location.kind != EntryKindInPack.BLOB:
            raise ObjectError(f"{blob.short} is a {ObjectKind(location.kind).name.lower()}, not a blob")
        return Outline((Chunk(blob, location.length),))
