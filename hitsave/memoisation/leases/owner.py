"""Who a process is, so that another one can tell whether it still lives."""

from __future__ import annotations

import os
import socket
import sys
from enum import Enum, auto
from typing import NamedTuple


class Life(Enum):
    """What can be said about a process from here."""

    ALIVE = auto()
    GONE = auto()
    UNKNOWN = auto()


class Owner(NamedTuple):
    """A process: the system it runs on, its number there, and when it began, as far as the system tells."""

    host: str
    pid: int
    began: str


_DEAD = ("Z", "X", "x")
_STOPPED = ("T", "t")

_known: Owner | None = None


def this_process() -> Owner:
    """This process."""
    global _known
    if _known is None or _known.pid != os.getpid():
        _known = Owner(_host(), os.getpid(), _began(os.getpid()) or "")
    return _known


def life_of(owner: Owner) -> Life:
    """Whether a process lives. A dead one whose parent has not asked for its status yet is gone.

    Of one that was stopped nobody knows whether it will ever go on.
    """
    if owner.host != this_process().host or sys.platform == "win32":
        return Life.UNKNOWN
    if sys.platform == "linux":
        if not owner.began or _began(owner.pid) != owner.began:
            return Life.GONE
        return Life.UNKNOWN if _state(owner.pid) in _STOPPED else Life.ALIVE
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return Life.GONE
    except OSError:
        return Life.UNKNOWN
    return Life.ALIVE


def _host() -> str:
    """The running system. Containers are systems of their own: their process numbers mean nothing outside."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        return f"{socket.gethostname()}/{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _began(pid: int) -> str | None:
    """When a process began, in ticks since the system did; None where there is none, or nobody can tell."""
    fields = _fields(pid)
    return None if not fields or fields[0] in _DEAD else fields[19]


def _state(pid: int) -> str:
    """What a process does, as Linux tells it; empty where there is none."""
    fields = _fields(pid)
    return fields[0] if fields else ""


def _fields(pid: int) -> list[str]:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()  # The name before it may hold anything.
    except OSError:
        return []
