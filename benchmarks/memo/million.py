"""A store of very many evaluations of one function, and what a hit and a miss cost in it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from benchmarks.memo.peers import PEERS
from benchmarks.memo.report import Report
from benchmarks.memo.trials import Job

_FILLING = Path(__file__).parent / "filling.py"
_AT_ONCE = 20_000
_FEW = 1000


def measure(folder: Path, count: int, report: Report) -> None:
    """Fill a store, look into it from a new process, and do the same with a thousand. Raises JobFailed."""
    lines = ["### A store of many evaluations, from a new process", ""]
    lines += ["| evaluations | hit, µs | miss, µs | the first hit, ms | filled in, s | database, MB |"]
    lines += ["|---:|---:|---:|---:|---:|---:|"]
    for total in (min(count, _FEW), count):
        job = Job(folder / str(total), PEERS["hitsave"], "filling.py")
        shutil.copy(_FILLING, job.folder)
        begun = time.perf_counter()
        for first in range(0, total, _AT_ONCE):
            job.run("fill", str(first), str(min(first + _AT_ONCE, total)))
        filled = time.perf_counter() - begun
        found = [job.run("look", str(total)) for _ in range(3)]
        best = {name: min(one[name] for one in found) for name in found[0]}
        size = (job.folder / "kept" / "cache.db").stat().st_size / 1e6
        lines.append(
            f"| {total:,} | {best['hit'] * 1e6:.0f} | {best['miss'] * 1e6:.0f} | {best['first'] * 1e3:.1f} "
            f"| {filled:.0f} | {size:.0f} |"
        )
    report.lines += [*lines, ""]
