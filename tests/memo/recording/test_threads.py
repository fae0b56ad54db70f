"""Threads and pools that a call starts record for it; others notice nothing."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest

from hitsave.memoisation.leases.leases import held_here
from hitsave.memoisation.recording import carry, follow_threads
from hitsave.recording import Recorder, current

others: ContextVar[str] = ContextVar("others", default="empty")


@pytest.fixture(autouse=True)
def followed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit
    follow_threads()
    yield
    threading.Thread.start, ThreadPoolExecutor.submit = start, submit  # type: ignore[method-assign]


def run_in(thread: threading.Thread) -> None:
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


def in_thread(action: Callable[[], Any]) -> Any:
    """What a function gives in a thread of its own."""
    got: list[Any] = []
    run_in(threading.Thread(target=lambda: got.append(action())))
    return got[0]


def test_following_twice_is_following_once() -> None:
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit
    follow_threads()
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == (start, submit)


def test_without_a_recorder_nothing_is_carried() -> None:
    assert in_thread(current) is None
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(current).result() is None


def test_threads_and_their_threads() -> None:
    with Recorder() as recorder:
        assert in_thread(current) is recorder
        assert in_thread(lambda: in_thread(current)) is recorder
    assert in_thread(current) is None


def test_leases_are_carried_too() -> None:
    with Recorder():
        token = held_here.set(("lease",))  # type: ignore[arg-type]
        assert in_thread(held_here.get) == ("lease",)
        held_here.reset(token)


def test_other_variables_are_not() -> None:
    token = others.set("set")
    expected = in_thread(others.get)
    with Recorder():
        assert in_thread(others.get) == expected
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(others.get).result() == expected
    others.reset(token)
    if sys.version_info < (3, 14):
        assert expected == "empty"


def test_a_variable_that_asks_for_it_is_carried() -> None:
    mine: ContextVar[int] = ContextVar("mine")
    carry(mine, 0)
    with Recorder():
        assert in_thread(mine.get) == 0
        mine.set(7)
        assert in_thread(mine.get) == 7


class Doubling(threading.Thread):
    """Overrides what threads override."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.seen: object = None

    def start(self) -> None:
        self.number += 1
        super().start()

    def run(self) -> None:
        self.number *= 2
        self.seen = current()


def test_a_subclass_that_overrides_run_and_start() -> None:
    with Recorder() as recorder:
        thread = Doubling(3)
        run_in(thread)
    assert (thread.number, thread.seen) == (8, recorder)
    assert "run" not in vars(thread)


def test_a_thread_whose_run_was_replaced() -> None:
    seen: list[object] = []

    def run() -> None:
        seen.append(current())

    with Recorder() as recorder:
        thread = threading.Thread()
        thread.run = run  # type: ignore[method-assign]
        run_in(thread)
    assert seen == [recorder]
    assert thread.run is run


def test_a_timer() -> None:
    seen: list[object] = []
    with Recorder() as recorder:
        run_in(threading.Timer(0, lambda: seen.append(current())))
    assert seen == [recorder]


def test_a_thread_that_cannot_be_started_twice() -> None:
    with Recorder():
        thread = threading.Thread(target=current)
        run_in(thread)
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
    assert "run" not in vars(thread)


def test_what_a_thread_raises_reaches_its_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda found: seen.append((found.exc_type, found.thread)))
    with Recorder():
        thread = threading.Thread(target=lambda: [][0])
        run_in(thread)
    assert seen == [(IndexError, thread)]


def test_a_thread_that_outlives_the_call_records_no_more() -> None:
    end = threading.Event()
    seen: list[object] = []

    def late() -> None:
        seen.append(current())
        end.wait(60)
        seen.append(current())

    with Recorder() as recorder:
        thread = threading.Thread(target=late)
        thread.start()
        while not seen:
            pass
    end.set()
    thread.join()
    assert seen == [recorder, None]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="threads take a context since 3.14")
def test_a_thread_that_was_given_a_context_runs_in_it() -> None:
    seen: list[object] = []
    given = contextvars.Context()
    with Recorder():
        run_in(threading.Thread(target=lambda: seen.append(current()), context=given))  # type: ignore[call-arg]
    assert seen == [None]


# -- pools


def test_a_pool_that_was_begun_before() -> None:
    with ThreadPoolExecutor(2) as pool:
        assert pool.submit(current).result() is None
        with Recorder() as recorder:
            assert list(pool.map(lambda _: current(), range(4))) == [recorder] * 4
        assert pool.submit(current).result() is None


def test_a_pool_that_is_begun_within_and_serves_others_later() -> None:
    with Recorder() as outer:
        pool = ThreadPoolExecutor(1)
        assert pool.submit(current).result() is outer
        # Somebody who has nothing to do with the call, while it runs.
        assert contextvars.Context().run(pool.submit, current).result() is None
        with Recorder() as inner:
            assert pool.submit(current).result() is inner
    assert pool.submit(current).result() is None
    pool.shutdown()


def test_a_pool_passes_arguments_results_and_errors() -> None:
    def body(*args: int, **kwargs: int) -> tuple[Any, ...]:
        return args, kwargs

    with Recorder(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(body, 1, function=2, self=3).result() == ((1,), {"function": 2, "self": 3})
        with pytest.raises(ZeroDivisionError):
            pool.submit(lambda: 1 / 0).result()


def test_a_pool_that_is_a_subclass() -> None:
    class Counting(ThreadPoolExecutor):
        count = 0

        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            self.count += 1
            return super().submit(fn, *args, **kwargs)

    with Recorder() as recorder, Counting(1) as pool:
        assert pool.submit(current).result() is recorder
    assert pool.count == 1


def test_a_pool_that_was_shut_down_says_so() -> None:
    with Recorder() as recorder:
        with ThreadPoolExecutor(1) as pool:
            pass
        with pytest.raises(RuntimeError, match="after shutdown"):
            pool.submit(current)
        assert current() is recorder


def test_the_executor_of_a_loop() -> None:
    async def main() -> object:
        return await asyncio.get_running_loop().run_in_executor(None, current)

    with Recorder() as recorder:
        assert asyncio.run(main()) is recorder
