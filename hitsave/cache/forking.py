"""What a fork must not cut in two. A child inherits the locks that other threads hold, and nobody who lets go of them.

A first call of a memoised function loads modules and reads sources for some tenths of a second, under locks of Python's
imports as well, which no child can renew. A write transaction leaves SQLite with the belief that somebody still writes.
So `os.fork` waits for both; but for some seconds at most, since what a module does when it is imported is the
program's own. The wait is no hook of `register_at_fork`: those that are registered meanwhile would be called by halves.
Locks that are held for moments are renewed in the child.

This is loaded with the decorators, and so imports nothing that a bare interpreter has not.
"""

from __future__ import annotations

import os
import time
from _thread import RLock, get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_MOST_SECONDS = 5.0
_PAUSE = 0.001


class Undivided:
    """A context manager for code that a fork waits for; it may be nested, and many threads may be in it at once."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._inside: dict[int, int] = {}
        self._renewals: list[Callable[[], None]] = []

    def __enter__(self) -> None:
        if not getattr(os.fork, "waits_for_hitsave", False):
            os.fork = self._waiting(os.fork)
        me = get_ident()
        with self._lock:
            self._inside[me] = self._inside.get(me, 0) + 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        me = get_ident()
        with self._lock:
            left = self._inside.pop(me, 1) - 1
            if left:
                self._inside[me] = left

    def renew(self, renewal: Callable[[], None]) -> None:
        """Have this called in every child, to make locks anew that other threads may have held."""
        self._renewals.append(renewal)

    def after_fork_in_child(self) -> None:
        """Of all threads, the child has the one that forked."""
        me = get_ident()
        self._lock = RLock()
        self._inside = {me: self._inside[me]} if me in self._inside else {}
        for renewal in self._renewals:
            renewal()

    def _waiting(self, fork: Callable[[], int]) -> Callable[[], int]:
        def waiting_fork() -> int:
            lock = self._lock
            self._wait()
            try:
                return fork()
            finally:
                if lock is self._lock:  # In the child, there is another one.
                    lock.release()

        waiting_fork.__name__ = waiting_fork.__qualname__ = "fork"
        waiting_fork.__doc__ = fork.__doc__
        waiting_fork.waits_for_hitsave = True  # type: ignore[attr-defined]
        return waiting_fork

    def _wait(self) -> None:
        """Wait until no other thread is inside, and keep them out."""
        me, end = get_ident(), time.monotonic() + _MOST_SECONDS
        self._lock.acquire()
        while not self._inside.keys() <= {me} and time.monotonic() < end:
            self._lock.release()
            time.sleep(_PAUSE)
            self._lock.acquire()


class _Nothing(Undivided):
    """Where nothing forks."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


UNDIVIDED = Undivided() if hasattr(os, "fork") else _Nothing()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=UNDIVIDED.after_fork_in_child)
