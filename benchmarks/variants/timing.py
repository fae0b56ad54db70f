"""Times several ways to do one job, in interleaved rounds, and prints them as one table.

Interleaving matters: the cost of a system call drifts with what else the machine and the file system
do, so every round runs every variant once, and the table shows the median beside the lowest and the
highest. Nothing is deleted between rounds (deleting makes the next file creations slower on ext4);
a variant gets a new folder each time, and the caller deletes everything at the end.
"""

import os
import resource
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Variant:
    """One way to do the job. `job` gets the number of the round; `prepare` runs before it, untimed."""

    name: str
    job: Callable[[int], object]
    prepare: Callable[[int], object] | None = None
    finish: Callable[[int], object] | None = None
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def measure(variants: Sequence[Variant], rounds: int, *, sync: bool = False) -> None:
    """Run every variant once in each round, alternating the direction, and record wall and CPU seconds."""
    for round_number in range(rounds):
        for variant in variants if round_number % 2 == 0 else reversed(variants):
            if variant.prepare is not None:
                variant.prepare(round_number)
            if sync:
                os.sync()
            cpu = _cpu_seconds()
            start = time.perf_counter()
            variant.job(round_number)
            variant.seconds.append(time.perf_counter() - start)
            variant.cpu.append(_cpu_seconds() - cpu)
            if variant.finish is not None:
                variant.finish(round_number)


def table(title: str, variants: Iterable[Variant], units: int, unit: str, bytes_each: int = 0) -> str:
    """A Markdown table: microseconds a unit (median, range, CPU), and GB/s where `bytes_each` is given."""
    speed = " GB/s |" if bytes_each else ""
    lines = [f"### {title}", "", f"| variant | µs/{unit} | lowest to highest | CPU µs/{unit} |{speed}"]
    lines.append("|---|---:|---:|---:|" + ("---:|" if bytes_each else ""))
    for variant in variants:
        micro = [1e6 * s / units for s in variant.seconds]
        median = statistics.median(micro)
        cpu = 1e6 * statistics.median(variant.cpu) / units
        cells = [variant.name, f"{median:.1f}", f"{min(micro):.1f} to {max(micro):.1f}", f"{cpu:.1f}"]
        if bytes_each:
            cells.append(f"{bytes_each / median / 1e3:.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def in_threads(job: Callable[[list[T]], object], parts: list[list[T]]) -> None:
    """Run `job` over each part in a thread of its own, and wait for all of them."""
    if len(parts) == 1:
        job(parts[0])
        return
    threads = [threading.Thread(target=job, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def split(items: list[T], count: int) -> list[list[T]]:
    """`items` in `count` consecutive parts of about the same length."""
    size = -(-len(items) // count)
    return [items[start : start + size] for start in range(0, len(items), size)]


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
