"""Reachability: which objects an object needs. No storage here: content comes through a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import decode_tree
from hitsave.objects.evaluation import decode_evaluation
from hitsave.objects.model import EntryKind


class Link(NamedTuple):
    """An object that another one needs; `size` is the blob's length, or the total beneath a tree."""

    digest: Digest
    kind: ObjectKind
    size: int


#: Gives the content of a tree or an evaluation; raises ObjectNotFound or CorruptObject.
Load = Callable[[Digest], bytes]


def links(kind: ObjectKind, content: bytes) -> Iterator[Link]:
    """What an object names directly. Raises MalformedObject."""
    if kind is ObjectKind.TREE:
        for entry in decode_tree(content).entries:
            beneath = ObjectKind.TREE if entry.kind is EntryKind.TREE else ObjectKind.BLOB
            yield Link(entry.digest, beneath, entry.size)
    elif kind is ObjectKind.EVALUATION:
        yield from map(Link._make, decode_evaluation(content).links)


def reachable(
    roots: Iterable[tuple[Digest, ObjectKind]],
    load: Load,
    seen: dict[Digest, ObjectKind] | None = None,
) -> dict[Digest, ObjectKind]:
    """Everything that `roots` need, themselves included, with its kind.

    `seen` holds what is known to be reachable already, with all beneath it; it is extended and returned, so that
    a second call costs only what is new. An error from `load` comes through: a mark that failed must not be used.
    """
    found = {} if seen is None else seen
    pending = [root for root in roots if root[0] not in found]
    while pending:
        digest, kind = pending.pop()
        if digest in found:
            continue
        found[digest] = kind
        if kind is not ObjectKind.BLOB:
            pending += [(link.digest, link.kind) for link in links(kind, load(digest)) if link.digest not in found]
    return found
