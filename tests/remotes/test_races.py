"""Many who want the next number: what each of them asks of the store, and how long it waits by a clock of the test."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle, product

import pytest

from hitsave.objects.refs import Ref
from hitsave.remotes.commits import committed
from hitsave.remotes.commits.keys import COMMITS, index_key
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.commits.races import Races
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.transports.protocol import Buffer, Transport
from hitsave.remotes.writing.push import push
from tests.remotes.conftest import NewMachine
from tests.remotes.content import ANN, SMALL_CHUNKS, Machine, check_remote, keep, memory_remote, noise
from tests.remotes.transports import CountingTransport, MemoryTransport, WrappedTransport
from tests.remotes.turns import TakingTurns, Turns, check_chain

LARGE = noise(3 * SMALL_CHUNKS)


class Overtaken(WrappedTransport):
    """Before each of the next `times` values with this beginning is put, another writer is quicker."""

    def __init__(self, inner: Transport, overtake: Callable[[], object], prefix: str = COMMITS) -> None:
        super().__init__(inner)
        self.times = 0
        self._overtake = overtake
        self._prefix = prefix

    def put(self, key: str, content: Buffer | list[Buffer]) -> None:  # type: ignore[override]
        if key.startswith(self._prefix) and self.times:
            self.times -= 1
            self._overtake()
        super().put(key, content)


class Rival:
    """Pushes something else whenever it is asked to; `refs` are what it has pushed."""

    def __init__(self, machine: Machine, transport: Transport) -> None:
        self.refs: list[Ref] = []
        self._machine = machine
        self._remote = machine.remote(transport)

    def __call__(self) -> None:
        self.refs += keep(self._machine.cache, {b"rival": b"%d" % len(self.refs)})
        push(self._remote, self._machine.cache, self.refs[-1:], ANN)


def remote_of(machine: Machine, transport: Transport, chance: float = 1.0) -> tuple[Remote, list[float]]:
    """A remote whose tries take 10 ms each, and the pauses between them."""
    pauses: list[float] = []
    times = (number / 100 for number in range(1_000_000))
    races = Races(lambda: next(times), pauses.append, lambda: chance)
    return Remote.open(transport, machine.folder / "remotes", races=races), pauses


@pytest.fixture
def rival(bob: Machine, memory: MemoryTransport) -> Rival:
    return Rival(bob, memory)


def test_what_was_sent_is_not_sent_again_when_a_race_is_lost(
    ann: Machine, new_machine: NewMachine, memory: MemoryTransport, rival: Rival
) -> None:
    overtaken = Overtaken(CountingTransport(memory), rival)
    remote, pauses = remote_of(ann, overtaken)
    refs = keep(ann.cache, {b"before": b"before", b"large": LARGE}, {b"large": LARGE + b"more"})
    push(remote, ann.cache, refs[:1], ANN)
    overtaken.times = 6
    counting = overtaken.inner
    assert isinstance(counting, CountingTransport)
    counting.reset()
    assert push(remote, ann.cache, refs[1:], ANN).refs == 1
    assert len(counting.made(COMMITS)) == 7
    assert len(counting.made("indexes/")) == len(counting.made("refs/")) == 1
    # It relies on chunks of an index that is named still, so that those of others need not be read for it.
    assert counting.got("indexes/") == []
    assert len(counting.got("refs/")) == 6
    assert pauses == pytest.approx([0.02, 0.04, 0.08, 0.08, 0.08, 0.08])
    check_remote(new_machine(), memory, *refs, *rival.refs)
    check_chain(memory)


def test_no_pause_without_a_race(ann: Machine, memory: MemoryTransport) -> None:
    remote, pauses = remote_of(ann, memory)
    for ref in keep(ann.cache, {b"a": b"a"}, {b"b": b"b"}):
        push(remote, ann.cache, [ref], ANN)
    assert pauses == []


def test_a_try_that_took_long_is_not_waited_for_as_long(ann: Machine) -> None:
    pauses: list[float] = []
    races = Races(lambda: 0.0, pauses.append, lambda: 0.5)
    races.pause(1, 3600)
    races.pause(50, 3600)
    assert pauses == [0.5, 2.0]


def test_whoever_is_late_puts_no_lists_together(ann: Machine, memory: MemoryTransport, rival: Rival) -> None:
    """Another one came while its packs were sent; the next one that nobody overtakes does it."""
    for _ in range(committed.MOST_FILES):
        rival()
    counting = CountingTransport(memory)
    overtaken = Overtaken(counting, rival, "packs/")
    remote, _ = remote_of(ann, overtaken)
    first, second = keep(ann.cache, {b"first": b"first"}, {b"second": b"second"})
    overtaken.times = 1
    # The rival itself puts them together, once; then its list is short.
    for pushed in (first, second):
        counting.reset()
        push(remote, ann.cache, [pushed], ANN)
        assert len(counting.made("indexes/")) == 1
    check_chain(memory)


def test_long_lists_are_left_by_most_who_have_lost(
    ann: Machine, new_machine: NewMachine, memory: MemoryTransport, rival: Rival, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = push_until_due(ann, memory)
    counting = CountingTransport(memory)
    overtaken = Overtaken(counting, quietly(rival, monkeypatch), "packs/")
    remote, _ = remote_of(ann, overtaken)
    refs += keep(ann.cache, {b"late": b"late"})
    overtaken.times = 1
    push(remote, ann.cache, refs[-1:], ANN)
    assert len(counting.made("indexes/")) == 1
    commit = remote.latest().commit
    assert commit is not None
    assert len(commit.indexes) == committed.MOST_FILES + 2
    # One in many does, though it has lost.
    lucky, _ = remote_of(ann, overtaken, chance=0.0)
    refs += keep(ann.cache, {b"later": b"later"})
    counting.reset()
    overtaken.times = 1
    push(lucky, ann.cache, refs[-1:], ANN)
    assert len(counting.made("indexes/")) == 2
    check_remote(new_machine(), memory, *refs, *rival.refs)


def test_what_was_put_together_for_a_lost_race_is_used_by_the_next_try(
    ann: Machine, new_machine: NewMachine, memory: MemoryTransport, rival: Rival, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = push_until_due(ann, memory)
    counting = CountingTransport(memory)
    overtaken = Overtaken(counting, quietly(rival, monkeypatch))
    remote, _ = remote_of(ann, overtaken)
    refs += keep(ann.cache, {b"new": b"new"})
    overtaken.times = 3
    push(remote, ann.cache, refs[-1:], ANN)
    own, merged = counting.made("indexes/")
    assert len(counting.made("refs/")) == 2
    commit = remote.latest().commit
    assert commit is not None
    assert [index_key(file) for file in commit.indexes if file.session == commit.session] == [merged, own]
    assert len(commit.indexes) == len(commit.refs) == 5
    check_remote(new_machine(), memory, *refs, *rival.refs)
    check_chain(memory)


def push_until_due(machine: Machine, transport: Transport) -> list[Ref]:
    """Push so often that one more push puts lists together."""
    refs = keep(machine.cache, *({b"%d" % number: b"%d" % number} for number in range(committed.MOST_FILES)))
    remote = machine.remote(transport)
    for ref in refs:
        push(remote, machine.cache, [ref], ANN)
    return refs


def quietly(rival: Rival, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """What a rival does, who puts no lists together."""

    def act() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(committed, "MOST_FILES", 1000)
            rival()

    return act


def test_a_dropped_ref_that_others_have_made_meanwhile_is_told_apart(
    ann: Machine, bob: Machine, memory: MemoryTransport
) -> None:
    """Of what came between only the new segments are read; what others made stays as they made it."""
    (ref,) = keep(ann.cache, {b"both": b"both"})
    bobs = keep(bob.cache, {b"both": b"both"})
    other = bob.remote(memory)
    push(other, bob.cache, keep(bob.cache, {b"first": b"first"}), ANN)
    overtaken = Overtaken(memory, lambda: push(other, bob.cache, bobs, ANN))
    remote, _ = remote_of(ann, overtaken)
    overtaken.times = 1
    push(remote, ann.cache, [ref], ANN)
    segments = [file.session for file in other.latest().ref_files]
    assert len(segments) == 2  # The last commit made none.
    assert len(other.latest().refs()) == 2


# -- refs that need not be read


def test_a_machine_that_pushes_something_new_reads_no_refs_of_others(
    ann: Machine, bob: Machine, memory: MemoryTransport
) -> None:
    refs = keep(ann.cache, *({b"%d" % number: b"%d" % number} for number in range(5)))
    for ref in refs:
        ann.push(memory, ref)
    counting = CountingTransport(memory)
    (new,) = keep(bob.cache, {b"new": b"new"})
    assert bob.push(counting, new).refs == 1
    assert counting.got("refs/") == []
    check_remote(bob, memory, *refs, new)


def test_what_others_have_pushed_stays_as_they_made_it(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    (ref,) = keep(ann.cache, {b"both": b"both"})
    ann.push(memory, replace(ref, created=1))
    keep(bob.cache, {b"both": b"both"})
    assert bob.push(memory, replace(ref, created=2)).refs == 0
    assert bob.remote(memory).latest().refs()[ref.name].created == 1


def test_a_ref_whose_object_was_lost_is_pushed_by_whoever_has_it(
    ann: Machine, bob: Machine, memory: MemoryTransport
) -> None:
    (ref,) = keep(ann.cache, {b"a": b"a"})
    remote = ann.remote(memory)
    push(remote, ann.cache, [ref], ANN)
    session = Session.begin(1)
    remote.commit(
        remote.latest(), session, lambda view: remote.following(view, session, ANN, "fsck", (), view.ref_files)
    )
    assert bob.push(memory, *keep(bob.cache, {b"a": b"a"})).refs == 1
    check_remote(bob, memory, ref)


# -- a crowd, by a clock that counts the operations of all


def push_in_rounds(store: CountingTransport, machines: list[Machine]) -> list[Ref]:
    """Each pushes a ref of its own; one operation of each, again and again. What was pushed."""
    order: Iterator[int] = cycle(range(len(machines)))
    turns = Turns(order)
    refs = [keep(machine.cache, {b"%d" % number: b"own"})[0] for number, machine in enumerate(machines)]
    failures: list[BaseException] = []

    def races(who: int) -> Races:
        """An operation takes a millisecond; whoever waits lets his turns pass."""

        def sleep(seconds: float) -> None:
            for _ in range(round(1000 * seconds / len(machines))):
                turns.take(who)

        return Races(lambda: len(turns.steps) / 1000, sleep, random.Random(who).random)

    def work(who: int) -> None:
        try:
            transport = TakingTurns(store, turns, who)
            remote = Remote.open(transport, machines[who].folder / "remotes", races=races(who))
            assert push(remote, machines[who].cache, [refs[who]], ANN).refs == 1
        except BaseException as error:
            failures.append(error)
        finally:
            turns.leave(who)

    threads = [threading.Thread(target=work, args=(who,)) for who in range(len(machines))]
    for who in range(len(machines)):
        turns.join(who)
    for thread in threads:
        thread.start()
    turns.run()
    for thread in threads:
        thread.join()
    assert failures == []
    return refs


@pytest.mark.parametrize("most", [4, 16])
def test_a_crowd_tries_few_commits_and_sends_everything_once(
    new_machine: NewMachine, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committed, "MOST_FILES", most)
    count = 16
    machines = [new_machine() for _ in range(count)]
    counting = CountingTransport(MemoryTransport(memory_remote()))
    refs = push_in_rounds(counting, machines)
    # In lockstep and without pauses, all but one would lose in each round: more than a hundred tries.
    assert len(counting.made(COMMITS)) <= 5 * count
    for kind in ("indexes/", "refs/"):
        made = counting.made(kind)
        assert len(set(made)) == len(made)
        assert count <= len(made) <= count * 3 // 2
    check_remote(new_machine(), counting.inner, *refs)
    assert len(check_chain(counting.inner)) == count


def test_all_moments_at_which_lists_are_put_together_beside_another_push(
    ann: Machine, new_machine: NewMachine, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever overtakes may put together the same lists, or not."""
    for times, together in product(range(3), (False, True)):
        store = MemoryTransport(memory_remote())
        machine, other = new_machine(), new_machine()
        refs = push_until_due(machine, store)
        rival = Rival(other, store)
        overtaken = Overtaken(store, rival if together else quietly(rival, monkeypatch))
        remote, _ = remote_of(machine, overtaken)
        refs += keep(machine.cache, {b"new": b"new"})
        overtaken.times = times
        push(remote, machine.cache, refs[-1:], ANN)
        check_remote(new_machine(), store, *refs, *rival.refs)
        check_chain(store)
