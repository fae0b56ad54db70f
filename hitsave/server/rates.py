"""How many requests a key or an address may make: a bucket for each, which fills again as time goes by.

Counted in each server by itself.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

#: So many keys and addresses are remembered; those that were quiet longest are forgotten.
_MOST = 10_000
_MINUTE = 60.0


class Rate:
    """So many requests a minute for each name; as many may come at once. `clock` gives seconds."""

    def __init__(self, a_minute: int, clock: Callable[[], float]) -> None:
        self._full = float(a_minute)
        self._clock = clock
        self._lock = threading.Lock()
        #: How much each name has left, and when that was so.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Count one request: 0, or in how many seconds the next one is let in."""
        return self._use(name, 1.0)

    def wait(self, name: str) -> float:
        """The same, and nothing is counted."""
        return self._use(name, 0.0)

    def _use(self, name: str, amount: float) -> float:
        with self._lock:
            now = self._clock()
            left, since = self._left.pop(name, (self._full, now))
            left = min(self._full, left + (now - since) * self._full / _MINUTE)
            refused = left < 1.0
            self._left[name] = (left if refused else left - amount, now)
            if len(self._left) > _MOST:
                self._left.popitem(last=False)
            return (1.0 - left) * _MINUTE / self._full if refused else 0.0
