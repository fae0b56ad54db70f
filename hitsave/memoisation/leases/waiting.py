"""Waiting for a lease: in threads and in tasks, with growing pauses, and never in a circle."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from hitsave.cache.processes import Life, life_of
from hitsave.memoisation.leases.table import Held
from hitsave.memoisation.leases.turning import Turning

if TYPE_CHECKING:
    from hitsave.memoisation.leases.leases import Lease, Leases

_Found = TypeVar("_Found")

_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.25


class Waiter(Generic[_Found]):
    """One caller that waits for one key."""

    def __init__(
        self, leases: Leases, key: bytes, done: Callable[[], _Found | None], held: tuple[Lease, ...], in_task: bool
    ) -> None:
        """`held` are the leases that the caller holds meanwhile; `in_task`: a loop goes on while it waits."""
        self._leases = leases
        self._key = key
        self._done = done
        self._tokens = tuple(lease.token for lease in held)
        self._turning = Turning(in_task, held)
        self._begun = False
        self._seen: Held | None = None
        self._since = 0.0
        self._pause = _FIRST_PAUSE / 2
        self.blocking: Lease | None = None

    def attempt(self) -> Lease | _Found | None:
        """The lease, or what `done` gives; None where it is worth waiting on."""
        lease = self._try()
        try:
            found = self._done()
        except BaseException:
            if lease is not None:
                lease.release()
            raise
        if found is not None and lease is not None:
            lease.release()
        return lease if found is None else found

    def _try(self) -> Lease | None:
        lease = self._leases.take(self._key) if not self._begun else self._try_again()
        if lease is None and (self._turning.stops(self.blocking) or self._waits_in_circle()):
            lease = self._leases.share(self._key)
        if lease is not None:
            self._turning.note(lease)
        return lease

    def _try_again(self) -> Lease | None:
        self.blocking = self._leases.holder_here(self._key)
        if self.blocking is not None:
            return None
        held = self._leases.ask(lambda table: table.held(self._key), None)
        if held is None or self._given_up(held):
            return self._leases.claim(self._key, held)
        return None

    def _given_up(self, held: Held) -> bool:
        life = life_of(held.owner)
        now = self._leases.clock()
        if self._seen is None or (held.token, held.beat) != (self._seen.token, self._seen.beat):
            self._seen, self._since = held, now
        patience = self._leases.patience_alive if life is Life.ALIVE else self._leases.patience
        return life is Life.GONE or now - self._since >= patience

    def _waits_in_circle(self) -> bool:
        if not self._begun:
            self._begun = True
            self._leases.ask(lambda table: table.begin_wait(self._tokens, self._key), None)
        # Where the table cannot be used nobody would notice a circle, so that nobody waits.
        return self._leases.ask(lambda table: bool(self._tokens) and table.waits_for(self._tokens, self._key), True)

    def next_pause(self) -> float:
        """How long to wait before the next attempt."""
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        return self._pause

    def close(self) -> None:
        """Nothing is waited for any more."""
        if self._begun and self._tokens:
            self._leases.ask(lambda table: table.end_wait(self._tokens, self._key), None)


def _subscribe(lease: Lease, wake: Callable[[], None]) -> None:
    lease.wake.append(wake)
    if lease.released:  # Perhaps before it could see who waits.
        wake()


def _unsubscribe(lease: Lease, wake: Callable[[], None]) -> None:
    with contextlib.suppress(ValueError):
        lease.wake.remove(wake)


def pause(blocking: Lease | None, seconds: float) -> None:
    """Wait for so long, or until the lease of this process that is in the way is let go."""
    if blocking is None:
        time.sleep(seconds)
        return
    woken = threading.Event()
    _subscribe(blocking, woken.set)
    try:
        woken.wait(seconds)
    finally:
        _unsubscribe(blocking, woken.set)


async def pause_async(blocking: Lease | None, seconds: float) -> None:
    """As `pause`, while other tasks of the loop run."""
    import asyncio  # Who gets here has imported it already; everybody else is spared.

    if blocking is None:
        await asyncio.sleep(seconds)
        return
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # The loop was closed meanwhile.
            loop.call_soon_threadsafe(woken.set)

    _subscribe(blocking, wake)
    try:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(woken.wait(), seconds)
    finally:
        _unsubscribe(blocking, wake)
