"""Tree lists (objects_spec.md, section 9.8): all the trees of a public snapshot in one value.

Whoever reads one needs no listing and no account: the first tree has the digest that was asked for, and each later one
is named by one before it. So every byte is checked as it comes, and a host that sends anything else is found out at the
first tree that nobody named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hitsave.errors import MalformedObject
from hitsave.objects.digest import Digest, tree_digest
from hitsave.objects.encoding import decode_number, decode_tree, encode_number
from hitsave.objects.model import EntryKind, Tree

TREE_LIST_MAGIC = b"hsl\x01"
#: A directory of a million files has a tree of some 60 MB.
LONGEST_TREE = 1 << 30

_WHAT = "tree list"
_LONGEST_NUMBER = 9


def encode_tree_list(root: Digest, load: Callable[[Digest], bytes]) -> Iterator[bytes]:
    """The trees of a snapshot, each once, in the order in which they are first named; in pieces."""
    yield TREE_LIST_MAGIC
    named = {root: None}
    waiting = [root]
    for digest in waiting:  # Grows while it is read.
        content = load(digest)
        yield encode_number(len(content)) + content
        for tree in _trees_in(decode_tree(content)):
            if tree not in named:
                named[tree] = None
                waiting.append(tree)


def _trees_in(tree: Tree) -> Iterator[Digest]:
    return (entry.digest for entry in tree.entries if entry.kind is EntryKind.TREE)


class TreeListReader:
    """Takes a tree list in pieces, as they arrive. Raises MalformedObject for anything but the encoding."""

    def __init__(self, root: Digest) -> None:
        #: The trees that have come, by their digests.
        self.trees: dict[Digest, bytes] = {}
        self._due = [root]
        self._named = {root}
        self._rest = bytearray()
        self._begun = False

    def feed(self, piece: bytes | memoryview) -> None:
        """Take the next bytes."""
        self._rest += piece
        if not self._begun:
            if len(self._rest) < len(TREE_LIST_MAGIC):
                return
            if self._rest[: len(TREE_LIST_MAGIC)] != TREE_LIST_MAGIC:
                raise MalformedObject(_WHAT, "does not begin with the magic bytes", 0)
            del self._rest[: len(TREE_LIST_MAGIC)]
            self._begun = True
        start = 0
        while (end := self._end_of_tree(start)) is not None:
            self._take(bytes(memoryview(self._rest)[end[0] : end[1]]))
            start = end[1]
        del self._rest[:start]

    def _end_of_tree(self, start: int) -> tuple[int, int] | None:
        """Where the tree that begins here, with its length, begins and ends; None where that has not come yet."""
        head = bytes(self._rest[start : start + _LONGEST_NUMBER])
        if len(head) < _LONGEST_NUMBER and all(byte >= 0x80 for byte in head):
            return None
        length, offset = decode_number(head, 0, _WHAT)
        if length > LONGEST_TREE:
            raise MalformedObject(_WHAT, f"a tree of {length} bytes is too long")
        begin = start + offset
        return None if begin + length > len(self._rest) else (begin, begin + length)

    def _take(self, content: bytes) -> None:
        digest = tree_digest(content)
        position = len(self.trees)
        if position >= len(self._due) or digest != self._due[position]:
            raise MalformedObject(_WHAT, "holds a tree that is not the next one that was named")
        self.trees[digest] = content
        for tree in _trees_in(decode_tree(content)):
            if tree not in self._named:
                self._named.add(tree)
                self._due.append(tree)

    def close(self) -> None:
        """Nothing more comes. Raises MalformedObject where something is missing."""
        if not self._begun or self._rest or len(self.trees) < len(self._due):
            raise MalformedObject(_WHAT, "ends before its last tree")
