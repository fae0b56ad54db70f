"""Finding things inside trees by path."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

from hitsave.errors import ObjectError
from hitsave.objects.digest import Digest
from hitsave.objects.encoding import decode_tree
from hitsave.objects.model import EntryKind, TreeEntry

#: Gives the content of a tree.
Load = Callable[[Digest], bytes]
#: Tells by its path whether to look into a directory.
Enter = Callable[[bytes], bool]


#: Entries of directories that were met before: so many are looked into, and so many for each other entry.
MOST_REPEATED = 1_000_000
_COPIES = 20


class Repeats:
    """Counts what directories hold that were met before.

    Forty directories, each of which holds the next one twice, are a few kilobytes and a million million files. What is
    met for the first time somebody has stored, and it may well be there in some copies.
    """

    def __init__(self) -> None:
        self._met: set[Hashable] = set()
        self._left = MOST_REPEATED

    def note(self, directory: Hashable, entries: int) -> None:
        """Take note of a directory that is looked into. Raises ObjectError where there is no end of them."""
        if directory not in self._met:
            self._met.add(directory)
            self._left += _COPIES * entries
            return
        self._left -= max(entries, 1)
        if self._left < 0:
            raise ObjectError("the same directories come over and over in it, more often than can be looked at")


def _everywhere(path: bytes) -> bool:
    return True


def entry_at(root: Digest, path: bytes, load: Load) -> TreeEntry | None:
    """The entry at a path inside a tree; None where there is none. An empty path gives the root itself."""
    found = TreeEntry(b"", EntryKind.TREE, root, 0, 0)
    for name in path.split(b"/"):
        if name in (b"", b"."):
            continue
        if found.kind is not EntryKind.TREE:
            return None
        inner = decode_tree(load(found.digest)).get(name)
        if inner is None:
            return None
        found = inner
    return found


def walk(root: Digest, load: Load, enter: Enter = _everywhere) -> Iterator[tuple[bytes, TreeEntry]]:
    """Every entry beneath a tree with its path, directories before what they hold, by name.

    `enter` tells by its path whether a directory is looked into. Raises ObjectError where there is no end of them.
    """
    repeats = Repeats()
    pending: list[tuple[bytes, TreeEntry]] = [(b"", TreeEntry(b"", EntryKind.TREE, root, 0, 0))]
    while pending:
        path, entry = pending.pop()
        if path:
            yield path, entry
        if entry.kind is EntryKind.TREE and (not path or enter(path)):
            prefix = path + b"/" if path else b""
            tree = decode_tree(load(entry.digest))
            repeats.note(entry.digest, len(tree.entries))
            pending += [(prefix + inner.name, inner) for inner in reversed(tree.entries)]


def parents_of(path: bytes) -> Iterator[bytes]:
    """The directories above a path inside a tree, the innermost first."""
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path
