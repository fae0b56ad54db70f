"""Somebody who stops in the middle of what they do, for as long as others like."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from hitsave.remotes.transports.protocol import Transport
from tests.remotes.transports import WrappedTransport

Result = TypeVar("Result")


class Sleeper(WrappedTransport):
    """Stops before the operation with number `stop`, until it is woken. All later ones wait, too."""

    def __init__(self, inner: Transport, stop: int) -> None:
        super().__init__(inner)
        self._stop = stop
        self._lock = threading.Lock()
        self._operations = 0
        self._woken = threading.Event()
        #: That it sleeps, or has ended.
        self.stopped = threading.Event()

    def around(self, name: str, key: str, action: Callable[[], Result]) -> Result:
        with self._lock:
            number = self._operations
            self._operations += 1
        if number >= self._stop:
            self.stopped.set()
            assert self._woken.wait(timeout=60)
        return action()

    def wake(self) -> None:
        """Let it go on to its end."""
        self._woken.set()


class Asleep:
    """An action in a thread of its own, which sleeps in the middle. `then` is called with its result at its end."""

    def __init__(self, transport: Transport, stop: int, action: Callable[[Transport], Callable[[], None]]) -> None:
        self._sleeper = Sleeper(transport, stop)
        self._then: Callable[[], None] | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(action,))
        self._thread.start()
        assert self._sleeper.stopped.wait(timeout=60)
        #: Whether it has not come to its end before it fell asleep.
        self.slept = self._then is None and self._error is None

    def _run(self, action: Callable[[Transport], Callable[[], None]]) -> None:
        try:
            self._then = action(self._sleeper)
        except BaseException as error:
            self._error = error
        finally:
            self._sleeper.stopped.set()

    def wake(self) -> None:
        """Let it go on, without waiting for it."""
        self._sleeper.wake()

    def finish(self) -> None:
        """Wake it, and wait for its end."""
        self._sleeper.wake()
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error
        assert self._then is not None
        self._then()
