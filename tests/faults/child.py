"""A process that carries out operations, each in a fork of its own that may crash. Read by tests/faults/forks.py.

One line of JSON on stdin is one operation; the answer on stdout is the exit status. It opens no cache and starts no
thread itself, so that every fork begins as a fresh process would, without the time that a new interpreter takes.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

from hitsave.cache.store import Cache
from tests.faults.crashing import arm
from tests.faults.operations import OPERATIONS


def _carry_out(name: str, cache: Path, folder: Path, crash_at: int) -> None:
    operation = OPERATIONS[name]
    steps = arm()
    if name == "open":
        steps.end_at(crash_at)
    with Cache.open(cache) as opened:
        if name != "open":
            steps.end_at(crash_at)
        operation.run(opened, folder)


def main() -> None:
    """Answer until stdin ends."""
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            try:
                _carry_out(order["operation"], Path(order["cache"]), Path(order["folder"]), order["crash_at"])
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
