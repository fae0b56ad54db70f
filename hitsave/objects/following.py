"""Paths through trees in which symbolic links are followed, as long as these stay inside."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from hitsave.objects.digest import Digest
from hitsave.objects.model import EntryKind, TreeEntry

#: No system has a link that is longer, in bytes.
LONGEST_LINK = 64 << 10
#: No system follows more links on one way, nor goes through so many names.
_MOST_LINKS, _MOST_NAMES = 40, 10_000

#: Gives what a directory has under a name.
Child = Callable[[Digest, bytes], TreeEntry | None]
#: Gives where a link leads that is at a path.
Target = Callable[[bytes, TreeEntry], bytes]


class Followed(NamedTuple):
    """What a path leads to, and the path at which that lies itself, without links."""

    path: bytes
    entry: TreeEntry


def follow(tree: Digest, path: bytes, child: Child, target: Target, last: bool = True) -> Followed | None:
    """What is at a path beneath a tree; an empty path gives the tree. Without `last`, a link at the end is what it is.

    None where there is nothing, also where a link leads nowhere or out of the tree. Raises what the callables raise.
    """
    pending = deque(path.split(b"/"))
    if b".." in pending:
        return None
    way, names, links = [TreeEntry(b"", EntryKind.TREE, tree, 0, 0)], 0, 0
    while pending:
        name, names = pending.popleft(), names + 1
        if names > _MOST_NAMES:
            return None
        if name == b".." and len(way) > 1:
            way.pop()
        elif name not in (b"", b"."):
            inner = child(way[-1].digest, name) if way[-1].kind is EntryKind.TREE else None
            if inner is None:
                return None
            if inner.kind is EntryKind.SYMLINK and (last or pending):
                links += 1
                leads = target(_path(way, inner), inner)
                if links > _MOST_LINKS or not leads or leads.startswith(b"/"):
                    return None
                pending.extendleft(reversed(leads.split(b"/")))
            else:
                way.append(inner)
    return Followed(_path(way[:-1], way[-1]), way[-1])


def _path(above: list[TreeEntry], entry: TreeEntry) -> bytes:
    """Where an entry lies beneath those above it, the first of which has no name."""
    return b"/".join([step.name for step in above[1:]] + [entry.name])
