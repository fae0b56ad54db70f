"""Makes packs for a remote out of blocks: compressed, put together, hashed and sent, each in threads of its own."""

from __future__ import annotations

from collections.abc import Sequence
from mmap import mmap
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from hitsave.cache.intake import WHOLE_FROM
from hitsave.cache.overlap import Overlap
from hitsave.packing.blocks import BlockEntry, BlockSorter, EntryKindInPack, encode_block
from hitsave.packing.index import IndexedPack
from hitsave.packing.pack import PACK_TARGET, PackBuilder
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.transports.protocol import Buffer
from hitsave.remotes.writing.uploads import FilledPack, Uploads

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

#: Packs are not made smaller than this where there is enough to send.
SMALLEST_PACK = 8 << 20
#: A push makes about so many packs. One that was killed has lost no more than the packs that were under way.
_PACKS_WANTED = 64
#: A pack that did not become full is noted, too, where it is as large and more packs follow.
_WORTH_NOTING = 1 << 20
_WAITING_BLOCKS = 16


def pack_size(size: int) -> int:
    """How large packs should be, in bytes, where so many bytes are to be sent."""
    return min(max(size // _PACKS_WANTED, SMALLEST_PACK), PACK_TARGET)


class EncodedBlock(NamedTuple):
    """A block as it is stored; `raw` is its length when decoded."""

    codec: int
    stored: Buffer
    raw: int
    entries: tuple[BlockEntry, ...]


class PackStream:
    """Blocks given to it end in packs of one session, in their order.

    Leaving the block without an error sends the last pack; when it has arrived, `uploads` knows. `followed` says that
    another stream of the same push will begin then.
    """

    def __init__(self, uploads: Uploads, pool: Executor, session: Session, followed: bool = False) -> None:
        self._uploads = uploads
        self._pool = pool
        self._session = session
        self._followed = followed
        self._overlap: Overlap[EncodedBlock | Future[EncodedBlock]] = Overlap(self._write, waiting=_WAITING_BLOCKS)
        self._builder: PackBuilder | None = None
        self._buffer: mmap | None = None
        self._used = 0

    def __enter__(self) -> PackStream:
        self._overlap.__enter__()
        return self

    def add(self, parts: Sequence[Buffer], entries: Sequence[BlockEntry]) -> None:
        """The next block, not yet encoded. Its parts must not change afterwards."""
        self._overlap.submit(self._pool.submit(_encode, tuple(parts), tuple(entries)))

    def add_encoded(self, block: EncodedBlock) -> None:
        """The next block, as it is stored. What it refers to must not change afterwards."""
        self._overlap.submit(block)

    def _write(self, coming: EncodedBlock | Future[EncodedBlock]) -> None:
        block = coming if isinstance(coming, EncodedBlock) else coming.result()
        builder = self._builder or self._begin()
        stored = builder.block(block.codec, block.stored, block.raw, block.entries)
        last = self._append(stored)
        if builder.length >= self._uploads.pack_size:
            self._send(last, noted=True)

    def _begin(self) -> PackBuilder:
        self._buffer = self._uploads.buffer()
        self._used = 0
        self._builder = PackBuilder(self._session.token)
        self._append(self._builder.header())
        return self._builder

    def _append(self, piece: Buffer) -> list[Buffer]:
        """Copy a piece behind the others. One that does not fit is given back: the pack is full, and ends with it."""
        assert self._buffer is not None
        end = self._used + len(piece)
        if end > len(self._buffer):
            return [bytes(piece)]
        self._buffer[self._used : end] = piece
        self._used = end
        return []

    def _send(self, last: list[Buffer], noted: bool) -> None:
        builder, buffer = self._builder, self._buffer
        if builder is None or buffer is None:
            return
        self._builder = self._buffer = None
        pieces = [memoryview(buffer)[: self._used], *last, builder.finish()]
        filled = FilledPack(IndexedPack(builder.digest, builder.length, builder.table), pieces)
        self._uploads.send(lambda: filled, buffer, noted)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._uploads.stop(error)
        self._overlap.__exit__(kind, error, trace)
        if error is None:
            self._send([], noted=self._followed and self._used >= _WORTH_NOTING)


class EntryStream:
    """Puts entries together in blocks of a stream."""

    def __init__(self, stream: PackStream) -> None:
        self._stream = stream
        self._blocks = BlockSorter()

    def add(self, digest: bytes, kind: int, content: Buffer) -> None:
        """The next entry. Its content must not change afterwards."""
        if block := self._blocks.add(digest, kind, content):
            self._stream.add(block.parts, block.entries)

    def flush(self) -> None:
        """Send what is left."""
        for block in self._blocks.rest():
            self._stream.add(block.parts, block.entries)


def holds_large(pack: IndexedPack) -> bool:
    """Whether a pack holds parts of large objects. They lie apart from small ones: caches take packs of these whole."""
    entries = pack.table.entries()
    return any(entry.kind == EntryKindInPack.RECIPE or entry.length >= WHOLE_FROM for entry in entries)


def _encode(parts: tuple[Buffer, ...], entries: tuple[BlockEntry, ...]) -> EncodedBlock:
    content = parts[0] if len(parts) == 1 else b"".join(parts)
    codec, stored = encode_block(content)
    return EncodedBlock(codec, stored, len(content), entries)
