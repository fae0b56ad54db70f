"""Turns what was measured over a bucket into Markdown tables and JSON. Nothing here measures anything."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from benchmarks.report import AnyReport, show_range, show_seconds

STEPS = {
    "push": "first push",
    "again": "push, nothing new",
    "edited": "push of the edited table",
    "pull": "pull, empty cache",
    "one": "pull of one file, empty cache",
    "resumed": "push after a kill at 90 %",
}
_HEAD = "tool", "seconds", "range", "of which", "x hitsave", "CPU s", "server's", "peak MB", "requests", "MB sent"
_HEAD_AFTER = "MB received", "the bucket holds"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One step of one tool, once. Bytes are those of the bodies of requests and answers, as the server counted them.

    `parts` are the seconds of each command; `held` is what the bucket then holds, in bytes and objects.
    """

    work: str
    tool: str
    step: str
    seconds: float
    parts: list[float]
    cpu: float
    server_cpu: float
    peak: int
    requests: dict[str, int]
    sent: int
    received: int
    held: tuple[int, int] | None = None


@dataclass(slots=True)
class Report(AnyReport[Measurement]):
    """What was found out over a bucket."""

    title: ClassVar[str] = "Benchmark over a bucket"

    def table(self, work: str) -> list[str]:
        head = ["step", *_HEAD, *_HEAD_AFTER]
        lines = ["| " + " | ".join(head) + " |", "|---|---|" + "---:|" * (len(head) - 2)]
        for step, title in STEPS.items():
            ours = self.of(work, step, "hitsave")
            base = statistics.fmean(one.seconds for one in ours) if ours else None
            for tool in self.versions:
                if found := self.of(work, step, tool):
                    lines.append(_row(title, tool, found, base))
        return lines


def _row(title: str, tool: str, found: Sequence[Measurement], base: float | None) -> str:
    times = [one.seconds for one in found]
    seconds = statistics.fmean(times)
    parts = [statistics.fmean(part) for part in zip(*(one.parts for one in found), strict=True)]
    cells = [
        title,
        tool,
        show_seconds(seconds),
        show_range(times),
        " + ".join(map(show_seconds, parts)) if len(parts) > 1 else "",
        f"{seconds / base:.2f}" if base else "",
        f"{statistics.fmean(one.cpu for one in found):.2f}",
        f"{statistics.fmean(one.server_cpu for one in found):.2f}",
        f"{max(one.peak for one in found) / 1e6:.0f}",
        _requests(found[0].requests),
        _megabytes(max(one.sent for one in found)),
        _megabytes(max(one.received for one in found)),
        _held(found[0].held),
    ]
    return "| " + " | ".join(cells) + " |"


def _requests(counted: dict[str, int]) -> str:
    each = ", ".join(f"{count} {method}" for method, count in sorted(counted.items(), key=lambda pair: -pair[1]))
    return f"{sum(counted.values())} ({each})" if len(counted) > 1 else each


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}" if size < 100e6 else f"{size / 1e6:.0f}"


def _held(held: tuple[int, int] | None) -> str:
    return "" if held is None else f"{_megabytes(held[0])} MB in {held[1]} objects"
