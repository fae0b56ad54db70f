"""Who takes note of the snapshots that are taken while a call runs.

A recorder is current in the code that runs within its block, and in what that code starts: tasks by themselves,
threads where `hitsave.memoisation.recording` sees to it. Recorders nest: what an inner call takes belongs to the outer
ones as well. A forked child has none.
"""

from __future__ import annotations

import os
import secrets
import threading
from contextvars import ContextVar
from types import TracebackType
from typing import NamedTuple

#: The innermost recorder here, which may have ended; `current` is for asking.
recorder_here: ContextVar[Recorder | None] = ContextVar("hitsave_recorder", default=None)


class Taken(NamedTuple):
    """One snapshot: the digest and kind of its object, size in bytes, and the path, seen from the workspace."""

    digest: bytes
    kind: int
    size: int
    path: str


class Recorder:
    """Takes note of snapshots while its block runs, in any thread. Blocks may be nested.

    `hold` is the token under which the cache holds what was taken: that of the outermost recorder, since what an inner
    call took is needed until the outer one has ended, whatever becomes of the inner one.
    """

    def __init__(self) -> None:
        self.parent = current()
        self.hold: str = secrets.token_hex(16) if self.parent is None else self.parent.hold
        self.ended = False
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._taken: dict[Taken, None] = {}
        self._before: Recorder | None = None

    def __enter__(self) -> Recorder:
        self._before = recorder_here.get()
        recorder_here.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pid == os.getpid():  # In a forked child, the lock may be held by a thread that is not there.
            with self._lock:
                self.ended = True
        recorder_here.set(self._before)

    @property
    def is_live(self) -> bool:
        """Whether its block still runs, in this process."""
        return not self.ended and self._pid == os.getpid()

    @property
    def taken(self) -> tuple[Taken, ...]:
        """What was taken so far, each once, in that order."""
        with self._lock:
            return tuple(self._taken)

    def took(self, digest: bytes, kind: int, size: int, path: str) -> bool:
        """A snapshot was taken. False where no call that runs has noted it, so that it must be owned otherwise."""
        taken = Taken(digest, kind, size, path)
        noted = False
        recorder: Recorder | None = self
        while recorder is not None:
            noted |= recorder._note(taken)
            recorder = recorder.parent
        return noted

    def _note(self, taken: Taken) -> bool:
        with self._lock:
            if not self.is_live:
                return False
            self._taken[taken] = None
            return True


def current() -> Recorder | None:
    """The innermost recorder whose block runs here, in this process."""
    recorder = recorder_here.get()
    while recorder is not None and not recorder.is_live:
        recorder = recorder.parent
    return recorder
