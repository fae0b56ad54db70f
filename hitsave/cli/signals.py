"""Ctrl-C, and SIGTERM of whoever ends processes in order: the command ends in order as well, and soon.

A first signal interrupts what is going on, which then tidies up: takes away its temporary files, tells other threads to
stop. Whoever waits for a dead network or disk would do so for long. So after a moment, or at a second signal, the
process ends as it is. Nothing is half-written then either: the store stands a process that is killed at any instant.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

#: Seconds for tidying up.
GRACE = 0.8
_OUTCOMES = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
}


def obey() -> None:
    """Let signals end this process in order; those that whoever started it wants ignored stay so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _stop)


def exit_code(number: int) -> int:
    """What a process ends with that a signal has ended."""
    return 128 + number


def outcome(number: int) -> str:
    """The line that says so."""
    said = _OUTCOMES.get(signal.Signals(number), "stopped")
    return f"{said}; nothing is half-written, run it again to go on"


def _stop(number: int, frame: FrameType | None) -> None:
    for each in _OUTCOMES:
        signal.signal(each, _end)
    timer = threading.Timer(GRACE, _end, (number, None))
    timer.daemon = True
    timer.start()
    raise KeyboardInterrupt(number)


def _end(number: int, frame: FrameType | None) -> None:
    line = f"hitsave: {outcome(number)}\n"
    try:
        os.write(2, (f"\n{line}" if sys.stderr.isatty() else line).encode())
    finally:
        os._exit(exit_code(number))
