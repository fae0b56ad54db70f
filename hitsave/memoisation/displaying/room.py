"""How much a display may take: bytes, pixels, and time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from hitsave.objects.canonical import unicode_text
from hitsave.objects.display import encoded_size
from hitsave.objects.shapes import Array, Group, Image, Nothing, Number, Other, Plot, Series, Shape, Table, Text

LONGEST_TEXT = 2000
#: Of a short text, such as the name of a type, or a cell of a table.
LONGEST_NAME = 100
#: What stands around a shape, beside its name; and what a plain one takes beside its texts.
_AROUND = 40
_AROUND_PLAIN = 80
#: The most that an escaped character takes.
_ESCAPED = 12


@dataclass(slots=True)
class Room:
    """What is left: bytes, and elements of arrays that may still be looked at. Images get no more than `side` pixels.

    Figures are drawn only where `draws`, each once: `drawn` has their ids.
    """

    left: int
    side: int
    elements: int
    draws: bool
    drawn: set[int] = field(default_factory=set)

    @property
    def png(self) -> int:
        """The most bytes of an image's PNG."""
        return max(0, self.left - 1000) * 3 // 4

    def spend(self, elements: int) -> bool:
        """Whether so many elements may be looked at; then they are paid for."""
        if elements > self.elements:
            return False
        self.elements -= elements
        return True

    def take(self, name: str, size: int) -> bool:
        """Whether there is room for something of `size` bytes under a name; then it is paid for."""
        size += _AROUND + _ESCAPED * len(name)
        if size > self.left:
            return False
        self.left -= size
        return True

    def fit(self, name: str, shape: Shape) -> Shape | None:
        """The shape, or the largest part of it for which there is room."""
        if type(shape) in (Number, Text, Other, Nothing):  # Most are, and need no exact measure.
            most = _ESCAPED * (len(getattr(shape, "type", "")) + len(getattr(shape, "text", ""))) + _AROUND_PLAIN
            if self.take(name, most):
                return shape
        for candidate in _smaller(shape):
            if self.take(name, encoded_size(candidate)):
                return candidate
        return None


def _smaller(shape: Shape) -> Iterator[Shape]:
    yield shape
    match shape:
        case Group():
            yield replace(shape, parts=())
            yield replace(shape, parts=(), metrics=())
        case Table():
            yield replace(shape, head=(), labels=())
        case Array():
            yield replace(shape, corner=())
        case Series():
            yield replace(shape, points=())
        case Plot():
            yield replace(shape, figure="")
        case Image():
            yield Other(shape.type, f"{shape.width} x {shape.height} pixels")
        case Text():
            yield replace(shape, text=shape.text[:LONGEST_NAME])


def cut(text: str, longest: int = LONGEST_NAME) -> str:
    """A text as a display can hold it, or the beginning of one that is too long."""
    return unicode_text(text if len(text) <= longest else text[: longest - 3] + "...")


def type_name(kind: type) -> str:
    """What a type is called."""
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return cut(f"{kind.__module__}.{kind.__qualname__}")
