"""Claims in a remote: one machine computes a key, the others wait for it, unless it dies, fails or falls silent."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hitsave.memoisation.leases.claims import Claim
from hitsave.objects.digest import Digest, blob_digest
from hitsave.remotes.collection.collect import collect
from hitsave.remotes.collection.leftovers import abandoned_claims
from hitsave.remotes.commits.keys import CLAIMS, claim_key, claim_number
from hitsave.remotes.commits.log import Author
from hitsave.remotes.transports.protocol import Buffer, Listed
from hitsave.remotes.writing.push import push
from tests.memo.projects.harness import Project, Running, ran_as
from tests.remotes.content import Machine, keep, memory_remote
from tests.remotes.transports import FaultyTransport, MemoryStore, MemoryTransport

KEY = blob_digest(b"a call")
LONG_AGO = 1000


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


class FakeClock:
    """Seconds that pass when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def wish(store: MemoryStore, **settings: float | Callable[[], float]) -> Claim:
    return Claim(MemoryTransport(store), KEY, **settings)  # type: ignore[arg-type]


def numbers(store: MemoryStore) -> list[int]:
    return [claim_number(key) for key in MemoryTransport(store).list(CLAIMS)]


def as_another_machine(store: MemoryStore) -> None:
    """Have the claims that are there be those of a machine of which nothing can be seen."""
    for key in MemoryTransport(store).list(CLAIMS):
        store.values[key] = b"from elsewhere"


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_of_many_one_at_a_time_holds_a_key(store: MemoryStore) -> None:
    holding, most, done = 0, 0, []
    lock = threading.Lock()

    def compute() -> None:
        nonlocal holding, most
        with wish(store) as claim:
            while not claim.held:
                for _ in claim.attempts():
                    time.sleep(0.001)
            with lock:
                holding += 1
                most = max(most, holding)
            time.sleep(0.002)
            with lock:
                holding -= 1
            done.append(1)

    threads = [threading.Thread(target=compute) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, len(done), numbers(store)) == (1, 12, [])


def test_who_waits_looks_for_a_result_when_the_claim_is_gone(store: MemoryStore) -> None:
    first, second = wish(store), wish(store)
    assert [*first.attempts()] == []
    assert first.held
    attempts = second.attempts()
    assert next(attempts) < next(attempts)
    first.release()
    assert [*attempts] == []
    assert not second.held
    assert [*second.attempts()] == []
    assert second.held
    second.release()
    assert numbers(store) == []


def test_a_claimant_that_lives_is_waited_for(store: MemoryStore) -> None:
    with wish(store, beat_every=0.005) as first:
        assert [*first.attempts()] == []
        wait_until(lambda: numbers(store)[-1] > 5)
        as_another_machine(store)
        clock = FakeClock()
        second = wish(store, clock=clock, patience=60.0)
        for _ in itertools.islice(second.attempts(), 20):
            clock.now += 50
            beat = numbers(store)[-1]
            wait_until(lambda beat=beat: numbers(store)[-1] > beat)  # type: ignore[misc]
        assert not second.held
        assert numbers(store)[0] == 1, "who begins anew would not notice the claim"
        assert len(numbers(store)) <= 3
    assert numbers(store) == []


def test_one_that_falls_silent_is_followed_and_takes_nothing_back(store: MemoryStore) -> None:
    first = wish(store)
    assert [*first.attempts()] == []
    as_another_machine(store)
    clock = FakeClock()
    second = wish(store, clock=clock, patience=60.0)
    for pause in second.attempts():
        clock.now += pause
    assert second.held
    assert 60 <= clock.now < 65
    assert numbers(store) == [1, 2]
    third = wish(store)
    assert next(third.attempts()) > 0
    second.release()
    assert numbers(store) == []


def test_one_that_is_stopped_notices_that_it_was_followed(store: MemoryStore) -> None:
    first = wish(store, beat_every=0.3)
    assert [*first.attempts()] == []
    second = wish(store, patience_alive=0.0)
    assert [*second.attempts()] == []
    assert second.held
    wait_until(lambda: first._number == 0)
    first.release()
    assert numbers(store) == [1, 2]
    second.release()
    assert numbers(store) == []


def test_one_that_took_the_same_number_anew_is_not_followed_for_the_silence_of_another(store: MemoryStore) -> None:
    first, third = wish(store), wish(store)
    assert [*first.attempts()] == []
    clock = FakeClock()
    second = wish(store, clock=clock, patience_alive=60.0)
    attempts = second.attempts()
    next(attempts)
    first.release()
    assert [*third.attempts()] == []
    clock.now += 61
    next(attempts)
    assert not second.held
    assert numbers(store) == [1]
    clock.now += 61
    assert [*attempts] == []
    assert second.held


def test_who_follows_one_that_lets_go_at_that_moment_steps_back(store: MemoryStore) -> None:
    class Late(MemoryTransport):
        """Between its looks and its next claim, the first owner lets go, and another one begins anew."""

        def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
            super().put(key, content)
            if claim_number(key) == 2:
                first.release()
                assert [*third.attempts()] == []

    first, third = wish(store), wish(store)
    assert [*first.attempts()] == []
    clock = FakeClock()
    second = Claim(Late(store), KEY, clock=clock, patience_alive=60.0)
    attempts = second.attempts()
    next(attempts)
    clock.now += 61
    next(attempts)
    assert (second.held, third.held, numbers(store)) == (False, True, [1])


def test_one_that_was_followed_while_it_was_stopped_leaves_the_key_taken(store: MemoryStore) -> None:
    clock = FakeClock()
    first = wish(store, clock=clock)
    assert [*first.attempts()] == []
    as_another_machine(store)
    clock.now += 100
    second = wish(store, patience=0.0)
    assert [*second.attempts()] == []
    assert second.held
    first.release()
    assert numbers(store) == [1, 2]
    second.release()
    assert numbers(store) == []


def test_who_cannot_ask_computes(store: MemoryStore) -> None:
    with Claim(FaultyTransport(MemoryTransport(store), at=0), KEY) as claim:
        assert [*claim.attempts()] == []
        assert claim.held


def test_abandoned_claims_are_those_whose_newest_is_old() -> None:
    def listed(call: Digest, number: int, modified: int) -> Listed:
        return Listed(claim_key(call, number), 100, modified)

    dead, alive = blob_digest(b"dead"), blob_digest(b"alive")
    old = [listed(dead, 1, 10), listed(dead, 7, LONG_AGO)]
    claims = [old[0], listed(alive, 1, 10), old[1], listed(alive, 9, LONG_AGO + 1)]
    assert abandoned_claims(claims, LONG_AGO) == [each.key for each in old]


def test_a_collection_removes_abandoned_claims(tmp_path: Path) -> None:
    store = memory_remote()
    machine = Machine(tmp_path)
    try:
        claim = Claim(MemoryTransport(store), KEY)
        assert [*claim.attempts()] == []
        remote = machine.remote(MemoryTransport(store))
        push(remote, machine.cache, keep(machine.cache, {b"file": b"content"}), Author("ann", 0))
        collect(remote, Author("ann", 0), 0)
        assert numbers(store) == [1]
        collect(remote, Author("ann", 2_000_000_000_000), 0)
        assert numbers(store) == []
    finally:
        machine.cache.close()


# -- machines: processes with caches of their own

HELD = """\
import ASYNC, os, pathlib
from hitsave import memo

@memo(remote="readwrite")
DEF f(x):
    RAN
    pathlib.Path("began-" + os.environ["NAME"]).touch()
    while os.path.exists("hold"):
        AWAIT.sleep(0.01)
    if os.path.exists("fail"):
        os.unlink("fail")
        raise ValueError("failed")
    return x * 2

pathlib.Path("calling-" + os.environ["NAME"]).touch()
print(CALL)
"""
FORMS = {
    "plain": {"ASYNC": "time", "DEF": "def", "AWAIT": "time", "CALL": "f(3)"},
    "async": {"ASYNC": "asyncio", "DEF": "async def", "AWAIT": "await asyncio", "CALL": "asyncio.run(f(3))"},
}


@pytest.mark.parametrize(
    ("form", "end", "runs"),
    [("plain", "done", 0), ("async", "done", 0), ("plain", "killed", 1), ("plain", "failed", 1)],
)
def test_machines_compute_a_key_once(tmp_path: Path, form: str, end: str, runs: int) -> None:
    project = Project(tmp_path, {"HITSAVE_REMOTE": (tmp_path / "remote").as_uri(), "HITSAVE_NO_CLOUD": "0"})
    script = HELD
    for word, stands_for in FORMS[form].items():
        script = script.replace(word, stands_for)
    project.write({"main.py": script, "hold": ""})

    def start(name: str) -> Running:
        return project.start(environ={"NAME": name, "HITSAVE_LOCAL_CACHE_DIR": str(tmp_path / f"cache-{name}")})

    first = start("first")
    first.wait_for(project.folder / "began-first")
    others = [start("second"), start("third")]
    for name, other in zip(("second", "third"), others, strict=True):
        other.wait_for(project.folder / f"calling-{name}")
    time.sleep(0.7)  # Long enough for one that does not wait to begin.
    assert [other.ran() for other in others] == [(), ()]
    if end == "killed":
        first.kill()
    elif end == "failed":
        (project.folder / "fail").touch()
    (project.folder / "hold").unlink()
    outcomes = [other.finish() for other in others]
    assert [(outcome.code, outcome.output) for outcome in outcomes] == [(0, "6")] * 2, outcomes
    assert sum(len(outcome.ran) for outcome in outcomes) == runs, outcomes
    if end == "done":
        ran_as(first.finish(), ["-"], "6")
    elif end == "failed":
        assert "ValueError: failed" in first.finish().errors
    assert [*(tmp_path / "remote" / "claims").iterdir()] == []
