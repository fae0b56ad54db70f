"""Tries every interleaving of some processes of the model, and checks every state.

The search is breadth-first, so that what it finds is as short as can be. Beside what has to hold in every state, it
checks for each state that a collection alone, which takes everybody for dead, leaves nothing that no commit names,
and that every process, and a writer that begins now, comes to an end when it has the store for itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from tests.remotes.model import Broken, Rules, World, check, commit, named
from tests.remotes.model_collector import Collector
from tests.remotes.model_processes import ENDED, Place, Process, Reader, Writer

State: TypeAlias = tuple[World, tuple[Place, ...]]
#: How many steps something may take that runs alone.
MOST_ALONE = 60


class Explored(NamedTuple):
    """How many states there are, and of what store; and what was reported in them."""

    states: int
    stores: int
    newest: int
    reported: frozenset[frozenset[str]]


class Counterexample(AssertionError):
    """What went wrong, and by which steps."""

    def __init__(self, what: str, trace: Sequence[str]) -> None:
        super().__init__("\n".join([what, *trace]))
        self.what = what
        self.trace = trace


def explore(
    world: World, processes: Sequence[Process], rules: Rules, *, alone: bool = False, garbage: bool = True
) -> Explored:
    """Visit all states. Raises Counterexample.

    With `garbage`, one more collection is tried on every state of the store, and a new writer; with `alone`, also
    every process by itself from every state.
    """
    start = (world, tuple(process.begin() for process in processes))
    came_from: dict[State, tuple[State, str] | None] = {start: None}
    solo = _Alone(processes if alone else (), rules)
    pending = deque([start])
    while pending:
        state = pending.popleft()
        world, places = state
        label = ""
        try:
            check(world)
            if garbage:
                solo.check(world, places)
            for which, process in enumerate(processes):
                label = f"{process.who}: "
                for label, after, place in process.steps(world, places[which]):
                    following = (after, (*places[:which], place, *places[which + 1 :]))
                    if following not in came_from:
                        came_from[following] = (state, f"{process.who} {label}")
                        pending.append(following)
        except Broken as broken:
            raise Counterexample(str(broken), _trace(came_from, state)) from None
    newest = max(commit(world.commits[-1]).number for world, _ in came_from if world.commits)
    reported = frozenset(frozenset(ref for ref, _ in world.done) for world, _ in came_from)
    return Explored(len(came_from), len(solo.collected), newest, reported)


def _trace(came_from: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    labels: list[str] = []
    while (before := came_from[state]) is not None:
        state, label = before
        labels.append(label)
    return labels[::-1]


class _Alone:
    """Lets one process run alone. What was found out once is remembered."""

    def __init__(self, processes: Sequence[Process], rules: Rules) -> None:
        self._processes = processes
        self._last = Collector("the last collector", rules, dead=("before",), oldest=("own",), drops=frozenset())
        self._fresh = Writer("a new writer", rules, ref="F")
        self.collected: set[tuple[tuple[int, ...], int]] = set()
        self._ends: set[tuple[Process, World, Place]] = set()

    def check(self, world: World, places: Sequence[Place]) -> None:
        """Raises Broken."""
        store = World(world.commits, world.files)
        key = (world.commits, world.files)
        if key not in self.collected:
            self.collected.add(key)
            self._check_collection(store)
            if not any(ref == "F" for ref, _ in self._run(self._fresh, store, self._fresh.begin()).done):
                raise Broken("a new writer gives up, though it is alone")
        for process, place in zip(self._processes, places, strict=False):
            if not isinstance(process, Reader):
                self._run(process, store, place)

    def _check_collection(self, world: World) -> None:
        if not world.commits:
            return
        after = self._run(self._last, world, self._last.begin())
        check(after)
        if len(after.commits) != 1 or after.files != named(after.commits[-1]):
            raise Broken("something stays for ever that no commit names")

    def _run(self, process: Process, world: World, place: Place) -> World:
        """The first of its steps each time, which loses no answers."""
        path: list[tuple[Process, World, Place]] = []
        while place.next not in ENDED:
            key = (process, world, place)
            if key in self._ends:
                break
            path.append(key)
            if len(path) > MOST_ALONE:
                raise Broken(f"{process.who} does not come to an end, though it is alone")
            _, world, place = next(iter(process.steps(world, place)))
        if process in self._processes:
            self._ends.update(path)
        return world
