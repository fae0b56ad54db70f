"""Arrays of numpy and tensors of torch: a number, a series, an image, or else what they hold in a few words."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from hitsave.memoisation.displaying.numbers import as_number, number_of
from hitsave.memoisation.displaying.pictures import image_of_pixels
from hitsave.memoisation.displaying.room import Room, cut, type_name
from hitsave.objects.shapes import MOST_CORNER, MOST_POINTS, Array, Image, Number, Other, Part, Series

_NUMERIC = "biuf"
_PARTS = MOST_POINTS // 2 - 1
#: An array of bytes is taken for an image from so many pixels a side on.
_SMALLEST_IMAGE = 8


def shape_of_numpy(value: Any, room: Room) -> Part | None:
    """What stands for an array or scalar of numpy; None for anything else of it."""
    numpy = sys.modules["numpy"]
    if not isinstance(value, numpy.ndarray):
        return number_of(value) or (Other(type_name(type(value)), cut(str(value))) if _is_scalar(value) else None)
    if isinstance(value, numpy.ma.MaskedArray):
        return Array(type_name(type(value)), cut(str(value.dtype)), value.shape)
    plain = value.view(numpy.ndarray)
    if plain.ndim == 0:
        return number_of(plain[()])
    if plain.ndim == 1 and plain.size and plain.dtype.kind in _NUMERIC:
        return _series(type_name(type(value)), plain, room)
    if plain.ndim == 3 and plain.dtype == numpy.uint8 and plain.shape[2] in (1, 3, 4):
        image = image_of_pixels(plain, room) if min(plain.shape[:2]) >= _SMALLEST_IMAGE else None
        if image is not None:
            return image
    return Array(type_name(type(value)), cut(str(plain.dtype)), plain.shape, _statistics(plain, room), _corner(plain))


def _is_scalar(value: object) -> bool:
    return isinstance(value, sys.modules["numpy"].generic) and type(value).__module__ == "numpy"


def _statistics(array: Any, room: Room) -> tuple[int | float, int | float, int | float] | None:
    if array.size == 0 or array.dtype.kind not in _NUMERIC or not room.spend(array.size):
        return None
    numpy = sys.modules["numpy"]
    with numpy.errstate(all="ignore"):
        found = as_number(array.min()), as_number(array.max()), float(array.mean(dtype=numpy.float64))
    assert found[0] is not None
    assert found[1] is not None
    return found[0], found[1], found[2]


def _corner(array: Any) -> tuple[tuple[int | float, ...], ...]:
    """The first numbers of the first rows, of an array of two dimensions or the first part of one of more."""
    if array.ndim < 2 or array.size == 0 or array.dtype.kind not in _NUMERIC:
        return ()
    first = array[(0,) * (array.ndim - 2)][:MOST_CORNER, :MOST_CORNER]
    numbers = (
        first.astype(float) if first.dtype.kind == "f" else first.astype(int if first.dtype.kind in "bi" else object)
    )
    return tuple(tuple(row) for row in numbers.tolist())


def _series(name: str, array: Any, room: Room) -> Series:
    numpy = sys.modules["numpy"]
    if array.size <= MOST_POINTS:
        chosen = numpy.arange(array.size)
    elif room.spend(array.size):
        width = array.size // _PARTS
        parts = array[: width * _PARTS].reshape(_PARTS, width)
        start = numpy.arange(0, width * _PARTS, width)
        chosen = numpy.unique(
            numpy.concatenate([[0, array.size - 1], start + parts.argmin(1), start + parts.argmax(1)])
        )
    else:
        chosen = numpy.arange(0, array.size, -(-array.size // MOST_POINTS))
    values = array[chosen]
    values = values.astype(float if values.dtype.kind == "f" else int if values.dtype.kind in "bi" else object)
    return Series(name, array.size, tuple(zip(chosen.tolist(), values.tolist(), strict=True)))


def shape_of_torch(value: Any, room: Room) -> Part | None:
    """What stands for a tensor; None for anything else of torch."""
    if not isinstance(value, sys.modules["torch"].Tensor):
        return None
    plain, name = value.detach(), type_name(type(value))
    if plain.device.type != "cpu" and plain.numel() != 1:
        return Array(name, str(plain.dtype), tuple(plain.shape))
    try:
        found = shape_of_numpy(plain.cpu().numpy(), room)
    except TypeError:  # What numpy has not, such as bfloat16.
        found = shape_of_numpy(plain.float().cpu().numpy(), room) if plain.numel() <= MOST_POINTS else None
    if isinstance(found, Number | Series | Image):
        return replace(found, type=name)
    if isinstance(found, Array):
        return replace(found, type=name, dtype=str(plain.dtype))
    return Array(name, str(plain.dtype), tuple(plain.shape))
