"""The entries of a tree by name, decoded when they are asked for.

A directory of a million files has 60 MB encoded, and ten times that as entries: so what is kept is the encoding, and
where each entry begins. Names are in ascending order, so that one of them is found by halving.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import ItemsView, Iterator, Mapping, ValuesView

from hitsave.objects.encoding import decode_entry_at, entry_offsets
from hitsave.objects.model import TreeEntry


class TreeTable(Mapping[bytes, TreeEntry]):
    """An encoded tree as a mapping of names, in ascending order. Raises MalformedObject where it is none."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offsets = entry_offsets(data)

    def __len__(self) -> int:
        return len(self._offsets)

    def __iter__(self) -> Iterator[bytes]:
        return (entry.name for entry in self.entries())

    def __getitem__(self, name: bytes) -> TreeEntry:
        at = bisect_left(self._offsets, name, key=lambda offset: decode_entry_at(self._data, offset).name)
        if at < len(self._offsets) and (found := decode_entry_at(self._data, self._offsets[at])).name == name:
            return found
        raise KeyError(name)

    def entries(self) -> Iterator[TreeEntry]:
        """The entries, ascending."""
        return (decode_entry_at(self._data, offset) for offset in self._offsets)

    def items(self) -> ItemsView[bytes, TreeEntry]:
        """Names and entries, none of them looked for."""
        return _Items(self)

    def values(self) -> ValuesView[TreeEntry]:
        """The entries, none of them looked for."""
        return _Values(self)


class _Items(ItemsView[bytes, TreeEntry]):
    _mapping: TreeTable

    def __iter__(self) -> Iterator[tuple[bytes, TreeEntry]]:
        return ((entry.name, entry) for entry in self._mapping.entries())


class _Values(ValuesView[TreeEntry]):
    _mapping: TreeTable

    def __iter__(self) -> Iterator[TreeEntry]:
        return self._mapping.entries()
