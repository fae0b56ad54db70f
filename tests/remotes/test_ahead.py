"""Requests side by side: their order, their bounds, and how they end."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from hitsave.remotes.ahead import in_order, run_all

_PATIENCE = 30


def test_results_come_in_order_whatever_is_done_first() -> None:
    """Each action waits for the one after it."""
    done = [threading.Event() for _ in range(8)]

    def action(number: int) -> int:
        if number % 4 < 3:
            assert done[number + 1].wait(_PATIENCE)
        done[number].set()
        return number * 10

    with in_order(range(8), action, threads=4) as results:
        assert list(results) == [(number, number * 10) for number in range(8)]


def test_as_many_at_once_as_was_said() -> None:
    together = threading.Barrier(4)
    running: list[int] = []
    most = 0
    lock = threading.Lock()

    def action(number: int) -> None:
        nonlocal most
        with lock:
            running.append(number)
            most = max(most, len(running))
        together.wait(_PATIENCE)
        with lock:
            running.remove(number)

    with in_order(range(16), action, threads=4) as results:
        assert len(list(results)) == 16
    assert most == 4


def test_no_more_bytes_are_held_than_was_said() -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for number in range(50):
            asked.append(number)
            yield number

    used = 0
    with in_order(items(), lambda number: number, threads=8, cost=lambda number: 10, most=35) as results:
        for number, _ in results:
            # What was used before, the one in hand, two more, and one that waits for its turn.
            assert len(asked) <= used + 4
            assert number == used
            used += 1
    assert used == 50


def test_one_item_that_is_larger_than_the_bound() -> None:
    with in_order([5, 100, 5], lambda size: size, threads=2, cost=lambda size: size, most=20) as results:
        assert [size for size, _ in results] == [5, 100, 5]


def test_an_error_ends_the_rest() -> None:
    begun: list[int] = []
    may_go_on = threading.Event()
    before = threading.active_count()

    def action(number: int) -> None:
        begun.append(number)
        if number == 1:
            raise ValueError("number 1")
        if number > 1:
            assert may_go_on.wait(_PATIENCE)

    def fail() -> None:
        with in_order(range(1000), action, threads=2) as results:
            for _ in results:
                pass

    timer = threading.Timer(0.2, may_go_on.set)
    timer.start()
    with pytest.raises(ValueError, match="number 1"):
        fail()
    timer.join()
    assert len(begun) <= 4
    assert threading.active_count() == before


def test_an_error_of_the_user_waits_for_what_is_under_way() -> None:
    ended: list[int] = []
    begun = threading.Semaphore(0)

    def action(number: int) -> None:
        begun.release()
        if number:
            threading.Event().wait(0.1)
        ended.append(number)

    def fail() -> None:
        with in_order(range(100), action, threads=2) as results:
            next(results)
            assert begun.acquire(timeout=_PATIENCE)
            assert begun.acquire(timeout=_PATIENCE)
            raise ValueError("of the user")

    with pytest.raises(ValueError, match="of the user"):
        fail()
    seen = len(ended)
    assert 1 <= seen <= 4
    threading.Event().wait(0.2)
    assert len(ended) == seen


def test_an_interrupt_does_not_wait_for_what_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hitsave.remotes.ahead._PATIENCE", 0.05)
    hanging = threading.Event()

    def interrupt() -> None:
        with in_order(range(10), lambda number: number and hanging.wait(), threads=3) as results:
            next(results)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    hanging.set()


def test_what_was_used_is_let_go() -> None:
    """Threads that wait for more keep nothing of what they had."""

    class Item:
        pass

    kept: list[weakref.ref[Item]] = []

    def items() -> Iterator[Item]:
        for _ in range(8):
            item = Item()
            kept.append(weakref.ref(item))
            yield item

    with in_order(items(), lambda item: None, threads=2) as results:
        assert sum(1 for _ in results) == 8
        ended = time.monotonic() + _PATIENCE
        while any(item() is not None for item in kept) and time.monotonic() < ended:
            time.sleep(0.01)
        assert [item() for item in kept] == [None] * 8


@pytest.mark.parametrize("count", [0, 1, 5])
def test_all_jobs_are_done(count: int) -> None:
    done: list[int] = []
    run_all([lambda number=number: done.append(number) for number in range(count)], 3)  # type: ignore[misc]
    assert sorted(done) == list(range(count))
