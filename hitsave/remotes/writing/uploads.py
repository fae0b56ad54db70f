"""Puts the packs of one push into a remote, several side by side.

Memory: a pack is held from its first block until it is in the remote, and no more than `MOST_PACKS` are held at once,
the one that is being filled among them: 4 x 64 MiB. Whoever would begin another one waits. What lies before the packs
(windows of files, blocks that are being compressed) is bounded by short queues: about 50 MiB.

The first error stops everything: what has not begun is left out, what is on its way comes to its end, and the error is
raised by the next call, or at the end.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from mmap import mmap
from types import TracebackType
from typing import NamedTuple

from hitsave.cache.overlap import Overlap
from hitsave.errors import RemoteConflict
from hitsave.packing.index import IndexedPack
from hitsave.remotes.commits.keys import pack_key
from hitsave.remotes.transports.protocol import Buffer, Transport

#: Packs in memory, whatever the transport would bear.
MOST_PACKS = 4


class _Stopped(Exception):
    """Nothing more is taken; why, the one who stopped it says."""


class FilledPack(NamedTuple):
    """A pack as it is to be put: what it holds, and its bytes."""

    pack: IndexedPack
    pieces: Sequence[Buffer]


class _Upload(NamedTuple):
    fill: Callable[[], FilledPack]
    buffer: mmap
    noted: bool


class Uploads:
    """Packs on their way. `note` is told of each that is durable, one at a time, if it was asked for.

    `packs` are those that were sent, in the order in which they arrived.
    """

    def __init__(self, transport: Transport, pack_size: int, note: Callable[[IndexedPack], None]) -> None:
        self.pack_size = pack_size
        self.packs: list[IndexedPack] = []
        self._transport = transport
        self._note = note
        self._failure: BaseException | None = None
        self._lock = threading.Lock()
        self._noting = threading.Lock()
        # One is filled while another is sent.
        slots = max(2, min(transport.parallel, MOST_PACKS))
        #: Buffers of packs, used again and again; None for one that was not needed yet.
        self._free: queue.LifoQueue[mmap | None] = queue.LifoQueue()
        for _ in range(slots):
            self._free.put(None)
        self._threads = Overlap(self._carry_out, waiting=slots, threads=slots)

    def __enter__(self) -> Uploads:
        self._threads.__enter__()
        return self

    def buffer(self) -> mmap:
        """Memory for a pack of `pack_size` bytes, as soon as there is some; it has to be given to `send`."""
        free = self._free.get()
        if self._failure is not None:
            self._free.put(free)  # Somebody else may wait.
        self._check()
        return free or mmap(-1, self.pack_size)

    def send(self, fill: Callable[[], FilledPack], buffer: mmap, noted: bool) -> None:
        """Send what `fill` gives, which is called in another thread. `buffer` is used again when it is done."""
        self._check()
        self._threads.submit(_Upload(fill, buffer, noted))

    def stop(self, error: BaseException | None = None) -> None:
        """Begin nothing more."""
        with self._lock:
            self._failure = self._failure or error or _Stopped()
        self._free.put(None)  # Wakes who waits for a buffer.

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _carry_out(self, upload: _Upload) -> None:
        try:
            if self._failure is None:
                self._put(upload)
        except BaseException as error:
            self.stop(error)
        finally:
            self._free.put(upload.buffer)

    def _put(self, upload: _Upload) -> None:
        pack, pieces = upload.fill()
        # The very same bytes: a push that died had sent them.
        with contextlib.suppress(RemoteConflict):
            self._transport.put(pack_key(pack.digest), pieces)
        with self._lock:
            self.packs.append(pack)
        if upload.noted:
            with self._noting:
                self._transport.sync()
                self._note(pack)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.stop(error)
        if isinstance(error, KeyboardInterrupt):
            self._transport.close()  # Nobody wants to wait for what is on its way.
        self._threads.__exit__(kind, error, trace)
        if error is None:
            self._check()
