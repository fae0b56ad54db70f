"""The lines in which two contents differ, where both are text that people may want to read."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

#: What is longer is not compared line by line.
LARGEST_SHOWN = 256 * 1024
_LOOKED_AT = 8000
_NO_NEWLINE = "\\ No newline at end of file"


def is_text(content: bytes) -> bool:
    """Whether a content passes for text, as git sees it: no NUL near its beginning."""
    return b"\0" not in content[:_LOOKED_AT]


def unified(old: bytes, new: bytes, old_name: str, new_name: str) -> Iterator[str]:
    """A unified diff, without line ends. Bytes that are not UTF-8 become lone surrogates."""
    for line in difflib.unified_diff(_lines(old), _lines(new), old_name, new_name, lineterm=""):
        text, missing, _ = line.partition("\n")
        yield text
        if not missing and line[:1] in ("+", "-", " ") and not line.startswith(("+++ ", "--- ")):
            yield _NO_NEWLINE


def _lines(content: bytes) -> list[str]:
    """Lines with their ends, so that a last one without an end differs from one with it."""
    text = content.decode("utf-8", errors="surrogateescape")
    return [line + "\n" for line in text.split("\n")[:-1]] + ([rest] if (rest := text.rpartition("\n")[2]) else [])
