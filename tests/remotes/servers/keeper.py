"""Runs the programs of one server until nobody uses it any more: `python keeper.py FOLDER`.

Every user holds a shared lock on `users`. Locks end with their processes, however these end, so a server never outlives
the tests, not even those that were killed. The keeper itself holds `alive`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

_LOOK_EVERY = 0.2
_PATIENCE = 5


def main(folder: Path) -> None:
    """Run the commands of `spec.json` in the folder."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    alive = os.open(folder / "alive", os.O_RDWR | os.O_CREAT)
    fcntl.flock(alive, fcntl.LOCK_EX)
    users = os.open(folder / "users", os.O_RDWR | os.O_CREAT)
    spec = json.loads((folder / "spec.json").read_text())
    (folder / "data").mkdir()
    with (folder / "log").open("ab") as log:
        programs = [
            subprocess.Popen(command, cwd=folder / "data", stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            for command in spec
        ]
    try:
        while all(program.poll() is None for program in programs) and not _is_free(users):
            time.sleep(_LOOK_EVERY)
    finally:
        _end(programs)
        shutil.rmtree(folder / "data", ignore_errors=True)
        os.close(alive)  # Before `users`, which this process may hold: who gets that one must not find us alive.


def _is_free(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _end(programs: list[subprocess.Popen[bytes]]) -> None:
    for program in programs:
        with contextlib.suppress(ProcessLookupError):
            program.send_signal(signal.SIGTERM)
    for program in programs:
        try:
            program.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
