"""Where things stand in a chart: scales, ticks and points, in the units of a drawing. Pure.

A template draws them; each point leads somewhere and says what it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hitsave.server.words import show_moment, show_number

WIDTH, HEIGHT = 640, 310
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 16, 12, 56
_TICKS = 6
#: What is shown on either side of a single moment, in microseconds.
_AROUND_MOMENT = 3600e6
#: There is room for so many letters along an axis.
_LETTERS = 70
_MARGIN = 0.04
#: So many kinds of lines and points can be told apart; others look like these again.
COLOURS = 6
#: Numbers beyond it are left out, and those closer to zero than its inverse are zero: ends of what floats can hold.
_LARGEST = 1e300


class Dot(NamedTuple):
    """What is to be drawn: two values, what it says, where it leads, and the group that it is of."""

    x: float
    y: float
    label: str = ""
    href: str = ""
    group: int = 0


class Mark(NamedTuple):
    """A dot in its place."""

    x: float
    y: float
    label: str
    href: str
    colour: int


class Tick(NamedTuple):
    """A place on an axis, and the number that belongs there."""

    at: float
    text: str


class Line(NamedTuple):
    """A line through places, `x,y x,y ...`, and what it is of."""

    points: str
    label: str
    colour: int


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing. `legend` says what colours stand for, where there are several.

    `left_out` dots have no place: they are infinite, or not above zero on a logarithmic axis.
    """

    title: str
    x_name: str
    y_name: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...] = ()
    lines: tuple[Line, ...] = ()
    legend: tuple[tuple[str, int], ...] = ()
    left_out: int = 0
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


#: Of the numbers that a float can be.
_LOWEST_POWER, _GREATEST_POWER = -307, 308


class Axis:
    """The scale of one axis: from values to places."""

    def __init__(
        self,
        values: Sequence[float],
        start: float,
        end: float,
        log: bool,
        moments: bool = False,
        names: Sequence[str] = (),
    ) -> None:
        """With `names`, these stand beside it, at 0, 1, 2, ...; whole numbers, where all values are such."""
        self.log = log
        self._moments = moments
        self._whole = all(value == int(value) for value in values)
        self._names = names
        self._start, self._end = start, end
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        if names:
            low, high = -0.4, len(names) - 0.6
        if log:
            low, high = math.log10(low) if values else 0.0, math.log10(high) if values else 1.0
        if high - low <= abs(high) * 1e-12:
            # One value alone stands in the middle.
            around = 0.5 if log else max(abs(high) * 0.1, 0.5 if high == int(high) else 0.0)
            around = _AROUND_MOMENT if moments else around
            low, high = low - around, high + around
        margin = (high - low) * _MARGIN
        self._low, self._high = low - margin, high + margin

    def place(self, value: float) -> float:
        """Where a value stands."""
        number = math.log10(value) if self.log else value
        share = (number - self._low) / (self._high - self._low)
        return round(self._start + share * (self._end - self._start), 1)

    def ticks(self) -> tuple[Tick, ...]:
        """Round numbers along the axis."""
        if self._names:
            longest = max(3, _LETTERS // len(self._names))
            return tuple(Tick(self.place(at), _cut(name, longest)) for at, name in enumerate(self._names))
        values = _log_steps(self._low, self._high) if self.log else _steps(self._low, self._high, self._whole)
        return tuple(Tick(self.place(value), self._text(value)) for value in values)

    def _text(self, value: float) -> str:
        return show_moment(value / 1e6)[2:] if self._moments else show_number(value)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _steps(low: float, high: float, whole: bool) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    rough = max((high - low) / _TICKS, 1.0 if whole else 0.0)
    power = _power(math.floor(math.log10(rough)))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [number * step for number in range(first, last + 1)]


def _log_steps(low: float, high: float) -> list[float]:
    """Powers of ten, or, of less than two of them, also what lies between."""
    low, high = max(low, _LOWEST_POWER), min(high, _GREATEST_POWER)  # The margins may reach beyond all numbers.
    first, last = math.ceil(low), math.floor(high)
    if last - first >= 1:
        every = max(1, (last - first) // _TICKS)
        return [_power(number) for number in range(first, last + 1, every)]
    return [10**number for number in (low + (high - low) * part / 4 for part in range(5))]


def _power(number: int) -> float:
    return float(f"1e{number}")


def scatter(
    dots: Sequence[Dot],
    title: str,
    names: tuple[str, str],
    logs: tuple[bool, bool] = (False, False),
    moments: bool = False,
    categories: Sequence[str] = (),
    legend: Sequence[str] = (),
) -> Chart:
    """A chart of points. With `categories`, `x` counts these; `legend` has the names of groups."""
    fitting = [dot for dot in dots if _fits(dot.x, logs[0]) and _fits(dot.y, logs[1])]
    across, upward = [_drawn(dot.x) for dot in fitting], [_drawn(dot.y) for dot in fitting]
    x = Axis(across, _LEFT, WIDTH - _RIGHT, logs[0], moments, names=categories)
    y = Axis(upward, HEIGHT - _BOTTOM, _TOP, logs[1])
    marks = tuple(
        Mark(x.place(at), y.place(value), dot.label, dot.href, dot.group % COLOURS)
        for dot, at, value in zip(fitting, across, upward, strict=True)
    )
    keys = tuple((name, number % COLOURS) for number, name in enumerate(legend))
    return Chart(title, *names, x.ticks(), y.ticks(), marks, (), keys, len(dots) - len(fitting))


def curves(lines: Sequence[tuple[str, Sequence[tuple[float, float]]]], title: str, names: tuple[str, str]) -> Chart:
    """A chart of lines over whole numbers, each with its label."""
    finite = [
        (label, [(_drawn(at), _drawn(value)) for at, value in points if _fits(at, False) and _fits(value, False)])
        for label, points in lines
    ]
    x = Axis([at for _, points in finite for at, _ in points], _LEFT, WIDTH - _RIGHT, False)
    y = Axis([value for _, points in finite for _, value in points], HEIGHT - _BOTTOM, _TOP, False)
    drawn = tuple(
        Line(" ".join(f"{x.place(at)},{y.place(value)}" for at, value in points), label, number % COLOURS)
        for number, (label, points) in enumerate(finite)
    )
    keys = tuple((line.label, line.colour) for line in drawn)
    return Chart(title, *names, x.ticks(), y.ticks(), lines=drawn, legend=keys)


def _fits(value: float, log: bool) -> bool:
    return abs(value) <= _LARGEST and (not log or value >= 1 / _LARGEST)


def _drawn(value: float) -> float:
    return value if abs(value) >= 1 / _LARGEST else 0.0
