"""Small results that this process has read or made, so that the next hit reads nothing.

They are kept as pickles, since the caller may change what he gets; what cannot be changed is kept as it is.
"""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict

from hitsave.memoisation.code.kinds import is_atom
from hitsave.objects.refs import RefName

#: In bytes: the largest pickle that is kept, and how much is kept in all.
LARGEST = 256 * 1024
_MOST = 64 * 1024 * 1024


class WarmResult:
    """One result. `version` is that of the database for which the refs by which it counts were last seen."""

    __slots__ = ("_atom", "_pickle", "names", "size", "version")

    def __init__(self, names: tuple[RefName, ...], value: object, pickled: bytes) -> None:
        self.names = names
        self.version: object = None
        self.size = len(pickled) + 500
        self._atom = value if is_atom(value) else None
        self._pickle = None if self._atom is not None or value is None else pickled

    def value(self) -> object:
        """The result, the caller's own."""
        return self._atom if self._pickle is None else pickle.loads(self._pickle)


class WarmResults:
    """The results of one function by key, the least recently used being dropped."""

    def __init__(self) -> None:
        self._found: OrderedDict[bytes, WarmResult] = OrderedDict()
        self._size = 0
        self._lock = threading.RLock()

    def renew_lock(self) -> None:
        """In a child: another thread of its parent may hold it."""
        self._lock = threading.RLock()

    def get(self, key: bytes) -> WarmResult | None:
        """The result of a key."""
        return self._found.get(key)

    def put(self, key: bytes, result: WarmResult) -> None:
        """Keep a result."""
        with self._lock:
            self._drop(key)
            self._found[key] = result
            self._size += result.size
            while self._size > _MOST:
                self._size -= self._found.popitem(last=False)[1].size

    def drop(self, key: bytes) -> None:
        """Forget a key."""
        with self._lock:
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        known = self._found.pop(key, None)
        if known is not None:
            self._size -= known.size
