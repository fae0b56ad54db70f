"""The display of a call: its arguments as they were before the body ran, and its result."""

from __future__ import annotations

from collections.abc import Iterable

from hitsave.memoisation.displaying.room import LONGEST_NAME, Room
from hitsave.memoisation.displaying.shapes import shape_of
from hitsave.objects.canonical import unicode_text
from hitsave.objects.display import encode_display
from hitsave.objects.shapes import LARGEST, MOST_PIXELS, Display, Shape

#: Of the bytes of a display; what stands around both is small.
_FOR_ARGUMENTS = 64 * 1024
_FOR_RESULT = LARGEST - _FOR_ARGUMENTS - 1024
_SIDE_OF_ARGUMENT = 128
#: Elements of arrays: some milliseconds.
_MOST_ELEMENTS = 2_000_000

Arguments = tuple[tuple[str, Shape], ...]


def shape_arguments(arguments: Iterable[tuple[str, object, str]]) -> Arguments:
    """What stands for arguments: names, values, and short texts of these. What there is no room for is left out."""
    room = Room(_FOR_ARGUMENTS, _SIDE_OF_ARGUMENT, _MOST_ELEMENTS, False)
    found = []
    for name, value, text in arguments:
        shape = _fitting(name, shape_of(value, room, text), room) if len(name) <= LONGEST_NAME else None
        if shape is not None:
            found.append((unicode_text(name), shape))
    return tuple(found)


def make_display(arguments: Arguments, result: object) -> bytes | None:
    """The display of a call, encoded; None where there can be none."""
    room = Room(_FOR_RESULT, MOST_PIXELS, _MOST_ELEMENTS, True)
    shape = _fitting("", shape_of(result, room, several=True), room)
    try:
        return None if shape is None else encode_display(Display(arguments, shape))
    except ValueError:
        return None


def _fitting(name: str, shape: Shape, room: Room) -> Shape | None:
    try:
        return room.fit(name, shape)
    except ValueError:  # What is no Unicode after all, from wherever.
        return None
