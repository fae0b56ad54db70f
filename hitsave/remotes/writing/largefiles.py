"""Sends large blobs: the chunks that are not in the remote, and a recipe for each blob.

A file is read in windows that end where a chunk ends: while one is cut, the chunks of others are hashed in other
threads. It is read and not mapped, because bytes that were read stay as they were hashed, whatever becomes of the file,
and because a file that is truncated under a mapping would end the process. Chunks that lie close together share a
block, and are compressed together.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from blake3 import blake3

from hitsave.cache.hashing import new_hasher
from hitsave.errors import CorruptObject, ReliedOnLost
from hitsave.objects.digest import Digest, blob_digest
from hitsave.packing.blocks import BLOCK_TARGET, BlockBuilder, BlockEntry, EntryKindInPack
from hitsave.packing.chunking import Chunking
from hitsave.packing.recipe import Chunk, Recipe, encode_recipe, split_recipe
from hitsave.progress import Progress
from hitsave.remotes.ahead import in_order
from hitsave.remotes.writing.packstream import PackStream

#: Bytes of a file that are read at once.
WINDOW = 8 << 20
_THREADS = 2
#: Bytes whose chunks are being hashed while another window is read.
_AHEAD = 2 * WINDOW

#: Which of these entries, by digest, need not be sent.
There = Callable[[Sequence[bytes]], set[bytes]]


@dataclass(slots=True)
class _File:
    digest: Digest
    path: Path
    hasher: blake3
    chunks: list[Chunk] = field(default_factory=list)
    size: int = 0


class _Window(NamedTuple):
    """Whole chunks of a file, one after the other."""

    file: _File
    content: memoryview
    lengths: list[int]
    last: bool


class LargeFiles:
    """Sends files of the cache into one stream; a chunk that several of them have is sent once."""

    def __init__(self, stream: PackStream, chunking: Chunking, there: There, progress: Progress) -> None:
        self._stream = stream
        self._chunking = chunking
        self._there = there
        self._progress = progress
        self._sent: set[bytes] = set()
        self._recipes = BlockBuilder()

    def send(self, files: Mapping[Digest, Path]) -> None:
        """Send these blobs. Raises CorruptObject, and ReliedOnLost where a file has moved."""
        windows = (window for digest, path in files.items() for window in self._read(digest, path))
        with in_order(windows, _hash_chunks, _THREADS, lambda window: len(window.content), _AHEAD) as hashed:
            for window, chunks in hashed:
                self._send_chunks(window, chunks)
                window.file.chunks += chunks
                self._progress.advance(len(window.content))
                if window.last:
                    self._end(window.file)
        self._send_recipes()

    def _read(self, digest: Digest, path: Path) -> Iterator[_Window]:
        file = _File(digest, path, new_hasher())
        with _open(path, digest) as opened:
            size = os.fstat(opened.fileno()).st_size
            step = WINDOW
            while True:
                asked = min(step, size - file.size)
                content = memoryview(_read_at(opened, file.size, asked))
                last = len(content) < asked or file.size + asked >= size
                lengths = [length for _, length in self._chunking.cuts(content)]
                if not last and len(lengths) == 1:
                    step *= 2  # A chunk may be longer than what was read.
                    continue
                if not last:
                    content = content[: -lengths.pop()]  # It goes on behind the window.
                file.hasher.update(content)
                file.size += len(content)
                yield _Window(file, content, lengths, last)
                if last:
                    return

    def _send_chunks(self, window: _Window, chunks: Sequence[Chunk]) -> None:
        there = self._there([chunk.digest for chunk in chunks])
        block = _ChunkBlock(window.content)
        offset = 0
        for chunk in chunks:
            if chunk.digest not in there and chunk.digest not in self._sent:
                self._sent.add(chunk.digest)
                block.add(chunk, offset)
                if block.size >= BLOCK_TARGET:
                    self._stream.add(block.parts(), block.entries)
                    block = _ChunkBlock(window.content)
            offset += chunk.length
        if block.entries:
            self._stream.add(block.parts(), block.entries)

    def _end(self, file: _File) -> None:
        if file.hasher.digest() != file.digest:
            reason = "its content has another digest; nothing was pushed"
            raise CorruptObject(str(file.digest), os.fspath(file.path), reason)
        # A single chunk has the name of the blob itself.
        if len(file.chunks) != 1 and not self._there([file.digest]):
            self._send_recipe(Recipe(file.digest, file.size, tuple(file.chunks)))
        self._progress.advance(0, 1)

    def _send_recipe(self, flat: Recipe) -> None:
        recipe, parts = split_recipe(flat)
        there = self._there(list(parts)) | self._sent
        for digest, content in parts.items():
            if digest not in there:
                self._sent.add(digest)
                self._recipes.add(digest, EntryKindInPack.BLOB, content)
        self._recipes.add(recipe.blob, EntryKindInPack.RECIPE, encode_recipe(recipe))
        if self._recipes.full:
            self._send_recipes()

    def _send_recipes(self) -> None:
        """Recipes lie together, apart from chunks: whoever fetches many files reads those of all in a few requests."""
        if self._recipes.entries:
            self._stream.add(self._recipes.parts, self._recipes.entries)
            self._recipes = BlockBuilder()


class _ChunkBlock:
    """Chunks of one window that are to share a block. Those that follow one another are not copied."""

    def __init__(self, content: memoryview) -> None:
        self.entries: list[BlockEntry] = []
        self.size = 0
        self._content = content
        self._runs: list[tuple[int, int]] = []

    def add(self, chunk: Chunk, offset: int) -> None:
        """The chunk that lies there in the window."""
        end = offset + chunk.length
        if self._runs and self._runs[-1][1] == offset:
            self._runs[-1] = (self._runs[-1][0], end)
        else:
            self._runs.append((offset, end))
        self.entries.append(BlockEntry(chunk.digest, EntryKindInPack.BLOB, self.size, chunk.length))
        self.size += chunk.length

    def parts(self) -> list[memoryview]:
        """The content of the block."""
        return [self._content[start:end] for start, end in self._runs]


def _hash_chunks(window: _Window) -> list[Chunk]:
    chunks = []
    offset = 0
    for length in window.lengths:
        chunks.append(Chunk(blob_digest(window.content[offset : offset + length]), length))
        offset += length
    return chunks


def _open(path: Path, digest: Digest) -> BinaryIO:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        raise ReliedOnLost([str(digest)]) from None


def _read_at(file: BinaryIO, offset: int, length: int) -> bytes:
    """Fewer bytes where the file has become shorter."""
    file.seek(offset)
    content = file.read(length)
    while len(content) < length and (more := file.read(length - len(content))):
        content += more
    return content
