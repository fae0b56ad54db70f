"""The test's side of tests/faults/child.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parents[2]


class Forks:
    """Carries out operations in processes that may crash."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.child"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Forks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def run(self, operation: str, cache: Path, folder: Path, crash_at: int) -> int:
        """The exit status of an operation that crashes at a step, counted from 1; 0 where it has fewer steps."""
        order = {"operation": operation, "cache": str(cache), "folder": str(folder), "crash_at": crash_at}
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("both are pipes")
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())
