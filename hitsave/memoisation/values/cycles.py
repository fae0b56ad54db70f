"""Encodings of values that hold themselves.

The members of a cycle (of a strongly connected component of the graph of values) get names by refining classes: at
first every member is named after what it holds beside other members; then classes are split by the names of the
members that their members point to, until none splits any more. Members of one class cannot be told apart by
following references. The encoding of a member is the digest of its name and of the whole table of classes, so that it
depends neither on the member by which the cycle was entered, nor on ids, nor on the order in which sets are walked.

When a class splits, its largest part keeps the name (ties go by content), and only those members are looked at again
that point to a renamed one: the work stays near n log n instead of n squared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from blake3 import blake3


class Member:
    """A value in parts: bytes, and other members. `body` gives the bytes when the members have names."""

    __slots__ = ("head", "parts", "unordered")

    def __init__(self, head: bytes, unordered: bool) -> None:
        self.head = head
        self.unordered = unordered
        self.parts: list[bytes | Member] = []

    def body(self, names: Mapping[Member, bytes]) -> bytes:
        """The body, with names in the place of members."""
        encodings = [part if isinstance(part, bytes) else b"@" + names[part] for part in self.parts]
        if self.unordered:
            encodings.sort()
        return b"".join((self.head, *encodings))

    def signature(self, names: Mapping[Member, bytes]) -> bytes:
        """What tells members of one class apart, 32 bytes."""
        return blake3(self.body(names)).digest()


M = TypeVar("M", bound=Member)


def encode_cycle(members: Sequence[M]) -> dict[M, bytes]:
    """The encoding of each member of a strongly connected component."""
    names = _Classes(members).refine(members)
    table = {name: member for member, name in names.items()}
    summary = b"".join(name + member.signature(names) for name, member in sorted(table.items(), key=lambda row: row[0]))
    digest = blake3(summary).digest()
    return {member: b"C" + blake3(digest + names[member]).digest() for member in members}


class _Classes:
    """The classes of members that could not be told apart so far."""

    def __init__(self, members: Sequence[Member]) -> None:
        nameless = dict.fromkeys(members, bytes(32))
        self.names = {member: member.signature(nameless) for member in members}
        self._members: dict[bytes, set[Member]] = defaultdict(set)
        self._holders: dict[Member, set[Member]] = defaultdict(set)
        for member, name in self.names.items():
            self._members[name].add(member)
            for part in member.parts:
                if not isinstance(part, bytes):
                    self._holders[part].add(member)

    def refine(self, members: Iterable[Member]) -> dict[Member, bytes]:
        """Split classes until none splits. The name of each member."""
        dirty = set(members)
        while dirty:
            by_class: dict[bytes, dict[bytes, set[Member]]] = defaultdict(lambda: defaultdict(set))
            for member in dirty:
                by_class[self.names[member]][member.signature(self.names)].add(member)
            plans = [(name, self._to_rename(name, groups, dirty)) for name, groups in by_class.items()]
            renamed = [member for name, groups in plans for member in self._split(name, groups)]
            dirty = {holder for member in renamed for holder in self._holders[member]}
        return self.names

    def _to_rename(self, name: bytes, groups: dict[bytes, set[Member]], dirty: set[Member]) -> dict[bytes, set[Member]]:
        """The parts of a class, by signature, without the largest. `groups` are its dirty members."""
        held = self._members[name]
        counts = {signature: len(group) for signature, group in groups.items()}
        if rest := len(held) - sum(counts.values()):
            signature = next(member for member in held if member not in dirty).signature(self.names)
            counts[signature] = rest
        largest = max(counts, key=lambda signature: (counts[signature], signature))
        if rest and largest in groups:
            groups = {**groups, signature: held - dirty}
        return {signature: group for signature, group in groups.items() if signature != largest}

    def _split(self, name: bytes, groups: dict[bytes, set[Member]]) -> Iterable[Member]:
        """Give each group a name of its own. Those that were renamed."""
        for signature, group in groups.items():
            new = blake3(name + signature).digest()
            self._members[name] -= group
            self._members[new] = group
            for member in group:
                self.names[member] = new
                yield member
