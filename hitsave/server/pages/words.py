"""How sizes, times and numbers look on a page. Pure."""

from __future__ import annotations

import datetime
import os
from urllib.parse import quote_from_bytes

_PLAIN_SMALL, _PLAIN_LARGE = 1e-4, 1e7


def show_size(size: int | None) -> str:
    """Bytes for people: 999 B, 1.2 kB, 3.4 GB."""
    if size is None:
        return "?"
    if size < 1000:
        return f"{size} B"
    amount = float(size)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        amount /= 1000
        if amount < 999.5:
            return f"{amount:.1f} {unit}"
    return f"{amount:.0f} PB"


def show_duration(microseconds: int) -> str:
    """A span: 850 µs, 12 ms, 2.1 s, 3 min 12 s, 2 h 5 min, 3 d 4 h."""
    if microseconds < 1000:
        return f"{microseconds} µs"
    if microseconds < 999_500:
        return f"{microseconds / 1000:.3g} ms"
    if microseconds < 59_950_000:
        return f"{microseconds / 1e6:.1f} s"
    whole = round(microseconds / 1e6)
    for unit, of_unit, smaller, of_smaller in (("d", 86400, "h", 3600), ("h", 3600, "min", 60)):
        if whole >= of_unit:
            return f"{whole // of_unit} {unit} {whole % of_unit // of_smaller} {smaller}"
    return f"{whole // 60} min {whole % 60} s"


def show_moment(seconds: float) -> str:
    """A time as people read it, in UTC to the minute; what no calendar has is left to be a number."""
    try:
        return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError, OSError):
        return str(seconds)


def iso_moment(seconds: float) -> str:
    """A time as programs read it; empty for what no calendar has."""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return ""


def show_number(value: float) -> str:
    """A number in six digits at most, and in plain notation where that is short."""
    if value == int(value) if abs(value) < 1e15 else False:
        return f"{int(value)}" if abs(value) < _PLAIN_LARGE else f"{value:.6g}"
    return f"{value:.6g}"


def show_name(name: bytes) -> str:
    """The name of a file; bytes that are no text are shown as replaced."""
    return name.decode("utf-8", "replace")


def quote_path(path: bytes) -> str:
    """A path as a part of an address."""
    return quote_from_bytes(path)


def show_text(text: str) -> str:
    """A text that may hold lone surrogates, which no page can."""
    return os.fsencode(text).decode("utf-8", "replace") if not text.isascii() else text


def count(number: int, what: str) -> str:
    """`1 file`, `3 files`."""
    return f"{number} {what}" if number == 1 else f"{number:,} {what}s"
