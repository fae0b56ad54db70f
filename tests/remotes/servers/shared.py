"""One server for all processes of a test run, and for all runs of a checkout that are under way at once."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

_TRIES = 3
_PATIENCE = 60
#: Below the ports that systems give to outgoing connections, so that none of these takes one of ours.
_PORTS = range(20_000, 32_000)
#: Files that are locked as long as this process uses the servers.
_held: list[int] = []


@dataclass(frozen=True)
class Kind:
    """How a server of one kind is run.

    `commands` gives its programs, by the ports that they may use. `prepare` makes what tests need in it, and raises as
    long as it is not ready.
    """

    name: str
    ports: int
    commands: Callable[[Sequence[int]], list[list[str]]]
    prepare: Callable[[Sequence[int]], None]


@functools.cache
def start(kind: Kind) -> Sequence[int]:
    """The ports of a running server, which runs as long as this process does. Skips where locks are not to be had."""
    try:
        import fcntl
    except ImportError:
        pytest.skip("servers are shared by file locks, which this system does not have")
    folder = _folder() / kind.name
    folder.mkdir(parents=True, exist_ok=True)
    users = os.open(folder / "users", os.O_RDWR | os.O_CREAT)
    with _locked(folder / "gate"):
        fcntl.flock(users, fcntl.LOCK_SH)  # Waits for a keeper that is about to end.
        _held.append(users)
        if not _is_locked(folder / "alive"):
            _start_new(kind, folder)
        ports: Sequence[int] = json.loads((folder / "ports.json").read_text())
    return ports


def _folder() -> Path:
    checkout = hashlib.sha256(os.fsencode(Path(__file__).resolve().parent)).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"hitsave-servers-{os.getuid()}-{checkout}"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl

    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _is_locked(path: Path) -> bool:
    import fcntl

    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _start_new(kind: Kind, folder: Path) -> None:
    for attempt in range(_TRIES):
        shutil.rmtree(folder / "data", ignore_errors=True)
        ports = free_ports(kind.ports)
        (folder / "spec.json").write_text(json.dumps(kind.commands(ports)))
        (folder / "ports.json").write_text(json.dumps(ports))
        with (folder / "log").open("wb") as log:
            keeper = subprocess.Popen(
                [sys.executable, os.fspath(Path(__file__).with_name("keeper.py")), os.fspath(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            _wait(kind, ports, keeper)
        except RuntimeError:
            # Somebody else may have taken a port meanwhile.
            if attempt == _TRIES - 1:
                log_text = (folder / "log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{kind.name} did not start:\n{log_text}") from None
            continue
        keeper.returncode = 0  # It ends after us; nobody waits for it.
        return


def _wait(kind: Kind, ports: Sequence[int], keeper: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return kind.prepare(ports)
        except Exception as error:
            if keeper.poll() is not None or time.monotonic() > until:
                keeper.terminate()
                keeper.wait()
                raise RuntimeError(str(error)) from error
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens at now."""
    found: list[int] = []
    with contextlib.ExitStack() as bound:
        for port in random.sample(_PORTS, len(_PORTS)):
            if len(found) == count:
                break
            one = bound.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                one.bind(("127.0.0.1", port))
                found.append(port)
    return found
