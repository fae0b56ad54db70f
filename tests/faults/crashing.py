"""Ends this process at the n-th of the steps that a crash could come between, as a loss of power or a kill would.

A step is a call of an operating system function that changes files, or the beginning or end of a transaction. The
process ends before the step; of a write, half is done. Nothing is cleaned up: no `finally`, no `atexit`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

CRASHED = 9
_FUNCTIONS = ("rename", "replace", "fsync", "link", "symlink", "unlink", "rmdir", "mkdir", "truncate", "ftruncate")


class Steps:
    """Counts steps, and ends the process at the one that `end_at` names."""

    def __init__(self) -> None:
        self._left = 0
        self._lock = threading.Lock()

    def end_at(self, number: int) -> None:
        """From now on count; `number` counts from 1."""
        self._left = number

    def next(self, before_the_end: Callable[[], object] | None = None) -> None:
        """One step."""
        with self._lock:
            self._left -= 1
            if self._left == 0:
                if before_the_end is not None:
                    before_the_end()
                os._exit(CRASHED)


def arm() -> Steps:
    """Make every step of this process count, on connections that are opened from now on."""
    steps = Steps()
    for name in _FUNCTIONS:
        setattr(os, name, _stepping(steps, getattr(os, name)))
    os.write = _half_writing(steps, os.write)
    setattr(sqlite3, "connect", _connecting(steps, sqlite3.connect))  # noqa: B010
    return steps


def _stepping(steps: Steps, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*values: Any, **options: Any) -> Any:
        steps.next()
        return function(*values, **options)

    return call


def _half_writing(steps: Steps, write: Callable[[int, Any], int]) -> Callable[[int, Any], int]:
    def call(fd: int, content: Any) -> int:
        steps.next(lambda: write(fd, memoryview(content)[: len(content) // 2]))
        return write(fd, content)

    return call


def _connecting(steps: Steps, connect: Callable[..., sqlite3.Connection]) -> Callable[..., sqlite3.Connection]:
    class Stepping(sqlite3.Connection):
        def execute(self, query: str, *values: Any) -> sqlite3.Cursor:
            if query.startswith(("BEGIN", "COMMIT")):
                steps.next()
            return super().execute(query, *values)

    def call(*values: Any, **options: Any) -> sqlite3.Connection:
        return connect(*values, factory=Stepping, **options)

    return call
