"""How a large object is cut into chunks (objects_spec.md, section 7.1).

The way of cutting is recorded in a remote when it is made, and holds for its life: the same content must always
be cut at the same places, or nothing would be recognised.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chunking:
    """Every `size` bytes from the beginning; the last chunk is what remains."""

    algorithm: str = "fixed"
    size: int = 1 << 20

    def cuts(self, length: int) -> Iterator[tuple[int, int]]:
        """(offset, length) in bytes of each chunk of an object of `length` bytes."""
        for offset in range(0, length, self.size):
            yield offset, min(self.size, length - offset)
