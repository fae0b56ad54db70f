"""Runs threads one step at a time, in every order of their steps.

A thread gives up its turn at a gate; nothing else runs until the scheduler lets one thread go on to its next gate. A
gate before a write transaction opens only while no other thread is inside one, so that none ever waits for a lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

_PATIENCE = 60.0


class Scheduler:
    """One run: at each step, `choices` says which of the threads that may run does; by default the first."""

    def __init__(self, choices: Sequence[int]) -> None:
        self._choices = choices
        self._turn = threading.Condition()
        self._actors: dict[threading.Thread, int] = {}
        self._waiting: dict[int, tuple[str, bool]] = {}
        self._ended: set[int] = set()
        self._granted: int | None = None
        self._writer: int | None = None
        self._failures: list[BaseException] = []
        #: What was chosen, out of how many; and the steps that were taken.
        self.taken: list[tuple[int, int]] = []
        self.steps: list[str] = []

    def gate(self, name: str, writing: bool = False) -> None:
        """Give up the turn; `writing` waits for the write lock besides. Threads that are not run here pass."""
        actor = self._actors.get(threading.current_thread())
        if actor is None:
            return
        with self._turn:
            self._waiting[actor] = (name, writing)
            self._turn.notify_all()
            if not self._turn.wait_for(lambda: self._granted == actor, _PATIENCE):
                raise AssertionError(f"never let through: {name}")
            self._granted = None
            del self._waiting[actor]
            if writing:
                self._writer = actor

    def written(self) -> None:
        """The write transaction of this thread is over."""
        if threading.current_thread() in self._actors:
            with self._turn:
                self._writer = None

    def run(self, *actions: Callable[[], object]) -> None:
        """Run all to their ends. Raises what one of them raised."""
        for number, action in enumerate(actions):
            self._actors[threading.Thread(target=self._act, args=(number, action), daemon=True)] = number
        for thread in self._actors:
            thread.start()
        while self._step(len(actions)):
            pass
        if self._failures:
            raise self._failures[0]

    def _act(self, number: int, action: Callable[[], object]) -> None:
        try:
            self.gate("begin")
            action()
        except BaseException as error:
            self._failures.append(error)
        with self._turn:
            self._ended.add(number)
            if self._writer == number:
                self._writer = None
            self._turn.notify_all()

    def _step(self, actors: int) -> bool:
        with self._turn:

            def at_rest() -> bool:
                return self._granted is None and len(self._waiting) + len(self._ended) == actors

            if not self._turn.wait_for(at_rest, _PATIENCE):
                raise AssertionError(f"a thread does not come to rest after {self.steps}")
            if len(self._ended) == actors:
                return False
            free = [
                actor
                for actor, (_, writing) in sorted(self._waiting.items())
                if not writing or self._writer in (None, actor)
            ]
            if not free:
                raise AssertionError(f"all wait for each other after {self.steps}")
            choice = self._choices[len(self.taken)] if len(self.taken) < len(self._choices) else 0
            self.taken.append((choice, len(free)))
            self.steps.append(f"{free[choice]}:{self._waiting[free[choice]][0]}")
            self._granted = free[choice]
            self._turn.notify_all()
            return True


def explore(run: Callable[[Scheduler], object], at_most: int) -> Iterator[list[str]]:
    """Call `run` with a scheduler for every order of steps, `at_most` of them; yields the steps of each."""
    choices: list[int] = []
    for _ in range(at_most):
        scheduler = Scheduler(choices)
        run(scheduler)
        yield scheduler.steps
        taken = scheduler.taken
        while taken and taken[-1][0] + 1 >= taken[-1][1]:
            taken.pop()
        if not taken:
            return
        choices = [choice for choice, _ in taken[:-1]] + [taken[-1][0] + 1]
