"""Pillow: images by mode, size, pixels, palette, and what came with the file (`info`, `format`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image

from hitsave.memoisation.values.stream import Form, Parts, Refused, array_head, named_steps

if TYPE_CHECKING:
    from hitsave.memoisation.values.digest import ValueDigester

_NAMES = (".mode", ".size", ".info", ".format", ".palette", ".tobytes()")


def find_form(cls: type) -> Form | None:
    """The form of an image."""
    return _image if issubclass(cls, Image.Image) else None


def _image(digester: ValueDigester, value: Any) -> Parts:
    try:
        value.load()
    except (OSError, ValueError) as failure:
        raise Refused(value, f"its pixels cannot be read: {failure}") from failure
    palette = (value.palette.mode, value.getpalette(value.palette.mode)) if value.palette else None
    children = (value.mode, value.size, dict(sorted(value.info.items())), value.format, palette, value.tobytes())
    return Parts(array_head("PIL image", digester.label(type(value))), children, named_steps(_NAMES))
