"""What a remote has to be able to do. Keys are text with `/`; values are bytes; nothing is ever overwritten.

`put` creates a key only if it is free (RemoteConflict otherwise): this is all that the commit log needs to keep two
writers apart. A key that is missing is RemoteNotFound; what may work when it is tried again is RemoteUnavailable.
Whatever was put, or was found to be there when it was to be put, is durable after `sync`. A listing holds every key
whose creation was reported before it began.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

Buffer = bytes | bytearray | memoryview


class Listed(NamedTuple):
    """A key with its value's size in bytes, and when it was created by the store's clock, in seconds since 1970."""

    key: str
    size: int
    modified: int


class Transport(Protocol):
    """One store. Methods may be called from several threads at once; `parallel` says of how many that pays."""

    url: str
    parallel: int

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """A value, or `length` bytes of it from `start` on; fewer where it ends before."""

    def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
        """Create a key with a value, which may be given in pieces. Raises RemoteConflict."""

    def put_file(self, key: str, path: Path) -> None:
        """Create a key with the content of a file.

        For keys that are named by their content: one that is taken may be written again with the very same bytes
        instead of being a RemoteConflict.
        """

    def download(self, key: str, path: Path) -> None:
        """Write a value into a file, which must not exist."""

    def list(self, prefix: str, after: str = "") -> list[str]:
        """The keys that begin with `prefix` and sort after `after`, ascending."""

    def scan(self, prefix: str) -> Iterator[Listed]:
        """The keys that begin with `prefix`, with sizes and ages, in any order."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys; those that are missing are no error."""

    def sync(self) -> None:
        """Make everything that was put so far durable."""

    def close(self) -> None:
        """End connections. A later call may open them again."""
