"""Runs measurements, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.scale.simulation import Simulation
from hitsave.packing.commit import StoredFile

#: Entries of an index that is made at once.
PART = 2_000_000


def run_job(folder: Path, job: str, count: int) -> dict[str, Any]:
    """What one job measures, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scale", "--in", str(folder), "--count", str(count), job]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]).stdout
    figures: dict[str, Any] = json.loads(output)
    return figures


def simulate(folder: Path, entries: int, part: int = PART) -> StoredFile:
    """Make an index of so many chunks in a folder, and the smaller ones that it is merged from."""
    for first in range(0, entries, part):
        run_job(folder, "make_part", min(part, entries - first))
    run_job(folder, "merge", 0)
    return Simulation(folder).load("whole")[0]
