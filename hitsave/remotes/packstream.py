"""Writes packs straight into a remote: blocks in, finished packs out. Hashing and writing happen in another thread."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

from hitsave.cache.overlap import Overlap
from hitsave.packing.blocks import BlockEntry
from hitsave.packing.index import IndexedPack
from hitsave.packing.pack import NONCE_SIZE, PACK_TARGET, PackBuilder
from hitsave.remotes.keys import pack_key
from hitsave.remotes.transport import Buffer, Transport


class EncodedBlock(NamedTuple):
    """A block as it is stored; `raw` is its length when decoded."""

    codec: int
    stored: bytes | bytearray | memoryview
    raw: int
    entries: tuple[BlockEntry, ...]


class PackStream:
    """Blocks given to `add` end in packs of about 64 MiB. Leaving the block without an error finishes the last one.

    `note` is told of each pack that became full, once it is durable.
    """

    def __init__(
        self,
        transport: Transport,
        note: Callable[[IndexedPack], None] | None = None,
        nonce: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._transport = transport
        self._note = note
        self._nonce = nonce
        self._overlap = Overlap(self._write)
        self._builder: PackBuilder | None = None
        self._parts: list[Buffer] = []
        self.packs: list[IndexedPack] = []

    def __enter__(self) -> PackStream:
        self._overlap.__enter__()
        return self

    def add(self, block: EncodedBlock) -> None:
        """The next block. What it refers to must not change afterwards."""
        self._overlap.submit(block)

    def _write(self, block: EncodedBlock) -> None:
        if self._builder is None:
            self._builder = PackBuilder(self._nonce(NONCE_SIZE))
            self._parts = [self._builder.header()]
        self._parts.append(self._builder.block(block.codec, block.stored, block.raw, block.entries))
        if self._builder.length >= PACK_TARGET:
            self._finish()
            if self._note is not None:
                self._transport.sync()
                self._note(self.packs[-1])

    def _finish(self) -> None:
        if self._builder is None:
            return
        self._parts.append(self._builder.finish())
        self._transport.put(pack_key(self._builder.digest), self._parts)
        self.packs.append(IndexedPack(self._builder.digest, self._builder.length, self._builder.table))
        self._builder, self._parts = None, []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._overlap.__exit__(kind, error, trace)
        if error is None:
            self._finish()
