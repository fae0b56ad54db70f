"""Runs one command and says what it took: wall time, CPU time and peak memory, from the kernel's `wait4`.

The figures are of the command and of every child it waited for. Linux starts a child's peak memory at
that of the process which started it, so peaks below the harness's own (some 20 MB) can't be seen.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO


class CommandFailed(Exception):
    """A command ended with an error or ran out of time; the message holds the last line it wrote."""


class WrongResult(Exception):
    """A tool said that it was done, and what it left differs from the source."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What commands took: wall and CPU (user and system) seconds, and the highest resident set in bytes."""

    seconds: float
    cpu: float
    peak: int

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.seconds + other.seconds, self.cpu + other.cpu, max(self.peak, other.peak))


NOTHING = Usage(0.0, 0.0, 0)


def execute(
    command: Sequence[str | Path],
    *,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    timeout: float = 3600.0,
) -> Usage:
    """Run `command` in `folder`, its output appended to `log`; raise CommandFailed unless it exits with 0."""
    arguments = [str(part) for part in command]
    with log.open("ab") as output:
        output.write(f"$ {' '.join(arguments)}\n".encode())
        output.flush()
        start = time.perf_counter()
        child = _spawn(arguments, folder, environment, output)
        late = threading.Event()
        clock = threading.Timer(timeout, _stop, (child.pid, late))
        clock.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
        finally:
            clock.cancel()
        seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if late.is_set():
        raise CommandFailed(f"{_short(arguments)}: stopped after {timeout:.0f} s")
    if child.returncode != 0:
        raise CommandFailed(f"{_short(arguments)}: exit {child.returncode}: {_last_line(log)}")
    return Usage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def execute_until(
    command: Sequence[str | Path],
    reached: Callable[[], bool],
    *,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    timeout: float = 3600.0,
) -> None:
    """Run `command` until `reached` and kill it then, with its children; raise CommandFailed where it ends before."""
    arguments = [str(part) for part in command]
    end = time.monotonic() + timeout
    with log.open("ab") as output:
        child = _spawn(arguments, folder, environment, output)
        try:
            while not reached():
                if child.poll() is not None:
                    raise CommandFailed(f"{_short(arguments)}: ended before it could be killed: {_last_line(log)}")
                if time.monotonic() > end:
                    raise CommandFailed(f"{_short(arguments)}: stopped after {timeout:.0f} s")
                time.sleep(0.005)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def require_same(source: Path, made: Path, environment: Mapping[str, str], log: Path) -> None:
    """Compare every name and every byte of two directories; raise WrongResult where they differ."""
    try:
        execute(["diff", "-rq", source, made], folder=source, environment=environment, log=log)
    except CommandFailed as failure:
        raise WrongResult(str(failure)) from failure


def _spawn(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], output: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, so that its children end with it."""
    return subprocess.Popen(
        arguments,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _stop(pid: int, late: threading.Event) -> None:
    late.set()
    os.killpg(pid, signal.SIGKILL)


def _short(arguments: Sequence[str]) -> str:
    return " ".join([Path(arguments[0]).name, *arguments[1:3]])


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = file.read().decode(errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip() and not line.startswith("$ ")]
    return said[-1] if said else "no output"
