"""Leases within one process: threads, tasks, recursion, circles, patience, and a table that cannot be used."""

from __future__ import annotations

import asyncio
import contextvars
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from hitsave.cache.processes import Process, this_process
from hitsave.memoisation.leases.leases import Lease, Leases
from hitsave.memoisation.leases.table import LeaseTable
from hitsave.memoisation.leases.waiting import pause, pause_async

ELSEWHERE = Process("elsewhere", 1, "1")


def nothing() -> None:
    """No result yet."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "leases.db"


@pytest.fixture
def leases(path: Path) -> Leases:
    return Leases(path)


def taken(leases: Leases, key: bytes) -> Lease:
    lease = leases.take(key)
    assert lease is not None
    return lease


def in_thread(action: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=contextvars.Context().run, args=(action,), daemon=True)
    thread.start()
    return thread


def ends(thread: threading.Thread) -> bool:
    thread.join(60)
    return not thread.is_alive()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def waits(path: Path) -> int:
    """How many waits of holders are noted."""
    connection = sqlite3.connect(path)
    count: int = connection.execute("SELECT count(*) FROM waits").fetchone()[0]
    connection.close()
    return count


def test_taken_once_until_released(leases: Leases) -> None:
    lease = taken(leases, b"k")
    got: list[Lease | None] = []
    assert ends(in_thread(lambda: got.append(leases.take(b"k"))))
    assert got == [None]
    lease.release()
    lease.release()
    assert not lease.still_ours()
    assert taken(leases, b"k").still_ours()


def test_what_was_done_meanwhile_is_no_work_and_no_lease(leases: Leases, path: Path) -> None:
    assert leases.wait(b"k", lambda: "result") == "result"
    assert leases.holder_here(b"k") is None
    assert LeaseTable(path).held(b"k") is None


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_who_is_interrupted_leaves_nothing(leases: Leases, path: Path, error: type[BaseException]) -> None:
    def fails() -> None:
        raise error

    with pytest.raises(error):
        leases.wait(b"k", fails)
    other = Leases(path)
    with taken(other, b"k"), taken(leases, b"held meanwhile"):
        asked: list[int] = []

        def fails_later() -> None:
            asked.append(waits(path))
            if len(asked) == 3:
                raise error

        alone = contextvars.copy_context()
        with pytest.raises(error):
            alone.run(leases.wait, b"l", fails)
        foreign = LeaseTable(path)
        foreign.insert(b"foreign", b"t", ELSEWHERE)
        with pytest.raises(error):
            leases.wait(b"foreign", fails_later)
        assert asked[-1] > 0
    assert waits(path) == 0


def test_threads_compute_once(leases: Leases) -> None:
    results: list[str] = []
    bodies: list[int] = []

    def call() -> None:
        got = leases.wait(b"k", lambda: results[0] if results else None)
        if isinstance(got, Lease):
            with got:
                bodies.append(1)
                time.sleep(0.05)
                results.append("result")

    threads = [in_thread(call) for _ in range(8)]
    assert all(map(ends, threads))
    assert bodies == [1]


def test_tasks_compute_once_while_their_loop_goes_on(leases: Leases) -> None:
    results: list[str] = []
    bodies: list[int] = []

    async def call(others: asyncio.Event) -> object:
        got = await leases.wait_async(b"k", lambda: results[0] if results else None)
        if isinstance(got, Lease):
            with got:
                bodies.append(1)
                await others.wait()
                results.append("result")
        return results[0]

    async def main() -> list[object]:
        others = asyncio.Event()
        calls = [asyncio.create_task(call(others)) for _ in range(8)]
        for _ in range(20):
            await asyncio.sleep(0)
        others.set()
        return await asyncio.gather(*calls)

    assert asyncio.run(main()) == ["result"] * 8
    assert bodies == [1]


def test_a_waiting_thread_is_woken(leases: Leases) -> None:
    lease = taken(leases, b"k")
    thread = in_thread(lambda: pause(lease, 1e6))
    until(lambda: lease.wake)
    lease.release()
    assert ends(thread)
    pause(lease, 1e6)


def test_a_waiting_task_is_woken_from_another_thread(leases: Leases) -> None:
    lease = taken(leases, b"k")
    thread = in_thread(lambda: asyncio.run(pause_async(lease, 1e6)))
    until(lambda: lease.wake)
    lease.release()
    assert ends(thread)
    asyncio.run(pause_async(lease, 1e6))


def test_waiting_long_leaves_no_trail(leases: Leases) -> None:
    lease = taken(leases, b"k")
    pause(lease, 0.001)
    asyncio.run(pause_async(lease, 0.001))
    assert lease.wake == []


# -- recursion and circles


def test_who_holds_a_key_gets_it_again(leases: Leases) -> None:
    outer = taken(leases, b"k")
    with leases.wait(b"k", nothing) as inner:
        assert inner.shared
    assert outer.still_ours()
    outer.release()
    assert not taken(leases, b"k").shared


def test_a_thread_that_carries_the_context_gets_it_again(leases: Leases) -> None:
    got: list[bool] = []
    with taken(leases, b"k"):
        carried = contextvars.copy_context()
        assert ends(in_thread(lambda: carried.run(lambda: got.append(leases.wait(b"k", nothing).shared))))
    assert got == [True]


def test_a_context_that_outlives_its_lease_is_none(leases: Leases) -> None:
    with taken(leases, b"k"):
        carried = contextvars.copy_context()
    assert not carried.run(leases.wait, b"k", nothing).shared


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_circle_of_threads_ends(leases: Leases, path: Path, count: int) -> None:
    """Each holds one key and wants the next one's; as memoised functions that call each other may."""
    begun = threading.Barrier(count)
    shared: list[bool] = []

    def call(number: int) -> None:
        with taken(leases, b"%d" % number):
            begun.wait(60)
            with leases.wait(b"%d" % ((number + 1) % count), nothing) as lease:
                shared.append(lease.shared)

    threads = [in_thread(lambda number=number: call(number)) for number in range(count)]  # type: ignore[misc]
    assert all(map(ends, threads))
    assert sum(shared) in range(1, count)
    assert waits(path) == 0


def test_a_circle_of_tasks_ends(leases: Leases) -> None:
    async def call(first: bytes, second: bytes, begun: list[bytes]) -> None:
        with taken(leases, first):
            begun.append(first)
            while len(begun) < 2:
                await asyncio.sleep(0)
            with await leases.wait_async(second, nothing):
                pass

    async def main() -> None:
        begun: list[bytes] = []
        await asyncio.gather(call(b"a", b"b", begun), call(b"b", b"a", begun))

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_chain_is_no_circle(leases: Leases, path: Path) -> None:
    end = threading.Event()
    shared: list[bool] = []

    def hold() -> None:
        with taken(leases, b"b"):
            end.wait(60)

    def call() -> None:
        with taken(leases, b"a"), leases.wait(b"b", nothing) as lease:
            shared.append(lease.shared)

    holding = in_thread(hold)
    until(lambda: LeaseTable(path).held(b"b"))
    calling = in_thread(call)
    until(lambda: waits(path) == 1)
    end.set()
    assert ends(holding)
    assert ends(calling)
    assert shared == [False]


# -- patience


class Time:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def attempts_until_taken(path: Path, owner: Process, step: float, stirs: int = 0) -> int:
    """How often somebody who waits asks for a result before it takes over; the clock moves by `step` each time."""
    table = LeaseTable(path)
    table.insert(b"k", b"token", owner)
    clock = Time()
    asked: list[int] = []

    def done() -> None:
        asked.append(1)
        clock.now += step
        if len(asked) <= stirs:
            table.beat([(b"k", b"token")])

    lease = Leases(path, clock, patience=10, patience_alive=60).wait(b"k", done)
    assert not lease.shared
    assert lease.still_ours()
    return len(asked)


def test_patience_with_an_owner_on_another_machine(path: Path) -> None:
    # The first attempt takes no look at the counter; the second begins to count, at 5 s; the fourth is at 15 s.
    assert attempts_until_taken(path, ELSEWHERE, 5) == 4


def test_an_owner_that_stirs_is_waited_for(path: Path) -> None:
    assert attempts_until_taken(path, ELSEWHERE, 5, stirs=6) == 9


def test_who_stirs_at_the_last_moment_keeps_its_lease(path: Path) -> None:
    table = LeaseTable(path)
    table.insert(b"k", b"token", ELSEWHERE)
    seen = table.held(b"k")
    assert seen is not None
    table.beat([(b"k", b"token")])
    assert not table.replace(b"k", seen, b"mine", this_process())
    seen = table.held(b"k")
    assert seen is not None
    assert table.replace(b"k", seen, b"mine", this_process())
    assert not table.replace(b"k", seen, b"another", ELSEWHERE), "somebody was quicker"


def test_more_patience_with_a_process_that_is_seen_to_live(path: Path) -> None:
    assert attempts_until_taken(path, this_process(), 5) == 14


def test_an_owner_beats_for_leases_that_last(path: Path) -> None:
    leases = Leases(path, beat_every=0.01)
    table = LeaseTable(path)
    with taken(leases, b"k"):
        until(lambda: (held := table.held(b"k")) is not None and held.beat > 2)
    assert table.held(b"k") is None


def test_the_thread_that_beats_ends_and_begins_again(path: Path) -> None:
    others = set(threading.enumerate())
    leases = Leases(path, beat_every=0.001)

    def beating() -> bool:
        return any(thread.name == "hitsave leases" for thread in set(threading.enumerate()) - others)

    taken(leases, b"k").release()
    until(lambda: not beating())
    with taken(leases, b"k"):
        assert beating()


# -- a table that cannot be used


def folder_is_missing(path: Path) -> Path:
    return path.parent / "missing" / "leases.db"


def file_is_no_database(path: Path) -> Path:
    path.write_bytes(b"no database at all" * 100)
    return path


def file_is_a_folder(path: Path) -> Path:
    path.mkdir()
    return path


def table_is_another(path: Path) -> Path:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE leases(other)")
    connection.commit()
    connection.close()
    return path


@pytest.mark.parametrize("broken", [folder_is_missing, file_is_no_database, file_is_a_folder, table_is_another])
def test_everybody_computes_where_the_table_cannot_be_used(path: Path, broken: Callable[[Path], Path]) -> None:
    leases = Leases(broken(path))
    with pytest.warns(RuntimeWarning, match="cannot be used"):
        lease = leases.wait(b"k", nothing)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lease.still_ours()
        got: list[Lease] = []
        assert ends(in_thread(lambda: got.append(leases.wait(b"k", nothing))))
        assert got[0].shared
        lease.release()


def test_a_table_that_is_deleted_while_it_is_used(leases: Leases, path: Path) -> None:
    with taken(leases, b"k"):
        for file in path.parent.iterdir():
            file.unlink()
        other = Leases(path)
        got: list[Lease] = []
        assert ends(in_thread(lambda: got.append(other.wait(b"k", nothing))))
        assert len(got) == 1
    taken(leases, b"k").release()
