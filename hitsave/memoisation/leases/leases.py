"""One computes, the others wait. A lease is for a key, across threads, processes and machines that share the cache.

- A lease saves work; it keeps nobody from publishing. What is published first wins, and `still_ours` tells an owner
  that was taken for dead.
- No clocks are compared: whoever waits watches a counter that a living owner keeps raising, by its own clock. On the
  same system the owner's process is looked at, too, and a dead one's lease is taken over at once.
- Nobody waits for itself: who holds a key gets it again, and where waiting would close a circle of holders that wait
  for each other, the caller gets a lease that shuts nobody out.
- Where the table of leases cannot be used, everybody computes. That costs one warning, and never an error.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from contextvars import Context, ContextVar
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from hitsave.cache.processes import Life, life_of, this_process
from hitsave.memoisation.leases.table import Held, LeaseTable
from hitsave.memoisation.leases.turning import Loop, goes_on
from hitsave.memoisation.leases.waiting import Waiter, pause, pause_async

Clock = Callable[[], float]
_Found = TypeVar("_Found")
_Answer = TypeVar("_Answer")

#: So many beats after the last lease was let go, the thread that beats ends.
_IDLE_BEATS = 10

#: The leases under which the current code runs, also those that were let go since.
held_here: ContextVar[tuple[Lease, ...]] = ContextVar("hitsave_leases", default=())
_all_leases: weakref.WeakSet[Leases] = weakref.WeakSet()


class Lease:
    """The right, and the duty, to compute a key. Release it, or use it as a context manager.

    `shared` leases are those that shut nobody out. `turned_by` is the loop of a holder that is a task, without which it
    does not go on; `stops` is the loop that stands still while a holder that is none runs.
    """

    def __init__(self, leases: Leases, key: bytes, shared: bool = False) -> None:
        self.key = key
        self.shared = shared
        self.token = secrets.token_bytes(16)
        self.released = False
        self.taken = 0.0
        self.wake: list[Callable[[], None]] = []
        self.turned_by: Loop | None = None
        self.stops: Loop | None = None
        self.thread = 0
        self._leases = leases
        self._pid = os.getpid()

    def still_ours(self) -> bool:
        """Whether nobody has taken this lease over; what an owner who was taken for dead asks before it publishes."""
        if self.shared:
            return True
        return not self.released and self._pid == os.getpid() and self._leases.holds(self)

    def release(self) -> None:
        """Let go, and wake who waits in this process. More than once is no error; in a forked child it does nothing."""
        if self.released or self._pid != os.getpid():
            return
        if self.shared:
            self.released = True
        else:
            self._leases.drop(self)
        held_here.set(_live_leases())

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _live_leases() -> tuple[Lease, ...]:
    return tuple(lease for lease in held_here.get() if not lease.released)


class Leases:
    """The leases of one cache. All times are in seconds.

    An owner of whom nothing is heard loses its lease after `patience`; after `patience_alive`, where its process is
    seen to live, which may be in the midst of a call that lets no other thread run.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock = time.monotonic,
        patience: float = 10.0,
        patience_alive: float = 60.0,
        beat_every: float = 1.0,
    ) -> None:
        self.clock = clock
        self.patience = patience
        self.patience_alive = patience_alive
        self._beat_every = beat_every
        self._table = LeaseTable(path)
        self._lock = threading.RLock()
        self._here: dict[bytes, Lease] = {}
        self._beater: threading.Thread | None = None
        self._broken = False
        _all_leases.add(self)

    # -- taking

    def take(self, key: bytes) -> Lease | None:
        """The lease for a key; None while somebody else who lives holds it."""
        if self._holds_already(key):
            return self.share(key)
        lease = self.claim(key, None)
        if lease is None and self.holder_here(key) is None:
            held = self.ask(lambda table: table.held(key), None)
            if held is not None and life_of(held.owner) is Life.GONE:
                lease = self.claim(key, held)
        return lease

    def wait(self, key: bytes, done: Callable[[], _Found | None]) -> Lease | _Found:
        """The lease for a key, or what `done` gives, whichever comes first. `done` is asked again under the lease."""
        waiter = Waiter(self, key, done, _live_leases(), in_task=False)
        try:
            while (outcome := waiter.attempt()) is None:
                pause(waiter.blocking, waiter.next_pause())
            return outcome
        finally:
            waiter.close()

    async def wait_async(self, key: bytes, done: Callable[[], _Found | None]) -> Lease | _Found:
        """As `wait`, while other tasks of the loop run."""
        waiter = Waiter(self, key, done, _live_leases(), in_task=True)
        try:
            while (outcome := waiter.attempt()) is None:
                await pause_async(waiter.blocking, waiter.next_pause())
            return outcome
        finally:
            waiter.close()

    def claim(self, key: bytes, seen: Held | None) -> Lease | None:
        """Take a key that is free, or take it over from whom was `seen`; None where somebody was quicker."""
        lease = Lease(self, key)
        lease.taken = self.clock()
        with self._lock:
            if key in self._here:
                return None
            self._here[key] = lease
        try:
            got = self.ask(lambda table: _write(table, lease, seen), True)
        except BaseException:  # Interrupted, perhaps after it was written.
            self.drop(lease)
            raise
        if not got:
            self._forget(lease)
            return None
        self._begin_beating()
        held_here.set((*_live_leases(), lease))
        return lease

    def share(self, key: bytes) -> Lease:
        """A lease that shuts nobody out."""
        return Lease(self, key, shared=True)

    def _holds_already(self, key: bytes) -> bool:
        here = self.holder_here(key)
        return here is not None and here in held_here.get()

    def holder_here(self, key: bytes) -> Lease | None:
        """The lease of this process for a key."""
        with self._lock:
            return self._here.get(key)

    # -- holding

    def holds(self, lease: Lease) -> bool:
        """Whether the table names this lease."""
        held = self.ask(lambda table: table.held(lease.key), None)
        return self._broken or (held is not None and held.token == lease.token)

    def drop(self, lease: Lease) -> None:
        """Take a lease out of the table, unless it was taken over, and wake who waits for it here."""
        try:
            with contextlib.suppress(sqlite3.Error, OSError):
                self._table.delete(lease.key, lease.token)
        finally:
            self._forget(lease)

    def _forget(self, lease: Lease) -> None:
        with self._lock:
            lease.released = True
            if self._here.get(lease.key) is lease:
                del self._here[lease.key]
            waiting, lease.wake = lease.wake, []
        for wake in waiting:
            wake()

    def _begin_beating(self) -> None:
        with self._lock:
            if self._beater is not None:
                return
            self._beater = threading.Thread(target=self._beat, name="hitsave leases", daemon=True)
            beater = self._beater
        try:
            Context().run(beater.start)  # It outlives the call that it happens to be started in.
        except RuntimeError:  # The program is ending.
            self._beater = None

    def _beat(self) -> None:
        idle = 0
        while True:
            time.sleep(self._beat_every)
            with self._lock:
                now = self.clock()
                living = [lease for lease in self._here.values() if goes_on(lease)]
                old = [(lease.key, lease.token) for lease in living if now - lease.taken >= self._beat_every]
                idle = 0 if self._here else idle + 1
                if idle == _IDLE_BEATS:
                    self._beater = None
                    return
            self.ask(partial(LeaseTable.beat, leases=old), None)

    # -- the table

    def ask(self, question: Callable[[LeaseTable], _Answer], otherwise: _Answer) -> _Answer:
        """What the table answers; `otherwise` where it cannot be used, which is said once."""
        if not self._broken:
            try:
                return question(self._table)
            except (sqlite3.Error, OSError) as error:
                self._broken = True
                warnings.warn(
                    f"{self._table.path}: cannot be used ({error}); a result that several processes want at once "
                    "is computed by each of them. The file may be removed when no program uses it",
                    RuntimeWarning,
                    stacklevel=2,
                )
        return otherwise

    def close(self) -> None:
        """Close the database. Leases that are held stay so."""
        self._table.close()

    def before_fork(self) -> None:
        """Keep every thread out until the fork is done."""
        self._lock.acquire()
        self._table.before_fork()

    def after_fork(self) -> None:
        """Let them in again, in the parent."""
        self._table.after_fork()
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """The child holds nothing of its parent's."""
        self._table.after_fork_in_child()
        self._lock = threading.RLock()
        self._here = {}
        self._beater = None


def _write(table: LeaseTable, lease: Lease, seen: Held | None) -> bool:
    if seen is None:
        return table.insert(lease.key, lease.token, this_process())
    return table.replace(lease.key, seen, lease.token, this_process())


#: Those that a fork found, and locked.
_forking: list[Leases] = []


def _before_fork() -> None:
    _forking[:] = list(_all_leases)
    for leases in _forking:
        leases.before_fork()


def _after_fork() -> None:
    while _forking:
        _forking.pop().after_fork()


def _after_fork_in_child() -> None:
    while _forking:
        _forking.pop().after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
