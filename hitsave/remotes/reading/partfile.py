"""A blob of a remote as a file: what is read of it comes, and little more.

Whoever reads on from where they were, and does so again, is read ahead for, by half of what they have read so: no more
than a third of what comes is not read then. Others get the chunks that they ask for.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from hitsave.errors import RemoteError
from hitsave.objects.digest import Digest
from hitsave.remotes.reading.parts import Parts, Wanted

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Small reads are served out of a buffer of so many bytes.
BUFFER = 64 << 10
#: No more is read ahead than this: as much as one request brings.
_FURTHEST = 8 << 20


class PartFile(io.BufferedReader):
    """The content of a blob for reading. `size` is in bytes."""

    def __init__(self, parts: Parts, blob: Digest) -> None:
        """Raises ObjectNotFound, ObjectError, RemoteError."""
        self.size = parts.size(blob)
        self._ahead = _ReadAhead(parts, blob, self.size)
        super().__init__(_RawPartFile(self._ahead), BUFFER)

    def read(self, size: int | None = -1, /) -> bytes:
        """As any file. A long read is one round of requests for what it asks for, and no buffer is filled by it."""
        if size is None or 0 <= size <= BUFFER or self.closed:
            return super().read(size)
        position = self.tell()
        rest = max(self.size - position, 0)
        content = bytearray(rest if size < 0 else min(size, rest))
        self._ahead.fill(position, memoryview(content))
        self.seek(position + len(content))
        return bytes(content)


class _ReadAhead:
    """Reads of one blob, and what the ones before tell of the next."""

    def __init__(self, parts: Parts, blob: Digest, size: int) -> None:
        self.size = size
        self._parts = parts
        self._blob = blob
        self._pid = os.getpid()
        #: Where the last read ended, its bytes, and the bytes that were read one after the other before it.
        self._end = self._last = self._run = 0

    def chunk_end(self, position: int) -> int:
        """Where the chunk ends in which a byte lies."""
        self._refuse_in_child()
        return self._parts.chunk_end(self._blob, position)

    def fill(self, start: int, target: memoryview) -> None:
        """Read what `target` has room for. Raises RemoteError."""
        if not target:
            return
        self._refuse_in_child()
        if start != self._end:
            self._last = self._run = 0
        stop = start + len(target)
        further = min(stop + min(self._run // 2, _FURTHEST), self.size)
        self._parts.fill([Wanted(self._blob, start, target)], (self._blob, stop, further) if further > stop else None)
        self._run += self._last
        self._end, self._last = stop, len(target)

    def _refuse_in_child(self) -> None:
        """A fork copies locks and connections as they are, and neither can be used."""
        if os.getpid() != self._pid:
            raise RemoteError(f"{self._blob.short} was opened before this process was forked; open it again in here")


class _RawPartFile(io.RawIOBase):
    def __init__(self, ahead: _ReadAhead) -> None:
        self._ahead = ahead
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._ahead.size}[whence]
        if position < 0:
            raise ValueError(f"negative seek position {position}")
        self._position = position
        return position

    def readinto(self, buffer: WriteableBuffer) -> int:
        target = memoryview(buffer).cast("B")
        length = max(min(len(target), self._ahead.size - self._position), 0)
        if 0 < length <= BUFFER:  # The buffer's last bytes may not be wanted: no other chunk is read for them.
            length = min(length, self._ahead.chunk_end(self._position) - self._position)
        self._ahead.fill(self._position, target[:length])
        self._position += length
        return length
