"""Whether a link holds is asked of the store each time; those who ask at once share what one look found."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hitsave.server.public.published import Looks


class Store:
    """Something that changes, and takes its time to say so."""

    def __init__(self) -> None:
        self.value = 0
        self.looks = 0
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)

    def look(self) -> int:
        self.looks += 1
        value = self.value
        self.begun.release()
        assert self.may_end.acquire(timeout=30)
        return value


def test_nobody_is_told_what_was_true_before_he_asked() -> None:
    store = Store()
    looks = Looks(store.look)
    told: list[int] = []
    first = threading.Thread(target=lambda: told.append(looks.now()))
    first.start()
    assert store.begun.acquire(timeout=30)
    store.value = 1
    # These come after the change, while a look is under way that began before it.
    others = [threading.Thread(target=lambda: told.append(looks.now())) for _ in range(8)]
    for thread in others:
        thread.start()
    for _ in range(1 + len(others)):
        store.may_end.release()
    for thread in (first, *others):
        thread.join(30)
    assert told[0] == 0
    assert told[1:] == [1] * 8
    # Those who asked before the second look began share it.
    assert 2 <= store.looks <= 1 + len(others)


def test_who_asks_one_after_the_other_looks_each_time() -> None:
    store = Store()
    looks = Looks(store.look)
    for turn in range(3):
        store.value = turn
        store.may_end.release()
        assert looks.now() == turn
    assert store.looks == 3


def test_a_look_that_failed_tells_nobody_anything() -> None:
    answers: Iterator[int | OSError] = iter([1, OSError("the store is silent"), 2])

    def look() -> int:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    looks = Looks(look)
    assert looks.now() == 1
    with pytest.raises(OSError, match="silent"):
        looks.now()
    assert looks.now() == 2
