"""Requests that are made side by side and ahead of their use, and used in the order in which they were asked for.

Two bounds hold: a number of threads, and the bytes that have been asked for and not been used yet. An error in one
request ends the others: those that have not begun never begin, and those under way are waited for, since they may write
into the caller's folder. Ctrl-C waits for them no longer than a moment.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Bytes that may have been asked for and not been used yet.
IN_FLIGHT = 64 << 20
_PATIENCE = 1.0


class _Task(Generic[Item, Result]):
    __slots__ = ("done", "error", "item", "price", "result")

    def __init__(self, item: Item, price: int) -> None:
        self.item = item
        self.price = price
        self.done = threading.Event()
        self.error: BaseException | None = None
        self.result: Result

    def wait(self) -> Result:
        self.done.wait()
        if self.error is not None:
            raise self.error
        return self.result


class _Crew(Generic[Item, Result]):
    """Threads that carry out tasks, started as they are needed."""

    def __init__(self, action: Callable[[Item], Result], most: int) -> None:
        self._action = action
        self._most = most
        self._tasks: SimpleQueue[_Task[Item, Result] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._stopped = False
        self._counting = threading.Lock()
        self._open = 0

    def submit(self, task: _Task[Item, Result]) -> None:
        with self._counting:
            self._open += 1
            needed = self._open
        self._tasks.put(task)
        # A thread that is not needed would keep memory of its own for what has passed through it.
        if len(self._threads) < min(needed, self._most):
            thread = threading.Thread(target=self._work, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            if not self._stopped:
                try:
                    task.result = self._action(task.item)
                except BaseException as error:
                    task.error = error
            with self._counting:
                self._open -= 1
            task.done.set()
            del task  # Or what it holds would stay in memory until there is another one.

    def stop(self, patience: float | None) -> None:
        self._stopped = True
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join(patience)


@contextmanager
def in_order(
    items: Iterable[Item],
    action: Callable[[Item], Result],
    threads: int,
    cost: Callable[[Item], int] = lambda item: 0,
    most: int = IN_FLIGHT,
) -> Iterator[Iterator[tuple[Item, Result]]]:
    """`action` of each item, in their order, carried out in up to `threads` threads at once, ahead of their use.

    `cost` gives an item's bytes; no more than `most` are held at once, unless one item alone has more. An item counts
    until the next one is asked for. What `action` raises is raised where its result would have come.
    """
    crew: _Crew[Item, Result] = _Crew(action, threads)
    try:
        yield _results(items, crew, 2 * threads, cost, most)
    except Exception:
        crew.stop(None)
        raise
    except BaseException:
        crew.stop(_PATIENCE)
        raise
    crew.stop(None)


def _results(
    items: Iterable[Item], crew: _Crew[Item, Result], count: int, cost: Callable[[Item], int], most: int
) -> Iterator[tuple[Item, Result]]:
    waiting: deque[_Task[Item, Result]] = deque()
    held = 0
    for item in items:
        price = cost(item)
        while waiting and (len(waiting) >= count or held + price > most):
            first = waiting.popleft()
            yield first.item, first.wait()
            held -= first.price
        task: _Task[Item, Result] = _Task(item, price)
        held += price
        waiting.append(task)
        crew.submit(task)
    while waiting:
        first = waiting.popleft()
        yield first.item, first.wait()


def run_all(jobs: list[Callable[[], object]], threads: int) -> None:
    """Carry out all jobs, side by side. Raises what the first of those that fail raises."""
    if len(jobs) == 1:
        jobs[0]()
    elif jobs:
        with in_order(jobs, lambda job: job(), threads) as results:
            for _ in results:
                pass
