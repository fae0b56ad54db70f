"""Parts of files that are asked for (RFC 9110, section 14): one part at a time; of several, the whole is given."""

from __future__ import annotations

import re
from typing import NamedTuple

#: Python reads no more digits than 4,300 at once.
_RANGE = re.compile(r"bytes=([0-9]{0,4000})-([0-9]{0,4000})")


class Span(NamedTuple):
    """Bytes from `start` up to `stop`."""

    start: int
    stop: int


def parse_range(header: str, size: int) -> Span | None:
    """The part of a file of so many bytes; None where all is to be given. Raises ValueError where there is none."""
    found = _RANGE.fullmatch(header.strip())
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        span = Span(max(size - int(last), 0), size)
    else:
        span = Span(int(first), min(int(last) + 1, size) if last else size)
        if last and int(last) < int(first):
            return None
    if span.start >= span.stop:
        raise ValueError("there is no such part")
    return span
