"""A tree with files added or replaced, of which only the directories on the way are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from hitsave.errors import SnapshotError
from hitsave.objects.digest import Digest, tree_digest
from hitsave.objects.encoding import decode_tree, encode_tree, tree_from
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.snapshots.names import Load, parents_of

#: Keeps the encoding of a tree.
KeepTree = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Amended:
    """The tree that came of it; how many files came to it, and how many took the place of others."""

    root: Digest
    size: int
    files: int
    added: int
    replaced: int


def amend(root: Digest, additions: Mapping[bytes, TreeEntry], load: Load, keep: KeepTree) -> Amended:
    """Put entries at their paths; a directory is merged with one that is there. Every new tree is given to `keep`.

    Raises SnapshotError where a file would take the place of a directory, or stands where one is needed.
    """
    return _Amendment(root, load).run(additions, keep)


@dataclass(slots=True)
class _Amendment:
    root: Digest
    load: Load
    directories: dict[bytes, dict[bytes, TreeEntry]] = field(default_factory=dict)
    added: int = 0
    replaced: int = 0

    def run(self, additions: Mapping[bytes, TreeEntry], keep: KeepTree) -> Amended:
        self.directories[b""] = self._entries(self.root)
        pending = list(additions.items())
        while pending:
            path, entry = pending.pop()
            pending += self._put(path, entry)
        tree = tree_from([])
        for path in sorted(self.directories, key=_depth, reverse=True):
            tree = tree_from(self.directories[path].values())
            encoded = encode_tree(tree)
            keep(encoded)
            digest = tree_digest(encoded)
            if path:
                above, _, name = path.rpartition(b"/")
                self.directories[above][name] = TreeEntry(name, EntryKind.TREE, digest, tree.size, tree.files)
        return Amended(digest, tree.size, tree.files, self.added, self.replaced)

    def _put(self, path: bytes, entry: TreeEntry) -> Iterable[tuple[bytes, TreeEntry]]:
        """Put one entry; what is in it is given back where it has to be merged."""
        above, _, name = path.rpartition(b"/")
        directory = self._directory(above)
        there = directory.get(name)
        if there is not None and (there.kind is EntryKind.TREE) is not (entry.kind is EntryKind.TREE):
            stands = "directory" if there.kind is EntryKind.TREE else "file"
            raise SnapshotError(f"{_shown(path)}: is a {stands} in the dataset, and stays one; name another place")
        if there is not None and entry.kind is EntryKind.TREE:
            return [(path + b"/" + inner.name, inner) for inner in self._entries(entry.digest).values()]
        directory[name] = entry._replace(name=name)
        if there is None:
            self.added += entry.files
        else:
            self.replaced += 1
        return []

    def _directory(self, path: bytes) -> dict[bytes, TreeEntry]:
        """What is in a directory, which is made where it is missing, with those above it."""
        for place in [*reversed([path, *parents_of(path)])] if path else []:
            if place not in self.directories:
                above, _, name = place.rpartition(b"/")
                found = self.directories[above].get(name)
                if found is not None and found.kind is not EntryKind.TREE:
                    raise SnapshotError(f"{_shown(place)}: is a file in the dataset, not a directory")
                self.directories[place] = {} if found is None else self._entries(found.digest)
        return self.directories[path]

    def _entries(self, tree: Digest) -> dict[bytes, TreeEntry]:
        return {entry.name: entry for entry in decode_tree(self.load(tree)).entries}


def _depth(path: bytes) -> int:
    return path.count(b"/") if path else -1


def _shown(path: bytes) -> str:
    return path.decode("utf-8", errors="surrogateescape")
