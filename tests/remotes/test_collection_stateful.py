"""Machines that push, forget, collect, undo and fetch in any order, die, and fall asleep in the middle.

After each step, what was reported as pushed and not dropped is there, and not a byte of the remote is wrong. The store
refuses removals of what is needed, and commits that name what is not there.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
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
from hitsave.remotes import committed
from hitsave.remotes.collect import collect
from hitsave.remotes.dropping import bring_back, drop_refs
from hitsave.remotes.keys import COMMITS, index_key, pack_key, refs_key
from hitsave.remotes.log import Author
from hitsave.remotes.push import push
from hitsave.remotes.transport import Transport
from hitsave.remotes.verify import verify
from tests.remotes.conftest import NewMachine
from tests.remotes.content import SMALL_CHUNKS, Folder, Machine, check_remote, keep, memory_remote, noise, read_folder
from tests.remotes.test_collection import at, forget, gc, push_at
from tests.remotes.transports import FaultyTransport, Lost, MemoryStore, MemoryTransport, WrappedTransport

Result = TypeVar("Result")
DAY = 86400

#: Files of datasets: few, so that datasets share them; some of them are cut, some lie together.
FILES = [b"small", noise(700, 1), noise(700, 2), noise(SMALL_CHUNKS * 3, 3), noise(SMALL_CHUNKS * 3, 3) + b"more"]


@contextmanager
def small_sizes() -> Iterator[None]:
    """Packs and lists that are full soon, so that a push makes several packs, and lists are merged."""
    with (
        patch("hitsave.remotes.packstream.SMALLEST_PACK", 70_000),
        patch("hitsave.cache.packwriter.PACK_TARGET", 70_000),
        patch.object(committed, "MOST_FILES", 4),
    ):
        yield


class Sleeper(WrappedTransport):
    """Stops before the operation with number `stop`, until it is woken. All later ones wait, too."""

    def __init__(self, inner: Transport, stop: int) -> None:
        super().__init__(inner)
        self._stop = stop
        self._lock = threading.Lock()
        self._operations = 0
        self._woken = threading.Event()
        #: That it sleeps, or has ended.
        self.stopped = threading.Event()

    def around(self, name: str, key: str, action: Callable[[], Result]) -> Result:
        with self._lock:
            number = self._operations
            self._operations += 1
        if number >= self._stop:
            self.stopped.set()
            assert self._woken.wait(timeout=60)
        return action()

    def wake(self) -> None:
        """Let it go on to its end."""
        self._woken.set()


class Asleep:
    """An action in a thread of its own, which sleeps in the middle. `then` is called with its result at its end."""

    def __init__(self, transport: Transport, stop: int, action: Callable[[Transport], Callable[[], None]]) -> None:
        self._sleeper = Sleeper(transport, stop)
        self._then: Callable[[], None] | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(action,))
        self._thread.start()
        assert self._sleeper.stopped.wait(timeout=60)
        #: Whether it has not come to its end before it fell asleep.
        self.slept = self._then is None and self._error is None

    def _run(self, action: Callable[[Transport], Callable[[], None]]) -> None:
        try:
            self._then = action(self._sleeper)
        except BaseException as error:
            self._error = error
        finally:
            self._sleeper.stopped.set()

    def wake(self) -> None:
        """Let it go on, without waiting for it."""
        self._sleeper.wake()

    def finish(self) -> None:
        """Wake it, and wait for its end."""
        self._sleeper.wake()
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error
        assert self._then is not None
        self._then()


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
        self.folder = Path(tempfile.mkdtemp(prefix="hitsave-test-"))
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


def test_a_pack_that_two_indexes_know_in_part_and_a_merge(
    ann: Machine, bob: Machine, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a pack is pruned; an undo brings its whole index back, of which a collection leaves the other half."""
    first, second = keep(ann.cache, {b"f": noise(3000, 1)}, {b"f": noise(3000, 2)})
    push_at(ann, memory, 0, first, second)
    assert len(memory.list("packs/")) == 1
    forget(ann, memory, 1, second)
    gc(ann, memory, 2)
    assert bring_back(ann.remote(memory), at(3)).refs == (second,)
    gc(ann, memory, 4)
    commit = ann.remote(memory).latest().commit
    assert commit is not None
    assert [file.entries for file in commit.indexes] == [2, 2]
    monkeypatch.setattr(committed, "MOST_FILES", 2)
    (more,) = keep(ann.cache, {b"g": b"g"})
    push_at(ann, memory, 5, more)
    check_remote(bob, memory, first, second, more)


@pytest.mark.parametrize("how", ["push", "collect", "undo", "forget", "fetch"])
def test_who_sleeps_at_any_operation_past_the_expiry_of_everything(
    how: str, new_machine: NewMachine, tmp_path: Path
) -> None:
    """Meanwhile a ref is dropped, all that was not committed is taken for dead, and a push that shares files ends."""
    ann, bob, reader, other = (new_machine() for _ in range(4))
    old, kept = keep(ann.cache, {b"old": FILES[3], b"same": FILES[1]}, {b"kept": FILES[2]})
    (new,) = keep(ann.cache, {b"new": FILES[4], b"same": FILES[1]})
    (late,) = keep(bob.cache, {b"late": FILES[4], b"deep": {b"old": FILES[3], b"same": FILES[1]}})
    acts: dict[str, Callable[[Transport], object]] = {
        "push": lambda transport: push_at(ann, transport, 2, new),
        "collect": lambda transport: gc(ann, transport, 2, 0),
        "undo": lambda transport: undo(ann, transport),
        "forget": lambda transport: drop_refs(ann.remote(transport), at(2), [kept.name]),
        "fetch": lambda transport: other.fetch(transport, kept),
    }
    slept = 0
    for stop in range(100):
        for machine in (ann, bob, reader):
            shutil.rmtree(machine.folder / "remotes", ignore_errors=True)
        memory = MemoryTransport(memory_remote())
        push_at(ann, memory, 0, old, kept)
        forget(ann, memory, 1, *([old] if how == "undo" else []))
        shutil.rmtree(ann.folder / "remotes")  # It has to read everything.
        asleep = Asleep(memory, stop, lambda transport: then_nothing(acts[how](transport)))
        if not asleep.slept:
            asleep.finish()
            break
        slept += 1
        forget(bob, memory, 40, *([] if how == "undo" else [old]))
        for day in (50, 60):
            gc(bob, memory, day, 0)
        push_at(bob, memory, 70, late)
        gc(bob, memory, 90, 0)
        asleep.finish()
        held = {"undo": {late, kept}, "forget": {late}, "push": {late, kept, new}}.get(how, {late, kept})
        names = reader.remote(memory).latest().refs()
        if how == "undo":  # It may have been quick enough.
            held |= {old} & set(names.values())
        check_remote(reader, memory, *(names.values() if how == "forget" else held))
        assert late.name in names
    assert slept > 3


def then_nothing(result: object) -> Callable[[], None]:
    return lambda: None


def undo(machine: Machine, transport: Transport) -> None:
    with suppress(RefError):
        bring_back(machine.remote(transport), at(2))
