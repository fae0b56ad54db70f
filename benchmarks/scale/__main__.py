"""`python -m benchmarks.scale [JOB...] [--entries N | --files N] [--folder DIR]`."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import benchmarks.scale
from benchmarks.scale import datasets
from benchmarks.scale.jobs import JOBS, peak
from benchmarks.scale.running import PART, run_job
from benchmarks.scale.simulation import Simulation


def _measure_index(folder: Path, entries: int, jobs: Sequence[str]) -> None:
    for first in range(0, entries, PART):
        figures = run_job(folder, "make_part", min(PART, entries - first))
    print(json.dumps(figures), flush=True)
    chosen = [job for job in jobs or JOBS if job != "merge"]
    for job in ("merge", *chosen):
        for count in JOBS[job][1]:
            print(json.dumps(run_job(folder, job, count)), flush=True)


def _measure_dataset(folder: Path, files: int) -> None:
    for job, (_, count) in datasets.JOBS.items():
        print(json.dumps(run_job(folder, job, files if count == datasets.FILES else count)), flush=True)


def _carry_out(folder: Path, job: str, count: int) -> None:
    action = JOBS[job][0] if job in JOBS else datasets.JOBS[job][0]
    start = time.perf_counter()
    figures = action(Simulation(folder), count)
    print(json.dumps({"job": job, **figures, "seconds": time.perf_counter() - start, "peak": peak()}))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=benchmarks.scale.__doc__)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=f"of {', '.join(JOBS)} (default: all)")
    parser.add_argument("--entries", type=int, default=20_000_000, help="chunks of the index")
    parser.add_argument("--files", type=int, help="instead, push, pull and collect a dataset of so many small files")
    parser.add_argument("--folder", type=Path, help="where to put the files (default: the temporary folder)")
    parser.add_argument("--in", type=Path, dest="simulation", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.simulation:
        (job,) = options.jobs
        _carry_out(options.simulation, job, options.count)
        return
    folder = Path(tempfile.mkdtemp(prefix="scale-", dir=options.folder))
    try:
        if options.files:
            _measure_dataset(folder, options.files)
        else:
            _measure_index(folder, options.entries, options.jobs)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
