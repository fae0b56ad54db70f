"""Whether source files are what this process has loaded: those that have not changed since it began certainly are."""

from __future__ import annotations

import functools
import os
import time

Signature = tuple[int, int, int, int]

_LOADED = time.time_ns()
#: When own modules were loaded, as far as that was seen: by file, in ns since 1970.
loaded_at: dict[str, int] = {}


def signature_of(path: str) -> Signature | None:
    """What changes when a file is written; None where there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns


def is_as_loaded(file: str) -> bool:
    """Whether a file has certainly not changed since this process may have loaded it."""
    signature = signature_of(file)
    if signature is None:
        return False
    changed = signature[0] if os.name == "nt" else max(signature[0], signature[3])
    return changed <= max(began(), loaded_at.get(file, 0))


@functools.cache
def began() -> int:
    """The time, in ns since 1970, before which nothing was loaded; where the system does not tell, when this was."""
    try:
        return min(_LOADED, _began(os.getpid()))
    except (OSError, ValueError, AttributeError, IndexError):
        return _LOADED


def _began(pid: int) -> int:
    """The beginning of a process on Linux. One that was forked has what its parent had loaded."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    tick = 10**9 // os.sysconf("SC_CLK_TCK")
    since_boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    # Ticks are cut off; and a tick is less than any Python needs until it imports something of a project.
    own = time.time_ns() - since_boot + (int(fields[19]) + 1) * tick
    parent = int(fields[1])
    return min(own, _began(parent)) if parent and _command(parent) == _command(pid) else own


def _command(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b"%d" % pid
