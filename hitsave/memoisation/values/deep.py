"""Encodings of values of any depth, and of values that hold themselves.

The stack is a list of frames, so that a linked list of a hundred thousand nodes is no trouble. Cycles are found
on the way as strongly connected components (Tarjan): what holds itself, through whatever, is given to `cycles`;
everything else is encoded by content, exactly as the quick way does it. A failure carries the path to its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hitsave.errors import Undigestable
from hitsave.memoisation.values.cycles import Member, encode_cycle
from hitsave.memoisation.values.stream import LIMIT, Leaf, Parts, Refused, fold

if TYPE_CHECKING:
    from hitsave.memoisation.values.digest import ValueDigester

#: More levels than this are taken for a value that has no end.
_DEEPEST = 500_000
_LONGEST_PATH = 20


class NestedTooDeeply(Exception):
    """The quick way gives up."""


class _Frame(Member):
    """A value under way, or one that waits for the rest of its cycle."""

    __slots__ = ("children", "index", "low", "position", "step", "value")

    def __init__(self, value: object, parts: Parts, index: int) -> None:
        super().__init__(parts.head, parts.unordered)
        self.value = value
        self.children = parts.children
        self.step = parts.step
        self.position = 0
        #: When it was met, and the earliest of those under way that it reaches.
        self.index = self.low = index


def encode_deep(digester: ValueDigester, root: object, name: str) -> bytes:
    """The encoding of a value. `name` is what the path in an error begins with. Raises Undigestable."""
    return _Walk(digester, name).encode(root)


class _Walk:
    def __init__(self, digester: ValueDigester, name: str) -> None:
        self._digester = digester
        self._name = name
        self._stack: list[_Frame] = []
        #: Values under way and members of cycles that are not yet complete, by id, and in the order they were met.
        self._open: dict[int, _Frame] = {}
        self._pending: list[_Frame] = []
        self._entered = 0

    def encode(self, root: object) -> bytes:
        part = self._enter(root)
        while self._stack:
            frame = self._stack[-1]
            if frame.position < len(frame.children):
                child = frame.children[frame.position]
                frame.position += 1
                part = self._enter(child)
            else:
                self._stack.pop()
                part = self._leave(frame)
            if part is not None and self._stack:
                self._add(self._stack[-1], part)
        assert isinstance(part, bytes)
        return part

    @staticmethod
    def _add(parent: _Frame, part: bytes | _Frame) -> None:
        parent.parts.append(part)
        if not isinstance(part, bytes):
            parent.low = min(parent.low, part.low)

    def _enter(self, value: object) -> bytes | _Frame | None:
        """The encoding of a value, or its frame where it is under way already; None where it has begun now."""
        digester = self._digester
        if (known := digester.simple_encoding(value)) is not None:
            return known
        if (under_way := self._open.get(id(value))) is not None:
            return under_way
        if len(self._stack) > _DEEPEST:
            raise self._failure(value, f"it is nested more than {_DEEPEST} levels deep")
        try:
            parts = digester.take_apart(value)
        except Refused as refused:
            raise self._failure(refused.value, refused.reason) from refused.__cause__
        if isinstance(parts, Leaf):
            encoding = digester.write_leaf(value, parts)
            digester.out.clear()
            return encoding
        frame = _Frame(value, parts, self._entered)
        self._entered += 1
        self._open[id(value)] = frame
        self._pending.append(frame)
        self._stack.append(frame)
        return None

    def _leave(self, frame: _Frame) -> bytes | _Frame:
        """The encoding of a value whose children are done, or its frame where a cycle is not yet complete."""
        frame.children = ()
        if frame.low < frame.index:
            return frame
        members = list(self._close(frame))
        if len(members) == 1 and frame not in frame.parts:
            return self._plain(frame)
        encodings = encode_cycle(members)
        for member, encoding in encodings.items():
            self._digester.remember(member.value, encoding)
        return encodings[frame]

    def _close(self, frame: _Frame) -> Iterator[_Frame]:
        while True:
            member = self._pending.pop()
            del self._open[id(member.value)]
            yield member
            if member is frame:
                return

    def _plain(self, frame: _Frame) -> bytes:
        body = frame.body({})
        encoding = body if len(body) <= LIMIT else fold(body)
        took_work = any(part[:1] == b"F" for part in (encoding, *frame.parts))  # type: ignore[index]
        if took_work and not isinstance(frame.value, Parts):
            self._digester.remember(frame.value, encoding)
        return encoding

    def _failure(self, value: object, reason: str) -> Undigestable:
        steps = [frame.step(frame.children, frame.position - 1) for frame in self._stack[:_LONGEST_PATH]]
        if len(self._stack) > _LONGEST_PATH:
            steps.append("...")
        return Undigestable(self._name + "".join(steps), type(value), reason)
