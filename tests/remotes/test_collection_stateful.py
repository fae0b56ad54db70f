"""Machines that push, forget, collect, undo and fetch in any order, die, and fall asleep in the middle.

After each step, what was reported as pushed and not dropped is there, and not a byte of the remote is wrong. The store
refuses removals of what is needed, and commits that name what is not there.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hitsave.errors import ObjectNotFound, RefError
from hitsave.objects.refs import Ref, RefName
from hitsave.packing.commit import decode_commit
from hitsave.packing.index import Index
from hitsave.remotes.collection.collect import collect
from hitsave.remotes.collection.dropping import bring_back, drop_refs
from hitsave.remotes.commits import committed
from hitsave.remotes.commits.keys import COMMITS, index_key, pack_key, refs_key
from hitsave.remotes.commits.log import Author
from hitsave.remotes.transports.protocol import Transport
from hitsave.remotes.verification.verify import verify
from hitsave.remotes.writing.push import push
from tests.inmemory import new_folder
from tests.remotes.content import SMALL_CHUNKS, Folder, Machine, keep, memory_remote, noise, read_folder
from tests.remotes.sleeping import Asleep
from tests.remotes.transports import FaultyTransport, Lost, MemoryStore, MemoryTransport

Result = TypeVar("Result")
DAY = 86400

#: Files of datasets: few, so that datasets share them; some of them are cut, some lie together.
FILES = [b"small", noise(700, 1), noise(700, 2), noise(SMALL_CHUNKS * 3, 3), noise(SMALL_CHUNKS * 3, 3) + b"more"]


@contextmanager
def small_sizes() -> Iterator[None]:
    """Packs and lists that are full soon, so that a push makes several packs, and lists are merged."""
    with (
        patch("hitsave.remotes.writing.packstream.SMALLEST_PACK", 70_000),
        patch("hitsave.cache.packwriter.PACK_TARGET", 70_000),
        patch.object(committed, "MOST_FILES", 4),
    ):
        yield


class Act(NamedTuple):
    """What somebody does, by a transport; it gives what is to be checked at its end. `drops` may be dropped by it."""

    action: Callable[[Transport], Callable[[], None]]
    drops: frozenset[RefName] = frozenset()


KINDS = st.sampled_from(["push", "push", "push", "forget", "collect", "collect", "undo", "fetch"])


#: What has happened in all runs, so that it cannot be nothing.
SEEN: Counter[str] = Counter()


class Team(RuleBasedStateMachine):
    """Two machines that write, and one that reads."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = new_folder()
        self.sizes = small_sizes()
        self.sizes.__enter__()
        self.machines = [Machine(self.folder / "ann"), Machine(self.folder / "bob")]
        self.reader = Machine(self.folder / "reader")
        self.store: MemoryStore = memory_remote()
        self.now = 100 * DAY
        self.contents: dict[RefName, Folder] = {}
        self.acknowledged: dict[RefName, Ref] = {}
        #: All that was dropped, one after the other.
        self.dropped: list[RefName] = []
        #: What is being dropped by who sleeps, and so may be there or not.
        self.asleep: list[tuple[Asleep, frozenset[RefName]]] = []
        self.fresh = 0

    def teardown(self) -> None:
        try:
            while self.asleep:
                self.finish(0)
            self.nothing_stays()
        finally:
            for sleeping, _ in self.asleep:
                sleeping.wake()
            for machine in [*self.machines, self.reader]:
                machine.cache.close()
            self.sizes.__exit__(None, None, None)
            shutil.rmtree(self.folder)

    # -- what holds

    @property
    def author(self) -> Author:
        return Author("ann@lab", self.now)

    def memory(self) -> MemoryTransport:
        return MemoryTransport(self.store)

    def held(self) -> dict[RefName, Ref]:
        return self.reader.remote(self.memory()).latest().refs()

    @invariant()
    def nothing_is_lost(self) -> None:
        remote = self.reader.remote(self.memory())
        held = remote.latest().refs()
        assert {name for name in self.acknowledged if name not in held} <= self.unsure()
        assert verify(remote).faults == ()

    def nothing_stays(self) -> None:
        """A collection that takes everybody for dead leaves only what the newest commit names."""
        self.now += 1000 * DAY
        for _ in range(2):
            collect(self.reader.remote(self.memory()), self.author, 0)
        self.nothing_is_lost()
        assert set(self.memory().list("")) - self.named() <= set(self.memory().list(COMMITS)) | {"format"}

    def named(self) -> set[str]:
        commits = self.memory().list(COMMITS)
        if not commits:
            return set()
        newest = decode_commit(self.store.values[commits[-1]])
        found = {*map(refs_key, newest.refs), *map(index_key, newest.indexes)}
        for file in newest.indexes:
            found |= {pack_key(pack.digest) for pack in Index(self.store.values[index_key(file)]).packs}
        return found

    # -- what happens

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """Datasets on both machines, one of them on both; some are pushed."""
        for who, machine in enumerate(self.machines):
            for number in range(3):
                some = [FILES[(who + number + more) % len(FILES)] for more in range(2)]
                self.put(machine, {b"number": b"%d" % (number * who), b"deep": {b"a": some[0]}, b"b": some[1]})
        for machine in self.machines:
            (first, *_) = machine.cache.refs()
            push(machine.remote(self.memory()), machine.cache, [first], self.author)
            self.acknowledged[first.name] = first

    def put(self, machine: Machine, folder: Folder) -> None:
        """Keep a dataset."""
        (ref,) = keep(machine.cache, folder)
        self.contents[ref.name] = folder

    @rule(who=st.integers(0, 1), files=st.sets(st.integers(0, len(FILES) - 1), min_size=1), deep=st.booleans())
    def keeps(self, who: int, files: set[int], deep: bool) -> None:
        """A dataset on one machine. The same one may come from both."""
        folder: Folder = {b"%d" % number: FILES[number] for number in sorted(files)}
        self.put(self.machines[who], {b"deep": folder, b"small": b"small"} if deep else folder)

    def one_of(self, data: st.DataObject, how: str) -> Act:
        """An action of some kind, all drawn."""
        self.now += 1
        return {
            "push": self.push,
            "forget": self.forget,
            "collect": self.collect,
            "undo": self.undo,
            "fetch": self.fetch,
        }[how](data)

    def push(self, data: st.DataObject) -> Act:
        machine = data.draw(st.sampled_from(self.machines))
        kept = sorted(machine.cache.refs(), key=lambda ref: ref.name)
        refs = data.draw(st.lists(st.sampled_from(kept), min_size=1, max_size=2)) if kept else []
        author, since = self.author, len(self.dropped)

        def action(transport: Transport) -> Callable[[], None]:
            pushed = push(machine.remote(transport), machine.cache, refs, author)
            SEEN["pushed"] += pushed.refs
            return report

        def report() -> None:
            held = self.held()
            for ref in refs:
                # What somebody dropped since it was pushed was there.
                assert ref.name in held or ref.name in set(self.dropped[since:]) | self.unsure()
                if ref.name in held:
                    self.acknowledged[ref.name] = ref

        return Act(action)

    def some_names(self, data: st.DataObject, least: int) -> frozenset[RefName]:
        names = sorted(self.acknowledged)
        return data.draw(st.frozensets(st.sampled_from(names), min_size=least, max_size=2)) if names else frozenset()

    def settle(self, names: frozenset[RefName]) -> None:
        """They may have been dropped."""
        held = self.held()
        self.dropped += names
        for name in names:
            if name not in held:
                self.acknowledged.pop(name, None)

    def forget(self, data: st.DataObject) -> Act:
        names, author = self.some_names(data, 1), self.author

        def action(transport: Transport) -> Callable[[], None]:
            SEEN["dropped"] += len(drop_refs(self.reader.remote(transport), author, names))
            return lambda: self.settle(names)

        return Act(action, names)

    def collect(self, data: st.DataObject) -> Act:
        names, author = self.some_names(data, 0), self.author
        keep_for = data.draw(st.sampled_from([0, 5 * DAY, 10**6 * DAY]))

        def action(transport: Transport) -> Callable[[], None]:
            collected = collect(self.reader.remote(transport), author, keep_for, names)
            SEEN["freed"] += collected.freed > 0
            SEEN["rewritten"] += collected.rewritten > 0
            return lambda: self.settle(names)

        return Act(action, names)

    def undo(self, data: st.DataObject) -> Act:
        author, since = self.author, len(self.dropped)

        def action(transport: Transport) -> Callable[[], None]:
            try:
                refs = bring_back(self.reader.remote(transport), author).refs
            except RefError:
                refs = ()
            SEEN["brought back"] += len(refs)
            return lambda: report(refs)

        def report(refs: tuple[Ref, ...]) -> None:
            held = self.held()
            for ref in refs:
                assert ref.name in held or ref.name in set(self.dropped[since:]) | self.unsure()
                if ref.name in held:
                    self.acknowledged[ref.name] = ref

        return Act(action)

    def fetch(self, data: st.DataObject) -> Act:
        """Fetch what was reported into an empty cache. Nothing but a drop meanwhile is an excuse."""
        refs = list(self.acknowledged.values())
        since = len(self.dropped)
        self.fresh += 1
        machine = Machine(self.folder / f"fresh-{self.fresh}")

        def action(transport: Transport) -> Callable[[], None]:
            try:
                machine.fetch(transport, *refs)
            except ObjectNotFound:
                return excuse
            return compare

        def excuse() -> None:
            assert {ref.name for ref in refs} & (set(self.dropped[since:]) | self.unsure())
            machine.cache.close()

        def compare() -> None:
            SEEN["fetched"] += len(refs)
            for ref in refs:
                assert read_folder(machine.cache, ref.digest) == self.contents[ref.name]
            machine.cache.close()

        return Act(action)

    @rule(how=KINDS, data=st.data())
    def happens(self, how: str, data: st.DataObject) -> None:
        self.one_of(data, how).action(self.memory())()

    @rule(how=KINDS, operation=st.integers(0, 30), after=st.booleans(), data=st.data())
    def dies(self, how: str, operation: int, after: bool, data: st.DataObject) -> None:
        act = self.one_of(data, how)
        try:
            act.action(FaultyTransport(self.memory(), operation, after=after))()
        except Lost:
            SEEN["died"] += 1
            self.settle(act.drops)

    @precondition(lambda self: len(self.asleep) < 2)
    @rule(how=KINDS, operation=st.integers(0, 30), data=st.data())
    def falls_asleep(self, how: str, operation: int, data: st.DataObject) -> None:
        act = self.one_of(data, how)
        self.asleep.append((Asleep(self.memory(), operation, act.action), act.drops))

    @precondition(lambda self: self.asleep)
    @rule(which=st.integers(0, 1))
    def wakes(self, which: int) -> None:
        self.finish(which % len(self.asleep))

    def finish(self, which: int) -> None:
        """Wake a sleeper, and let it end before anything else happens."""
        sleeping, _ = self.asleep[which]
        SEEN["woke"] += sleeping.slept
        try:
            sleeping.finish()
        finally:
            self.asleep = [one for one in self.asleep if one[0] is not sleeping]

    @rule(days=st.sampled_from([0.5, 2, 8, 30]))
    def time_passes(self, days: float) -> None:
        self.now += int(days * DAY)

    def unsure(self) -> set[RefName]:
        """What is being dropped by who sleeps."""
        return {name for _, names in self.asleep for name in names}


def run_teams(examples: int, steps: int) -> None:
    SEEN.clear()
    chosen = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Team, settings=chosen)


def test_teams() -> None:
    run_teams(40, 30)
    wanted = ["pushed", "dropped", "freed", "brought back", "fetched", "died", "woke"]
    assert all(SEEN[what] for what in wanted), SEEN


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_teams_for_long() -> None:
    run_teams(1500, 50)
    assert SEEN["rewritten"] > 0
