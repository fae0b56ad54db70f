"""Loops that turn and stand still: a holder that is a task goes on only while its loop does.

Who waits for a task whose loop stands still, because it has ended or because the waiter itself keeps it from turning,
would wait without end. It gets a lease that shuts nobody out instead.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from hitsave.memoisation.leases.leases import Lease


class Loop(Protocol):
    """What is needed of an event loop."""

    def is_running(self) -> bool:
        """Whether somebody runs it now."""


class Turning:
    """One caller among loops: what it keeps from turning when it waits, and when it has got its lease."""

    def __init__(self, in_task: bool, held: Sequence[Lease]) -> None:
        """`in_task`: its own loop goes on while it waits; `held` are the leases under which it runs."""
        self._in_task = in_task
        self._held = held
        self._loop = _running_loop()
        self._thread = threading.get_ident()

    def note(self, lease: Lease) -> None:
        """Say of a lease what it depends on, and what it stops."""
        if self._in_task:
            lease.turned_by, lease.thread = self._loop, self._thread
        else:
            lease.stops = self._loop

    def stops(self, holder: Lease | None) -> bool:
        """Whether a holder in this process cannot go on while this caller waits."""
        if holder is None or holder.turned_by is None:
            return False
        loop = holder.turned_by
        here = holder.thread == self._thread and not (self._in_task and loop is self._loop)
        return here or not loop.is_running() or any(lease.stops is loop for lease in self._held)


def goes_on(lease: Lease) -> bool:
    """Whether the holder of a lease is not a task whose loop stands still."""
    return lease.turned_by is None or lease.turned_by.is_running()


def _running_loop() -> Loop | None:
    events = sys.modules.get("asyncio.events")  # Where it was not loaded, there is none.
    found: Loop | None = events._get_running_loop() if events is not None else None
    return found
