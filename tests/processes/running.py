"""Runs Python programs to their ends, most of them in forks of a process that has imported what they begin with.

A new process spends nine tenths of its time in the same imports. So a run is a fork of a server where that is the same:
the fork has its own folder, variables, arguments, standard streams, module path and `__main__`, and ends as every
process does. Modules of the project under test are never loaded before it forks. What an interpreter takes from its
options and variables when it starts, a fork cannot have: such runs, and all on systems without fork, are new processes,
and so are all where the variable TESTS_FAST is "no" (`make soak`). Nor does a fork hash with several threads.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What Python or the system's libraries read when they start.
_OF_THE_START = re.compile(r"PYTHON(?!PATH$)|LC_|LANG|LD_|DYLD_|MALLOC_")
_PIECE = 1 << 16
#: Whether anything is forked here.
CAN_FORK = hasattr(os, "fork") and hasattr(socket, "send_fds") and os.environ.get("TESTS_FAST") != "no"


@dataclass(frozen=True)
class Ended:
    """What a process left: its exit code, negative where a signal ended it, and what it wrote."""

    code: int
    out: bytes
    err: bytes


class Kind:
    """Programs that begin with the same imports, `modules`, and mostly with the same variables.

    `servers` of them take turns: what depends on addresses, or on the seed of hashes, differs between two runs in
    succession as it does between new processes. With none of them, every run is a new process.
    """

    def __init__(self, modules: Sequence[str], environ: Mapping[str, str], servers: int = 1) -> None:
        self._modules = modules
        self._environ = {name: value for name, value in environ.items() if not name.startswith("PYTHONPATH")}
        self._forks = servers > 0 and CAN_FORK
        self._turns = itertools.cycle(range(servers))
        self._servers: dict[int, _Server] = {}
        self._asking = threading.Lock()

    def run(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        timeout: float,
        stdin: bytes = b"",
    ) -> Ended:
        """Run `python ARGUMENTS` to its end. Raises subprocess.TimeoutExpired with what it wrote until then."""
        order = {"arguments": [*arguments], "cwd": os.fspath(cwd), "environ": {**environ}}
        alike = _of_the_start(environ) == _of_the_start(self._environ)
        if self._forks and alike and _names_program(arguments) and self._asking.acquire(blocking=False):
            try:
                return self._next().run(order, timeout, stdin)
            finally:
                self._asking.release()
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=cwd, env=environ, input=stdin, capture_output=True, timeout=timeout, check=False
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def _next(self) -> _Server:
        turn = next(self._turns)
        if turn not in self._servers:
            self._servers[turn] = _Server(self._modules, self._environ)
        return self._servers[turn]


def _names_program(arguments: Sequence[str]) -> bool:
    """Whether a program is named, without options for the interpreter."""
    match arguments:
        case ["-m", module, *_]:
            return module != "cProfile"  # It looks at what the interpreter has begun with.
        case [script, *_]:
            return script.endswith(".py")
    return False


def _of_the_start(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if _OF_THE_START.match(name)}


class _Server:
    """The process that forks. It ends when this one does."""

    def __init__(self, modules: Sequence[str], environ: Mapping[str, str]) -> None:
        self._channel, its = socket.socketpair()
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-c", "import server; server.begin()", str(its.fileno()), *modules],
                cwd=Path(__file__).parent,
                env=environ,
                # Pipes, as the runs have: Python looks at what its streams are when it starts.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[its.fileno()],
            )
        atexit.register(self._end)

    def _end(self) -> None:
        self._channel.close()
        self._process.communicate()

    def run(self, order: Mapping[str, Any], timeout: float, stdin: bytes) -> Ended:
        """Carry out one run; nobody else may ask meanwhile."""
        (its_in, given), (out, its_out), (err, its_err) = os.pipe(), os.pipe(), os.pipe()
        its = [its_in, its_out, its_err]
        socket.send_fds(self._channel, [b"r"], its)
        for each in its:
            os.close(each)
        self._channel.sendall(json.dumps(order).encode() + b"\n")
        pid = self._answer()
        try:
            wrote = _converse(given, stdin, (out, err), timeout)
        except subprocess.TimeoutExpired:
            os.kill(pid, signal.SIGKILL)
            self._answer()
            raise
        return Ended(self._answer(), *wrote)

    def _answer(self) -> int:
        """The next number that the server says."""
        said = b""
        while not said.endswith(b"\n"):
            byte = self._channel.recv(1)
            assert byte, f"the process that forks has ended: {self._process.communicate()[1].decode()}"
            said += byte
        return int(said)


def _converse(given: int, content: bytes, pipes: Sequence[int], timeout: float) -> tuple[bytes, bytes]:
    """Write to one pipe and read the others, until they end; all are closed. Raises subprocess.TimeoutExpired."""
    read = {pipe: bytearray() for pipe in pipes}
    left = memoryview(content)
    until = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        os.set_blocking(given, False)
        selector.register(given, selectors.EVENT_WRITE)
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        try:
            while selector.get_map():
                ready = [key.fd for key, _ in selector.select(max(0.0, until - time.monotonic()))]
                if not ready:
                    raise subprocess.TimeoutExpired("python", timeout, *map(bytes, read.values()))
                for pipe in ready:
                    if pipe in read:
                        read[pipe] += (piece := os.read(pipe, _PIECE))
                        ended = not piece
                    else:
                        left = left[_write(pipe, left) :]
                        ended = not left
                    if ended:
                        selector.unregister(pipe)
                        os.close(pipe)
        finally:
            for key in selector.get_map().values():
                os.close(key.fd)
    out, err = map(bytes, read.values())
    return out, err


def _write(pipe: int, content: memoryview) -> int:
    """How much was taken of it. Who does not read any more has had enough."""
    try:
        return os.write(pipe, content[:_PIECE])
    except BrokenPipeError:
        return len(content)
