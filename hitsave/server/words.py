"""How times, numbers and names look on a page. Pure."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Sequence

_PLAIN_SMALL, _PLAIN_LARGE = 1e-4, 1e7
_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})(e[+-]?\d{1,4})?|[+-]?inf|nan", re.ASCII | re.IGNORECASE)
#: What stands in a table where nothing is.
_BLANKS = frozenset(("", "None", "NaT", "<NA>", "null"))


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


def column_classes(rows: Sequence[Sequence[str]], count: int) -> list[str]:
    """How each of `count` columns stands, heading and cells: as numbers, where it has some and nothing else.

    There are more of them where a row is longer: what a file says of its columns need not be true.
    """
    count = max([count, *map(len, rows)])
    columns = [{row[at] for row in rows if at < len(row)} - _BLANKS for at in range(count)]
    return ["number" if texts and all(map(_NUMBER.fullmatch, texts)) else "text" for texts in columns]


def show_name(name: bytes) -> str:
    """The name of a file; bytes that are no text are shown as replaced."""
    return name.decode("utf-8", "replace")


def show_text(text: str) -> str:
    """A text that may hold lone surrogates, which no page can."""
    return os.fsencode(text).decode("utf-8", "replace") if not text.isascii() else text
