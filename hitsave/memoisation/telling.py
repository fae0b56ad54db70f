"""Warnings to the user of a memoised function, which point at the line that called it."""

from __future__ import annotations

import sys
import warnings

_told: set[str] = set()


def warn(message: str) -> None:
    """Warn."""
    level, frame = 2, sys._getframe(1)  # That is how `warnings.warn` counts who called this.
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("hitsave."):
        frame = frame.f_back
        level += 1
    warnings.warn(message, UserWarning, stacklevel=level)


def warn_once(message: str) -> None:
    """Warn of this once in a process."""
    if message not in _told:
        _told.add(message)
        warn(message)
