"""A fork waits for what it must not cut in two."""

from __future__ import annotations

import os
import threading
import time

import pytest

from hitsave.cache.forking import Undivided

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")


@pytest.fixture
def undivided(monkeypatch: pytest.MonkeyPatch) -> Undivided:
    """One of its own, which forks nothing but notes that it did."""
    monkeypatch.setattr(os, "fork", lambda: 1)
    return Undivided()


def test_a_fork_waits_for_other_threads(undivided: Undivided) -> None:
    entered, order = threading.Event(), []

    def work() -> None:
        with undivided, undivided:
            entered.set()
            time.sleep(0.1)
            order.append("work")

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait()
    os.fork()
    order.append("fork")
    thread.join()
    assert order == ["work", "fork"]


def test_a_fork_does_not_wait_for_its_own_thread(undivided: Undivided) -> None:
    with undivided:
        assert os.fork() == 1


def test_who_comes_later_may_enter(undivided: Undivided) -> None:
    with undivided:
        pass
    os.fork()
    entered = threading.Event()

    def work() -> None:
        with undivided:
            entered.set()

    threading.Thread(target=work).start()
    assert entered.wait(30)


def test_a_fork_that_fails_lets_threads_in_again(undivided: Undivided, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise OSError("no memory")

    monkeypatch.setattr(os, "fork", fail)
    with undivided:
        pass
    with pytest.raises(OSError, match="no memory"):
        os.fork()
    with undivided:
        pass


def test_locks_are_renewed_in_the_child(undivided: Undivided) -> None:
    renewed: list[str] = []
    undivided.renew(lambda: renewed.append("lock"))
    undivided.after_fork_in_child()
    assert renewed == ["lock"]
