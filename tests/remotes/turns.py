"""Participants that take turns at a store, one operation at a time, in an order that a test gives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from hitsave.objects.refs import Ref
from hitsave.packing.commit import Commit, commit_digest, decode_commit
from hitsave.remotes.commits.keys import COMMITS, commit_key
from hitsave.remotes.transports.protocol import Transport
from hitsave.remotes.writing.push import Pushed
from tests.remotes.content import Machine
from tests.remotes.transports import MemoryStore, MemoryTransport, WrappedTransport

Result = TypeVar("Result")


class Turns:
    """Lets one operation happen at a time, of the participant whose turn it is."""

    def __init__(self, order: Iterator[int]) -> None:
        self._order = order
        self._changed = threading.Condition()
        #: How many operations of each participant wait; None where it has ended.
        self._waiting: dict[int, int | None] = {}
        self._granted: int | None = None
        self.steps: list[int] = []

    def join(self, who: int) -> None:
        """A participant begins."""
        self._waiting[who] = 0

    def take(self, who: int) -> None:
        """Wait for a turn."""
        with self._changed:
            self._waiting[who] = (self._waiting[who] or 0) + 1
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._granted == who, timeout=60)
            self._waiting[who] = (self._waiting[who] or 1) - 1
            self._granted = None
            self._changed.notify_all()  # Another thread of this participant may wait as well.

    def leave(self, who: int) -> None:
        """A participant ends."""
        with self._changed:
            self._waiting[who] = None
            self._changed.notify_all()

    def run(self) -> None:
        """Grant turns in the order asked for, until all have ended."""
        with self._changed:
            while True:
                # Everybody waits, or has ended: what happens next is decided here alone.
                assert self._changed.wait_for(
                    lambda: self._granted is None and all(count != 0 for count in self._waiting.values()), timeout=60
                )
                ready = [who for who, count in self._waiting.items() if count]
                if not ready:
                    return
                wanted = next(self._order, ready[0])
                self._granted = wanted if wanted in ready else ready[0]
                self.steps.append(self._granted)
                self._changed.notify_all()


class TakingTurns(WrappedTransport):
    """Waits for its turn before each operation that others could notice, or that looks at what others did."""

    def __init__(self, inner: Transport, turns: Turns, who: int) -> None:
        super().__init__(inner)
        self._turns = turns
        self._who = who

    def around(self, name: str, key: str, action: Callable[[], Result]) -> Result:
        self._turns.take(self._who)
        return action()


def push_in_turns(
    store: MemoryStore, order: Iterator[int], pushes: Sequence[tuple[Machine, Sequence[Ref]]]
) -> tuple[list[Pushed], list[int]]:
    """What each push did, and whose turn it was at each step."""
    turns = Turns(order)
    done: dict[int, Pushed | BaseException] = {}

    def work(who: int, machine: Machine, refs: Sequence[Ref]) -> None:
        try:
            done[who] = machine.push(TakingTurns(MemoryTransport(store), turns, who), *refs)
        except BaseException as error:
            done[who] = error
        finally:
            turns.leave(who)

    threads = []
    for who, (machine, refs) in enumerate(pushes):
        turns.join(who)
        threads.append(threading.Thread(target=work, args=(who, machine, refs)))
    for thread in threads:
        thread.start()
    turns.run()
    for thread in threads:
        thread.join()
    results = [done[who] for who in range(len(pushes))]
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if isinstance(result, Pushed)], turns.steps


def check_chain(transport: Transport) -> list[Commit]:
    """Every commit names the one before."""
    commits: list[Commit] = []
    parent = None
    for number, key in enumerate(transport.list(COMMITS), 1):
        assert key == commit_key(number)
        content = transport.get(key)
        commits.append(decode_commit(content))
        assert commits[-1].number == number
        assert commits[-1].parent == parent
        parent = commit_digest(content)
    return commits


def first_this_then_that(*lengths: int) -> Iterator[int]:
    """So many steps of 0, of 1, of 0 ...; then the rest."""
    for turn, length in enumerate(lengths):
        yield from (turn % 2 for _ in range(length))
