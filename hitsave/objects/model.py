"""What a tree is (objects_spec.md, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from hitsave.objects.digest import Digest


class EntryKind(IntEnum):
    """What one entry of a tree is."""

    FILE = 1
    EXECUTABLE = 2
    TREE = 3
    SYMLINK = 4


class TreeEntry(NamedTuple):
    """One name of a directory.

    `size` is in bytes; for a tree it is the total beneath it, for a symlink the length of its target.
    `files` counts the entries beneath a tree that are not trees; it is 1 for anything else.
    A symlink's digest is that of the blob which holds its target.
    """

    name: bytes
    kind: EntryKind
    digest: Digest
    size: int
    files: int = 1


@dataclass(frozen=True, slots=True)
class Tree:
    """One directory: entries with distinct names, sorted by their bytes."""

    entries: tuple[TreeEntry, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of content beneath this directory."""
        return sum(entry.size for entry in self.entries)

    @property
    def files(self) -> int:
        """Number of entries beneath this directory that are not directories."""
        return sum(entry.files for entry in self.entries)

    def get(self, name: bytes) -> TreeEntry | None:
        """The entry with this name."""
        return next((entry for entry in self.entries if entry.name == name), None)
