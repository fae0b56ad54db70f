"""Sees the code that begins to run through a profile function: for Python 3.11, which has nothing better.

While one is set, calls take four times as long, and loops without calls as well. So it is given up when it has cost
more than 0.1 s and 5 % of the time, or when a look from beside finds the thread in a loop that calls nothing, where
the function itself is never asked. From then on, the stack is looked at a hundred times a second. What is entered
after that and left within 10 ms is missed.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from types import CodeType, FrameType

from hitsave.memoisation.code.entered import IMPORT_MODULE, Entered, Ledger, entered_here

#: What an event costs, in seconds, with the slower way in which the interpreter runs meanwhile.
_COST = 0.35e-6
_ALLOWED = 0.1
_ALLOWED_PART = 0.05
_EVENTS_PER_CHECK = 4096
_INTERVAL = 0.01
_DEEPEST = 400


class _Session:
    """A profile function in one thread."""

    def __init__(self, owner: Profiling) -> None:
        self.thread = threading.get_ident()
        self.last: str | None = "call"
        self.is_on = True
        self.function = self.hook  # Kept here: who unsets it may do so while it runs.
        self.owner = owner
        self.left = _EVENTS_PER_CHECK
        self._checks = 0
        self._began = time.perf_counter()
        get_state = ctypes.pythonapi.PyThreadState_Get
        get_state.restype = ctypes.c_void_p
        self._state = get_state()

    def hook(self, frame: FrameType, event: str, argument: object) -> None:
        """The profile function."""
        self.last = event
        self.left -= 1
        if event == "call" and id(frame.f_code) not in self.owner.settled:
            self.owner.note(frame)
        if self.left < 0:
            self.check()

    def check(self) -> None:
        """Give up where it has cost too much."""
        self._checks += 1
        self.left = _EVENTS_PER_CHECK
        cost = self._checks * _EVENTS_PER_CHECK * _COST
        if not self.owner.is_wanted or cost > _ALLOWED + _ALLOWED_PART * (time.perf_counter() - self._began):
            self.is_on = False
            sys.setprofile(None)

    def look(self) -> None:
        """From another thread: end it in a loop without calls. The thread is known to be there still."""
        if self.last is None:
            self.is_on = False
            unset = ctypes.pythonapi._PyEval_SetProfile
            unset.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
            unset(self._state, None, None)
        elif self.last != "c_call":  # Then it is elsewhere than in Python code, and nothing is slowed down.
            self.last = None


class Profiling:
    """Sets the profile function in threads that run blocks, and in those that are begun meanwhile."""

    def __init__(self, ledger: Ledger) -> None:
        self.settled: dict[int, CodeType] = {}
        self._ledger = ledger
        self._sessions: dict[int, _Session] = {}
        self._watching: threading.Thread | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether any block runs."""
        return bool(self._ledger.active)

    def arm(self, settled: dict[int, CodeType]) -> None:
        """Look again at own code."""
        for number in settled:
            self.settled.pop(number, None)

    def reconsider(self) -> None:
        """Look again at all code."""
        self.settled.clear()

    def start(self, entered: Entered) -> None:
        """Set the profile function, where nobody has set one."""
        with self._ledger.lock:
            if sys.getprofile() is not None or entered.thread in self._sessions:
                return
            session = self._sessions[entered.thread] = _Session(self)
            self._watch()
            if threading.getprofile() is None:
                threading.setprofile(self._begin_thread)
        sys.setprofile(session.function)

    def stop(self, entered: Entered) -> None:
        """The last block of a thread takes the function away."""
        with self._ledger.lock:
            if not self._ledger.active and threading.getprofile() == self._begin_thread:
                threading.setprofile(None)
            if any(each.thread == entered.thread for each in self._ledger.active):
                return
            session = self._sessions.pop(entered.thread, None)
        if session is not None and sys.getprofile() == session.hook:
            sys.setprofile(None)

    def note(self, frame: FrameType) -> None:
        """Code begins to run that is not settled."""
        with self._ledger.lock:  # No block may begin between the answer and what is made of it.
            found = self._ledger.note(frame.f_code, frame, entered_here.get())
            if found is not False and frame.f_code is not IMPORT_MODULE:
                self.settled[id(frame.f_code)] = frame.f_code

    def _begin_thread(self, frame: FrameType, event: str, argument: object) -> None:
        if self.is_wanted:
            sys.setprofile(_Session(self).function)
        else:
            sys.setprofile(None)

    # -- from beside

    def _watch(self) -> None:
        if self._watching is None or not self._watching.is_alive():
            self._watching = threading.Thread(target=self._run, name="hitsave-entered", daemon=True)
            self._watching.start()

    def _run(self) -> None:
        idle = 0
        while idle < 100:
            time.sleep(_INTERVAL)
            with self._ledger.lock:
                idle = 0 if self._sessions else idle + 1
                for session in self._sessions.values():
                    if session.is_on:
                        session.look()
                    else:
                        self._sample(session.thread)
                if idle >= 100:
                    self._watching = None

    def _sample(self, thread: int) -> None:
        """Note what is on the stack of a thread, above its blocks."""
        bases = {each.base: each for each in self._ledger.active if each.thread == thread}
        frame = sys._current_frames().get(thread)
        above: list[FrameType] = []
        while frame is not None and len(above) < _DEEPEST:
            if (entered := bases.get(id(frame))) is not None:
                for each in above:
                    if id(each.f_code) not in self.settled:
                        self._ledger.note(each.f_code, each, entered)
                return
            above.append(frame)
            frame = frame.f_back
