"""A process that wants leases: `python -m tests.memo.leases.worker ROLE FOLDER NUMBER`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from hitsave.memoisation.leases.leases import Lease, Leases

KEY = b"key"
OTHER = b"other key"


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def compute(folder: Path, number: str) -> None:
    """Give the result, computed by whoever gets the lease."""
    result = folder / "result"
    leases = Leases(folder / "leases.db")
    (folder / f"ready-{number}").touch()
    wait_for(folder / "go")
    got = leases.wait(KEY, lambda: result.read_text() if result.exists() else None)
    if isinstance(got, Lease):
        with got:
            run_body(folder, number)
            (folder / "partial").write_text(number)
            (folder / "partial").rename(result)
    print(result.read_text())


def run_body(folder: Path, number: str) -> None:
    fd = os.open(folder / "bodies", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, f"{number}\n".encode())
    os.close(fd)
    time.sleep(0.1)


def hold(folder: Path, number: str) -> None:
    """Hold the lease until told to tell whether it is still held."""
    lease = Leases(folder / "leases.db", beat_every=0.05).take(KEY)
    assert lease is not None
    (folder / f"holds-{number}").touch()
    wait_for(folder / "tell")
    print(lease.still_ours())
    lease.release()


def circle(folder: Path, number: str) -> None:
    """Hold one of two keys, and want the other, which another process holds and does the same."""
    first, second = (KEY, OTHER) if number == "0" else (OTHER, KEY)
    leases = Leases(folder / "leases.db")
    lease = leases.take(first)
    assert lease is not None
    with lease:
        (folder / f"holds-{number}").touch()
        wait_for(folder / f"holds-{1 - int(number)}")
        got = leases.wait(second, lambda: None)
        assert isinstance(got, Lease)
        print(got.shared)
        got.release()


if __name__ == "__main__":
    {"compute": compute, "hold": hold, "circle": circle}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
