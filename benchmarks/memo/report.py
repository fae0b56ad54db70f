"""What a run found out, as tables of ratios."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from benchmarks.report import Failure

FLOOR = "floor"
#: Names of works and of what was measured in them: title, unit, seconds in that unit, and what the floor is.
TITLES = {
    "hit": ("A hit with small arguments, warm", "µs", 1e6, ""),
    "argument": ("A hit with an array of 100 MB as argument", "ms", 1e3, "BLAKE3 over its buffer, all processors"),
    "start": ("Import and decorate, whole program", "ms", 1e3, "the bare interpreter of the same environment"),
    "first, small": ("First hit in a new process, one module", "ms", 1e3, "the same program, not decorated"),
    "first, large": (
        "First hit in a new process, 50 modules of 300 lines",
        "ms",
        1e3,
        "the same program, not decorated",
    ),
    "miss": ("A miss with a small result", "µs", 1e6, "one durable SQLite transaction of 1 KB"),
    "result": ("An array of 100 MB as result, kept", "ms", 1e3, "writing and syncing its bytes"),
    "read": ("That result in another process, until the call returns", "ms", 1e3, ""),
    "read and sum": ("The same, and every number looked at", "ms", 1e3, "numpy.load and sum"),
    "race": ("8 processes, the same 40 keys of 50 ms", "s", 1.0, "2 s: each key computed once, in order"),
}


@dataclass(slots=True)
class Report:
    """Seconds by work and tool, every repetition; `remarks` stand behind a tool's figures."""

    machine: dict[str, str]
    versions: dict[str, str] = field(default_factory=dict)
    measured: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    floors: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    remarks: dict[tuple[str, str], str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def note(self, work: str, tool: str, seconds: float, floor: float | None = None) -> None:
        """One measurement, and that of the floor beside it, where the tool has one of its own."""
        self.measured.setdefault(work, {}).setdefault(tool, []).append(seconds)
        if floor is not None:
            self.floors.setdefault(work, {}).setdefault(tool, []).append(floor)

    def fail(self, tool: str, work: str, reason: object) -> None:
        """A tool did not get through a work."""
        self.failures.append(Failure(work, tool, "", str(reason)))

    def markdown(self) -> str:
        """The whole report."""
        about = {**self.machine, **self.versions}
        parts = ["## Benchmark of memoisation", *(f"- {name}: {value}" for name, value in about.items()), ""]
        for work, tools in self.measured.items():
            parts += [*self._table(work, tools), ""]
        parts += self.lines
        if self.failures:
            parts += ["### Not measured", ""]
            parts += [f"- {one.tool}{', ' if one.work else ''}{one.work}: {one.reason}" for one in self.failures]
        return "\n".join(parts)

    def _table(self, work: str, tools: dict[str, list[float]]) -> list[str]:
        title, unit, scale, floor = TITLES[work]
        lines = [f"### {title}", "", *([f"The floor is {floor}.", ""] if floor else [])]
        lines += [f"| tool | {unit} | range | x floor | x hitsave | |", "|---|---:|---:|---:|---:|---|"]
        common, ours = tools.get(FLOOR), tools.get("hitsave")
        for tool, seconds in tools.items():
            own = self.floors.get(work, {}).get(tool, common if tool != FLOOR else None)
            cells = [tool, _show(statistics.median(seconds) * scale), _range(seconds, scale)]
            cells += [_ratio(seconds, own), _ratio(seconds, ours if tool not in ("hitsave", FLOOR) else None)]
            lines.append(f"| {' | '.join(cells)} | {self.remarks.get((work, tool), '')} |")
        return lines


def _show(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _range(seconds: list[float], scale: float) -> str:
    return f"{_show(min(seconds) * scale)} to {_show(max(seconds) * scale)}" if len(seconds) > 1 else ""


def _ratio(seconds: list[float], base: list[float] | None) -> str:
    return f"{statistics.median(seconds) / statistics.median(base):.2f}" if base else ""


def as_json(report: Report) -> dict[str, Any]:
    """Everything that was measured."""
    return {"machine": report.machine, "versions": report.versions, "seconds": report.measured, "floors": report.floors}
