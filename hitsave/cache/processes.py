"""Which process did something, and whether it is still there.

A number alone does not name a process, since it is given again: with it goes when the process was started, where the
system tells. Nor does it mean anything on another machine, or in a container that counts its own processes.
"""

from __future__ import annotations

import functools
import os
import platform
import sys
from enum import Enum, auto
from typing import NamedTuple

_DEAD = ("Z", "X", "x")
_STOPPED = ("T", "t")


class Life(Enum):
    """What can be said about a process from here."""

    ALIVE = auto()
    GONE = auto()
    UNKNOWN = auto()


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
    return Process(_host(), pid, _started(pid) or "")


def _host() -> str:
    """The machine, with the name space of its process numbers."""
    try:
        return f"{platform.node()}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()


def is_gone(process: Process) -> bool:
    """Whether it has certainly ended."""
    return life_of(process) is Life.GONE


def life_of(process: Process) -> Life:
    """Whether a process lives. One that has ended, and that nobody has waited for, is gone as well.

    Of one that was stopped nobody knows whether it will ever go on.
    """
    if process.host != this_process().host or sys.platform == "win32":  # A signal would end it there.
        return Life.UNKNOWN
    if sys.platform == "linux":
        if not process.started or _started(process.pid) != process.started:
            return Life.GONE
        return Life.UNKNOWN if next(iter(_fields(process.pid)), "") in _STOPPED else Life.ALIVE
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return Life.GONE
    except OSError:
        return Life.UNKNOWN
    return Life.ALIVE


def _started(pid: int) -> str | None:
    """When a process was started, in ticks since this boot of the machine, with the boot's name; None without one."""
    if sys.platform != "linux":
        return ""
    fields = _fields(pid)
    if not fields or fields[0] in _DEAD:
        return None
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {int(fields[19])}"
    except OSError:
        return None


def _fields(pid: int) -> list[str]:
    """What Linux tells of a process, from its state on; nothing where there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()  # The name before it may hold anything.
    except OSError:
        return []
