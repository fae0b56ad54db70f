"""What a display is made of: shapes, which stand for arguments and results (objects_spec.md, section 2.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from hitsave.objects.digest import Digest, ObjectKind

#: Bytes of an encoded display.
LARGEST = 256 * 1024
#: Pixels of an image's longer side, points of a series, rows of a table.
MOST_PIXELS = 1024
MOST_POINTS = 500
MOST_ROWS = 20
#: Rows of the corner of an array, and numbers in each.
MOST_CORNER = 12
#: A series with no more points than this can be read at a glance.
FEW_POINTS = 8
#: The names of types that have two values, whatever library they are of.
_TRUTHS = ("bool", "bool_")


@dataclass(frozen=True, slots=True)
class Nothing:
    """None."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number; of what is true or false, 1 or 0. `type` is the name of its type."""

    type: str
    value: int | float

    @property
    def truth(self) -> bool | None:
        """Whether it is true; None for what is a number indeed."""
        return bool(self.value) if self.type.rpartition(".")[2] in _TRUTHS else None


@dataclass(frozen=True, slots=True)
class Text:
    """A text, or its beginning; `length` is that of the whole, in characters."""

    text: str
    length: int


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers in a row: `points` are some of `length`, each with its index, in ascending order."""

    type: str
    length: int
    points: tuple[tuple[int, int | float], ...] = ()

    @property
    def is_short(self) -> bool:
        """Whether all of it can be read at a glance."""
        return self.length == len(self.points) <= FEW_POINTS


@dataclass(frozen=True, slots=True)
class Table:
    """The first columns and rows of a table of `rows` and `columns`; `types` are those of the columns, for people.

    `labels` are what the rows are called, one for each of `head`, or none.
    """

    type: str
    rows: int
    columns: int
    names: tuple[str, ...]
    types: tuple[str, ...]
    head: tuple[tuple[str, ...], ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Array:
    """An array of numbers or other things: the lowest, the highest and the mean, where these are known.

    `corner` are the first numbers of the first rows of one of two dimensions, or of the first part of one of more.
    """

    type: str
    dtype: str
    shape: tuple[int, ...]
    statistics: tuple[int | float, int | float, int | float] | None = None
    corner: tuple[tuple[int | float, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """An image as a PNG, perhaps a smaller one; `width` and `height` in pixels are those of what it was made of."""

    type: str
    width: int
    height: int
    png: bytes


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure of plotly: its title, and as JSON the object that plotly.js takes, or nothing where it is too large."""

    type: str
    title: str
    figure: str


@dataclass(frozen=True, slots=True)
class SnapshotShown:
    """A snapshot; `size` in bytes. Being shown owns nothing."""

    digest: Digest
    kind: ObjectKind
    size: int
    path: str


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else: its type, and a short text."""

    type: str
    text: str


Part: TypeAlias = Nothing | Number | Text | Series | Table | Array | Image | Plot | SnapshotShown | Other


@dataclass(frozen=True, slots=True)
class Group:
    """What holds others: the numbers in it, and other things worth a look, each by a path that leads to it."""

    type: str
    text: str
    metrics: tuple[tuple[str, int | float], ...] = ()
    parts: tuple[tuple[str, Part], ...] = ()

    @property
    def truths(self) -> list[tuple[str, bool]]:
        """What in it is true or false."""
        numbers = [(path, part) for path, part in self.parts if isinstance(part, Number)]
        return [(path, part.truth) for path, part in numbers if part.truth is not None]


Shape: TypeAlias = Part | Group


@dataclass(frozen=True, slots=True)
class Display:
    """What is shown of a call. It may leave arguments out."""

    arguments: tuple[tuple[str, Shape], ...]
    result: Shape

    @property
    def shapes(self) -> list[Shape]:
        """What stands for the arguments and for the result."""
        return [shape for _, shape in self.named]

    @property
    def named(self) -> list[tuple[str, Shape]]:
        """The same, each by its path: `arguments.` and a name, or `result`."""
        return [*((f"arguments.{name}", shape) for name, shape in self.arguments), ("result", self.result)]

    @property
    def metrics(self) -> dict[str, int | float]:
        """Every number, true or false too, by its path, which begins with `arguments.` and a name, or with `result`."""
        found: dict[str, int | float] = {}
        for path, shape in self.named:
            found.update(_metrics(path, shape))
        return found


def _metrics(path: str, shape: Shape) -> Iterator[tuple[str, int | float]]:
    if isinstance(shape, Number):
        yield path, shape.value if shape.truth is None else shape.truth
    elif isinstance(shape, Group):
        yield from ((f"{path}.{name}", value) for name, value in shape.metrics)
        for name, part in shape.parts:
            yield from _metrics(f"{path}.{name}", part)
