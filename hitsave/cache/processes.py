"""Which process did something, and whether it is still there.

A number alone does not name a process, since it is given again: with it goes when the process was started, where the
system tells. What cannot be told of a process, as on another machine, counts as if it were there.
"""

from __future__ import annotations

import functools
import os
import platform
import sys
from typing import NamedTuple


class Process(NamedTuple):
    """A process: its machine, its number, and an opaque text that says when it was started; empty where unknown."""

    host: str
    pid: int
    started: str


def this_process() -> Process:
    """The process that asks."""
    return _this(os.getpid())


@functools.lru_cache(maxsize=1)
def _this(pid: int) -> Process:
    return Process(platform.node(), pid, _started(pid) or "")


def is_gone(process: Process) -> bool:
    """Whether it has certainly ended. One that has ended, and that nobody has waited for, is gone as well."""
    if process.host != platform.node():
        return False
    if sys.platform == "linux":
        return _started(process.pid) != process.started
    return not _exists(process.pid)


def _started(pid: int) -> str | None:
    """When a process was started, in ticks since this boot of the machine, with the boot's name; None without one."""
    if sys.platform != "linux":
        return ""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # The name before it may hold anything.
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else f"{boot} {int(fields[19])}"


def _exists(pid: int) -> bool:
    if sys.platform == "win32":  # A signal would end it there.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
