"""Images of Pillow, arrays of pixels, and figures of matplotlib, as a small PNG.

What the caller gets is never changed: Pillow encodes copies, without what came with the file (a place, a camera), and
matplotlib draws as it does when a figure is saved.
"""

from __future__ import annotations

import io
import math
import sys
from typing import Any

from hitsave.memoisation.displaying.room import Room, type_name
from hitsave.objects.display import png_size
from hitsave.objects.shapes import Image, Other, Part

#: Pixels a side of a first try, by which the size of another one is guessed, with a margin; fewer show nothing.
_SIDE = 256
_MARGIN = 0.9
_SMALLEST = 16
_MOST_PIXELS = 100_000_000
#: Modes that a PNG has and that can be made smaller, and what others become first.
_MODES = {"L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "1": "L", "P": "RGBA", "PA": "RGBA", "CMYK": "RGB"}
_MODES |= {"YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA"}


def shape_of_pillow(value: Any, room: Room) -> Part | None:
    """What stands for an image; None for anything else of Pillow."""
    if not isinstance(value, sys.modules["PIL.Image"].Image):
        return None
    png = _thumbnail(value, room)
    if png is None:
        return Other(type_name(type(value)), f"{value.width} x {value.height} pixels, {value.mode}")
    return Image(type_name(type(value)), value.width, value.height, png)


def image_of_pixels(array: Any, room: Room) -> Image | None:
    """What stands for an array of bytes with 1, 3 or 4 for each pixel; None without Pillow."""
    pillow = sys.modules.get("PIL.Image")
    if pillow is None:
        return None
    step = max(1, max(array.shape[:2]) // (4 * room.side))
    some = array[::step, ::step]
    png = _thumbnail(pillow.fromarray(some[:, :, 0] if array.shape[2] == 1 else some), room)
    return None if png is None else Image(type_name(type(array)), array.shape[1], array.shape[0], png)


def _thumbnail(image: Any, room: Room) -> bytes | None:
    """A PNG for which there is room, as large as may be; None where there is none."""
    width, height = image.size
    if image.mode not in _MODES or not width or not height or width * height > _MOST_PIXELS:
        return None
    tried = min(_SIDE, room.side)
    base = _reduced(image, room.side)
    first = _encode(base, tried)
    side = min(room.side, max(width, height), int(tried * _MARGIN * math.sqrt(room.png / len(first))))
    fits = len(first) <= room.png
    if side < _SMALLEST or (fits and side <= tried):
        return first if fits else None
    second = _encode(base, side)
    return second if len(second) <= room.png else first if fits else None


def _reduced(image: Any, side: int) -> Any:
    """A copy that a PNG can hold, of at most some times as many pixels a side as are wanted."""
    factor = max(1, max(image.size) // (2 * side))
    if _MODES[image.mode] == image.mode:
        small = image.reduce(factor) if factor > 1 else image.copy()
    else:  # There is nothing between the colours of a palette.
        small = image.resize([max(1, length // factor) for length in image.size], 0).convert(_MODES[image.mode])
    return small


def _encode(image: Any, side: int) -> bytes:
    small = image.copy()
    small.thumbnail((side, side))
    file = io.BytesIO()
    small.save(file, "PNG", icc_profile=None, exif=b"")
    return file.getvalue()


def shape_of_matplotlib(value: Any, room: Room) -> Part | None:
    """What stands for a figure, or for the one that an Axes is in, and for anything else of matplotlib."""
    figures, axes = sys.modules.get("matplotlib.figure"), sys.modules.get("matplotlib.axes")
    if axes is not None and isinstance(value, axes.Axes):
        value = value.get_figure()
    name = type_name(type(value))
    if figures is None or not isinstance(value, figures.Figure) or not room.draws or id(value) in room.drawn:
        return Other(name, f"a {name}")
    room.drawn.add(id(value))
    inches = value.get_size_inches()
    width, height = (round(float(side) * value.dpi) for side in inches)
    file = io.BytesIO()
    value.savefig(file, format="png", dpi=min(value.dpi, room.side / max(inches)))
    png: bytes | None = file.getvalue()
    if len(file.getvalue()) > room.png or max(png_size(file.getvalue()) or (room.side + 1,)) > room.side:
        pillow = sys.modules.get("PIL.Image")
        png = None if pillow is None else _thumbnail(pillow.open(file), room)
    return Other(name, f"{width} x {height} pixels") if png is None else Image(name, width, height, png)
