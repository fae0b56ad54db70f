"""Writes packs into a folder, in a thread of its own: compressing and writing overlap with reading and hashing."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable

from hitsave.cache.files import write_all
from hitsave.objects.digest import ObjectKind
from hitsave.packing.blocks import BlockBuilder, BlockSorter, encode_block
from hitsave.packing.index import IndexedPack
from hitsave.packing.pack import NONCE_SIZE, PACK_TARGET, PackBuilder

_QUEUED_BLOCKS = 8


class PackWriter:
    """Turns contents into finished packs `FOLDER/HEX.pack`. Not durable before the caller syncs them.

    Blobs and trees go into blocks of their own, so that all trees of a dataset lie together.
    """

    def __init__(self, folder: str, nonce: Callable[[int], bytes] = os.urandom) -> None:
        self._folder = folder
        self._nonce = nonce
        self._blocks = BlockSorter()
        self._queue: queue.Queue[BlockBuilder | None] = queue.Queue(_QUEUED_BLOCKS)
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._builder: PackBuilder | None = None
        self._fd = -1
        self.packs: list[IndexedPack] = []

    def add(self, digest: bytes, kind: ObjectKind, content: bytes | memoryview) -> None:
        """Append an object. The caller vouches for the digest, and does not change the content afterwards."""
        if block := self._blocks.add(digest, kind, content):
            self._submit(block)

    def finish(self) -> list[IndexedPack]:
        """Write what is left; the packs that were made. Raises what went wrong in writing."""
        for block in self._blocks.rest():
            self._submit(block)
        self.stop()
        if self._failure is not None:
            raise self._failure
        if self._builder is not None:
            self._close_pack(self._builder)
        return self.packs

    def stop(self) -> None:
        """End the thread; what is not finished is abandoned."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def abandon(self) -> None:
        """End the thread and close what is open."""
        self.stop()
        if self._builder is not None:
            os.close(self._fd)
            self._builder = None

    def _submit(self, block: BlockBuilder) -> None:
        if self._failure is not None:
            raise self._failure
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="pack writer", daemon=True)
            self._thread.start()
        self._queue.put(block)

    def _work(self) -> None:
        while (block := self._queue.get()) is not None:
            if self._failure is None:
                try:
                    self._write(block)
                except BaseException as error:
                    self._failure = error

    def _write(self, block: BlockBuilder) -> None:
        content = block.content()
        codec, stored = encode_block(content)
        builder = self._builder or self._open_pack()
        write_all(self._fd, builder.block(codec, stored, len(content), block.entries))
        if builder.length >= PACK_TARGET:
            self._close_pack(builder)

    def _open_pack(self) -> PackBuilder:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._fd = os.open(os.path.join(self._folder, "pack"), flags, 0o644)
        self._builder = PackBuilder(self._nonce(NONCE_SIZE))
        write_all(self._fd, self._builder.header())
        return self._builder

    def _close_pack(self, builder: PackBuilder) -> None:
        write_all(self._fd, builder.finish())
        os.close(self._fd)
        self._builder = None
        digest = builder.digest
        os.rename(os.path.join(self._folder, "pack"), os.path.join(self._folder, f"{digest}.pack"))
        self.packs.append(IndexedPack(digest, builder.length, builder.table))
