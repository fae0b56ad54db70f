"""Blocks: small objects that lie together, compressed together (objects_spec.md, section 5.2).

A thousand small files in blocks of 256 KiB compress several times better than one by one, and one object can be
read by decoding one block. zstandard is used where three small samples say that it pays.
"""

from __future__ import annotations

import threading
from enum import IntEnum
from typing import NamedTuple

import zstandard

from hitsave.errors import MalformedObject
from hitsave.objects.digest import Digest

#: Bytes of content after which a block is closed.
BLOCK_TARGET = 256 * 1024
#: No block decodes to more than this; a larger claim is refused before anything is decoded.
LARGEST_BLOCK = 1 << 30

#: A frame of no content is not longer than this.
_LARGEST_EMPTY_FRAME = 64
_LEVEL = 1
_SAMPLE = 4096
_WORTHWHILE = 0.97
_of_thread = threading.local()


class EntryKindInPack(IntEnum):
    """What an entry of a pack holds. The first three are the kinds of objects."""

    BLOB = 1
    TREE = 2
    EVALUATION = 3
    RECIPE = 4


class Codec(IntEnum):
    """How a block is stored."""

    RAW = 0
    ZSTD = 1


class BlockEntry(NamedTuple):
    """One object, or chunk of one, inside a block; offset and length are in bytes of the decoded block."""

    digest: bytes
    kind: int
    offset: int
    length: int


class BlockBuilder:
    """Collects contents until there is enough for a block."""

    __slots__ = ("entries", "parts", "size")

    def __init__(self) -> None:
        self.parts: list[bytes | bytearray | memoryview] = []
        self.entries: list[BlockEntry] = []
        self.size = 0

    def add(self, digest: bytes, kind: int, content: bytes | bytearray | memoryview) -> None:
        """Append one object. The caller vouches that the content has this digest."""
        length = len(content)
        self.entries.append(BlockEntry(digest, kind, self.size, length))
        self.parts.append(content)
        self.size += length

    @property
    def full(self) -> bool:
        """Whether the block has reached its target."""
        return self.size >= BLOCK_TARGET

    def content(self) -> bytes | bytearray | memoryview:
        """The block, not yet encoded."""
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)


class BlockSorter:
    """Fills blocks: blobs apart from what has to be looked into, so that all trees of a dataset lie together."""

    __slots__ = ("_blobs", "_others")

    def __init__(self) -> None:
        self._blobs = BlockBuilder()
        self._others = BlockBuilder()

    def add(self, digest: bytes, kind: int, content: bytes | bytearray | memoryview) -> BlockBuilder | None:
        """Append one entry; the block that it has filled, if it has."""
        block = self._blobs if kind == EntryKindInPack.BLOB else self._others
        block.add(digest, kind, content)
        if not block.full:
            return None
        if block is self._blobs:
            self._blobs = BlockBuilder()
        else:
            self._others = BlockBuilder()
        return block

    def rest(self) -> list[BlockBuilder]:
        """The blocks that are not full and have something in them; it begins anew."""
        blocks = [block for block in (self._blobs, self._others) if block.entries]
        self._blobs, self._others = BlockBuilder(), BlockBuilder()
        return blocks


def encode_block(
    content: bytes | bytearray | memoryview,
) -> tuple[Codec, bytes | bytearray | memoryview]:
    """The codec that pays, and the bytes to store."""
    if not _compresses(content):
        return Codec.RAW, content
    stored = _compressor().compress(content)
    return (Codec.ZSTD, stored) if len(stored) < len(content) * _WORTHWHILE else (Codec.RAW, content)


def _compresses(content: bytes | bytearray | memoryview) -> bool:
    size = len(content)
    if size <= 3 * _SAMPLE:
        return size > 64
    view = memoryview(content)
    starts = (0, (size - _SAMPLE) // 2, size - _SAMPLE)
    compressor = _compressor()
    return any(len(compressor.compress(view[at : at + _SAMPLE])) < _SAMPLE * _WORTHWHILE for at in starts)


def _compressor() -> zstandard.ZstdCompressor:
    """The one of this thread. Making one costs as much as compressing two samples, and two threads cannot share it."""
    kept: zstandard.ZstdCompressor | None = getattr(_of_thread, "compressor", None)
    if kept is None:
        kept = _of_thread.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    return kept


def decode_block(codec: int, stored: bytes | memoryview, raw_length: int) -> bytes | memoryview:
    """The content of a block. Raises MalformedObject where `stored` is not `raw_length` bytes under `codec`."""
    if raw_length > LARGEST_BLOCK:
        raise MalformedObject("block", f"claims {raw_length} bytes, more than {LARGEST_BLOCK}")
    if codec == Codec.RAW:
        content: bytes | memoryview = stored
    elif codec == Codec.ZSTD:
        content = decompress_frame(stored, raw_length, "block")
    else:
        raise MalformedObject("block", f"unknown codec {codec}")
    if len(content) != raw_length:
        raise MalformedObject("block", f"decodes to {len(content)} bytes instead of {raw_length}")
    return content


def decompress_frame(stored: bytes | memoryview, length: int, what: str) -> bytes:
    """What `stored` holds: one zstandard frame of `length` bytes, and nothing else. Raises MalformedObject.

    No memory is taken for a frame that claims another length.
    """
    try:
        if zstandard.get_frame_parameters(stored[:18]).content_size != length:
            raise MalformedObject(what, "its frame claims another length")
        if length == 0:
            _check_empty_frame(stored)
            return b""
        return zstandard.ZstdDecompressor().decompress(stored, max_output_size=length, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise MalformedObject(what, f"cannot be decompressed ({error})") from None


def _check_empty_frame(stored: bytes | memoryview) -> None:
    """The library looks no further where a frame claims no content. Raises ZstdError."""
    decoder = zstandard.ZstdDecompressor().decompressobj()
    content = decoder.decompress(stored[:_LARGEST_EMPTY_FRAME])
    whole = decoder.eof and not decoder.unused_data and len(stored) <= _LARGEST_EMPTY_FRAME
    if content or not whole or stored[:4] != zstandard.FRAME_HEADER:
        raise zstandard.ZstdError("not one frame of no content")


def entry_content(block: bytes | memoryview, digest: bytes, offset: int, length: int) -> bytes | memoryview:
    """One entry out of a decoded block. Raises MalformedObject where it lies outside."""
    if offset + length > len(block):
        raise MalformedObject("block", f"entry {Digest(digest).short} lies outside of it")
    return block[offset : offset + length]
