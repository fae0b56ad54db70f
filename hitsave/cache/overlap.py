"""Threads beside the caller's, for work that releases the interpreter: hashing, compressing, writing."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Overlap(Generic[Item]):
    """Calls `action` for each submitted item in another thread, in order where there is one. Leaving the block waits.

    What `action` raises is raised by the next `submit`, or at the end.
    """

    def __init__(self, action: Callable[[Item], None], waiting: int = 4, threads: int = 1) -> None:
        self._action = action
        self._queue: queue.Queue[Item | None] = queue.Queue(waiting)
        self._failure: BaseException | None = None
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]

    def __enter__(self) -> Overlap[Item]:
        try:
            for thread in self._threads:
                thread.start()
        except BaseException:  # Interrupted meanwhile: nobody will leave the block that was not entered.
            self._end_threads()
            raise
        return self

    def submit(self, item: Item) -> None:
        """Hand over an item; waits where too many are waiting."""
        if self._failure is not None:
            raise self._failure
        self._queue.put(item)

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._failure is None:
                try:
                    self._action(item)
                except BaseException as error:
                    self._failure = error

    def _end_threads(self) -> None:
        for _ in self._threads:
            self._queue.put(None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_threads()
        for thread in self._threads:
            thread.join()
        if error is None and self._failure is not None:
            raise self._failure
