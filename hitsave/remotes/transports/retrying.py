"""Tries again what may work when it is tried again (RemoteUnavailable), a bounded number of times, with longer waits.

An answer can be lost after its request was carried out. So a `put` that is tried again may find the key taken by
itself: RemoteConflict as always. Callers tell by the content, which all keys but those of commits are named by.
"""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hitsave.errors import RemoteUnavailable
from hitsave.remotes.transports.protocol import Buffer, Listed, Transport

_Result = TypeVar("_Result")
#: A store that asks to be left alone for longer is asked again after so many seconds.
_LONGEST_ASKED = 60.0


@dataclass(frozen=True, slots=True)
class BackOff:
    """How often something is tried, and how long is waited before each new try, in seconds: `first`, doubled each time.

    Where the waits would come to more than `most` in all, no further try is made.
    """

    tries: int = 6
    first: float = 0.2
    most: float = 30.0

    def waits(self, chance: Callable[[], float]) -> Iterator[float]:
        """The waits, each shortened by up to a half by `chance` (0 to 1), so that many clients don't come at once."""
        total = 0.0
        for number in range(self.tries - 1):
            wait = self.first * 2**number * (1 - chance() / 2)
            total += wait
            if total > self.most:
                return
            yield wait


class Retrying:
    """A transport that tries again. `sleep` waits for a number of seconds; True from it ends the tries."""

    def __init__(
        self,
        inner: Transport,
        back_off: BackOff | None = None,
        sleep: Callable[[float], bool | None] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.url = inner.url
        self.parallel = inner.parallel
        self._inner = inner
        self._back_off = back_off or BackOff()
        self._sleep = sleep
        self._chance = chance
        self._closing = threading.Event()

    def _try(self, action: Callable[[], _Result]) -> _Result:
        # Who closes the transport ends what is under way now, not what comes later.
        sleep = self._sleep or self._closing.wait
        waits = self._back_off.waits(self._chance)
        tries = 0
        while True:
            tries += 1
            try:
                return action()
            except RemoteUnavailable as error:
                wait = next(waits, None)
                if wait is None or sleep(max(wait, min(error.after, _LONGEST_ASKED))):
                    raise RemoteUnavailable(f"{error} (tried {tries} times)" if tries > 1 else str(error)) from error

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """A value, or a part of it.

        A part that is shorter than was asked for must end where the value does; that is looked at, and what turns out
        to have been cut off is asked for again. Of whole values it cannot be known here.
        """
        return self._try(lambda: self._get(key, start, length))

    def _get(self, key: str, start: int, length: int | None) -> bytes:
        content = self._inner.get(key, start, length)
        if length is not None and len(content) < length and self._inner.get(key, start + len(content), 1):
            raise RemoteUnavailable(f"{self.url}: {key}: only {len(content)} of {length} bytes came")
        return content

    def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
        """Create a key. RemoteConflict may mean that an earlier try of this very call had created it."""
        self._try(lambda: self._inner.put(key, content))

    def put_file(self, key: str, path: Path) -> None:
        """Create a key with the content of a file; for RemoteConflict see `put`."""
        self._try(lambda: self._inner.put_file(key, path))

    def download(self, key: str, path: Path) -> None:
        """Write a value into a new file; each try begins with a new one."""
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(path))

        def download() -> None:
            try:
                self._inner.download(key, path)
            except RemoteUnavailable:
                path.unlink(missing_ok=True)
                raise

        self._try(download)

    def list(self, prefix: str, after: str = "") -> list[str]:
        """The keys that begin with `prefix` and sort after `after`."""
        return self._try(lambda: self._inner.list(prefix, after))

    def scan(self, prefix: str) -> Iterator[Listed]:
        """The keys that begin with `prefix`, with sizes and ages; read to the end before the first one is given."""
        return iter(self._try(lambda: [*self._inner.scan(prefix)]))

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys."""
        chosen = [*keys]
        self._try(lambda: self._inner.delete(chosen))

    def sync(self) -> None:
        """Make everything that was put so far durable."""
        self._try(self._inner.sync)

    def close(self) -> None:
        """End connections, and the waits of other threads: what they tried fails with its last error."""
        self._closing.set()
        self._closing = threading.Event()
        self._inner.close()
