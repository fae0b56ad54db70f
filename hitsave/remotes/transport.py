"""What a remote has to be able to do. Keys are text with `/`; values are bytes; nothing is ever overwritten.

`put` and `Upload.finish` create a key only if it is free (RemoteConflict otherwise): this is all that the commit log
needs to keep two writers apart. A key that is missing is RemoteNotFound. Whatever was put, or was found to be there
when it was to be put, is durable after `sync`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol


class Upload(Protocol):
    """A value that is written piece by piece; its key is known only at the end."""

    def write(self, content: bytes | bytearray | memoryview) -> None:
        """The next piece."""

    def finish(self, key: str) -> None:
        """Give it its key. Raises RemoteConflict."""

    def abandon(self) -> None:
        """Leave nothing behind. Does nothing after `finish`."""


class Transport(Protocol):
    """One store. Methods may be called from several threads."""

    url: str

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """A value, or `length` bytes of it from `start` on; fewer where it ends before."""

    def put(self, key: str, content: bytes) -> None:
        """Create a key with a value."""

    def put_file(self, key: str, path: Path) -> None:
        """Create a key with the content of a file."""

    def upload(self) -> Upload:
        """Begin a value of which the key is not known yet."""

    def download(self, key: str, path: Path) -> None:
        """Write a value into a file, which must not exist."""

    def list(self, prefix: str, after: str = "") -> list[str]:
        """The keys that begin with `prefix` and sort after `after`, ascending."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys; those that are missing are no error."""

    def sync(self) -> None:
        """Make everything that was put so far durable."""
