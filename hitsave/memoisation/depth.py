"""Room on the stack: a memoised function that calls itself can do so about as often as the plain one.

Between two bodies stand frames of hitsave, which count for the recursion limit of the user's program. So while bodies
run within each other, the limit is higher by these. One that the program sets meanwhile holds from then on.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from contextvars import ContextVar

#: What the limit counts between a body and the one that it calls: five frames, and calls from C in Python 3.11.
FRAMES = 7
#: Deeper ones get no more: in some versions of Python these frames take space of the C stack as well.
MOST_LEVELS = 1000

_level_here: ContextVar[int] = ContextVar("hitsave_level", default=0)


class RaisedLimit:
    """The recursion limit, one for all threads and tasks: it is raised for the deepest of the bodies that run."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._running = [0] * (MOST_LEVELS + 1)
        self._deepest = 0
        #: Every limit that was set since no body ran, with the program's own one on which it is based.
        self._bases: dict[int, int] = {}

    def enter(self) -> int:
        """A body begins, at this level."""
        level = min(_level_here.get() + 1, MOST_LEVELS)
        with self._lock:
            if level > self._deepest:
                self._adapt(level)
            self._deepest = max(level, self._deepest)
            self._running[level] += 1
        _level_here.set(level)
        return level

    def leave(self, level: int) -> None:
        """It has ended."""
        _level_here.set(level - 1)
        with self._lock:
            self._running[level] -= 1
            if level < self._deepest or self._running[level]:
                return
            while self._deepest and not self._running[self._deepest]:
                self._deepest -= 1
            self._adapt(self._deepest)
            if not self._deepest:
                self._bases.clear()

    def _adapt(self, deepest: int) -> None:
        limit = sys.getrecursionlimit()
        base = self._bases.setdefault(limit, limit)  # One that is not known the program has set.
        with suppress(RecursionError, OverflowError):  # Far down the stack, a lower one cannot be set.
            sys.setrecursionlimit(base + FRAMES * deepest)
            self._bases[base + FRAMES * deepest] = base

    def after_fork_in_child(self) -> None:
        """Another thread may have held the lock."""
        self._lock = threading.RLock()


RAISED_LIMIT = RaisedLimit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=RAISED_LIMIT.after_fork_in_child)
