"""Turns measurements into Markdown tables and JSON. Nothing here measures anything."""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar

STEPS = {
    "add": "add",
    "again": "add again, unchanged",
    "push": "push",
    "pull": "pull, empty cache",
    "restore": "restore, warm cache",
}


class OneStep(Protocol):
    """One step of one tool at one work, measured once."""

    @property
    def work(self) -> str:
        """Which data set."""

    @property
    def tool(self) -> str:
        """Who did it."""

    @property
    def step(self) -> str:
        """What was done."""


Measured = TypeVar("Measured", bound=OneStep)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One step of one tool, once. `stored` is what the remote then holds, in bytes, and in `stored_files`."""

    work: str
    tool: str
    step: str
    seconds: float
    cpu: float
    peak: int
    stored: int | None = None
    stored_files: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A tool that did not finish a work; `wrong` where it finished and its result was not the source."""

    work: str
    tool: str
    step: str
    reason: str
    wrong: bool = False


@dataclass(frozen=True, slots=True)
class StartUp:
    """Seconds until a command has ended, one for each try; under "bare", the interpreter alone."""

    tool: str
    command: str
    seconds: list[float]


@dataclass(slots=True)
class AnyReport(Generic[Measured]):
    """Everything that one run found out. What is in the tables, each benchmark says for itself."""

    title: ClassVar[str]

    machine: dict[str, str]
    works: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    measurements: list[Measured] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def of(self, work: str, step: str, tool: str) -> list[Measured]:
        wanted = (work, step, tool)
        return [one for one in self.measurements if (one.work, one.step, one.tool) == wanted]

    def markdown(self) -> str:
        """The whole report."""
        about = {**self.machine, **self.versions}
        parts = [f"## {self.title}", *(f"- {name}: {value}" for name, value in about.items()), ""]
        for title, table in self.tables():
            parts += [f"### {title}", "", *table, ""]
        if self.failures:
            parts += ["### Not measured", "", *map(_failure_line, self.failures), ""]
        return "\n".join(parts)

    def tables(self) -> list[tuple[str, list[str]]]:
        """Titles and lines of the tables: one for each work."""
        return [(f"{work}: {claim}", self.table(work)) for work, claim in self.works.items()]

    def table(self, work: str) -> list[str]:
        """The lines of the table of one work."""
        raise NotImplementedError

    def save(self, path: Path) -> None:
        """Write everything, every single measurement, as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


@dataclass(slots=True)
class Report(AnyReport[Measurement]):
    """What was found out about works on this machine, and about start-up."""

    title: ClassVar[str] = "Benchmark"

    start_ups: list[StartUp] = field(default_factory=list)

    def tables(self) -> list[tuple[str, list[str]]]:
        start_up = [("start-up", self._start_up_table())] if self.start_ups else []
        return AnyReport.tables(self) + start_up

    def table(self, work: str) -> list[str]:
        lines = [
            "| step | tool | seconds | range | x floor | x git status | CPU s | peak MB | remote |",
            "|---|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for step, title in STEPS.items():
            floor = _mean(self.of(work, step, "floor"))
            status = _mean(self.of(work, step, "git")) if step == "again" else None
            for tool in self.versions:
                if found := self.of(work, step, tool):
                    lines.append(_row(title, tool, found, floor, status))
        return lines

    def _start_up_table(self) -> list[str]:
        bare = {one.tool: statistics.median(one.seconds) for one in self.start_ups if one.command == "bare"}
        lines = [
            "| tool | command | ms, median | lowest to highest | ms over bare python |",
            "|---|---|---:|---:|---:|",
        ]
        for one in self.start_ups:
            median = statistics.median(one.seconds)
            lowest, highest = min(one.seconds), max(one.seconds)
            over = f"{1e3 * (median - bare[one.tool]):.0f}" if one.tool in bare and one.command != "bare" else ""
            name = "python -c pass" if one.command == "bare" else one.command
            spread = f"{1e3 * lowest:.0f} to {1e3 * highest:.0f}"
            lines.append(f"| {one.tool} | {name} | {1e3 * median:.0f} | {spread} | {over} |")
        return lines


def _row(title: str, tool: str, found: Sequence[Measurement], floor: float | None, status: float | None) -> str:
    seconds = _mean(found) or 0.0
    times = [one.seconds for one in found]
    cells = [
        title,
        tool,
        show_seconds(seconds),
        show_range(times),
        _ratio(seconds, floor),
        _ratio(seconds, status),
        f"{statistics.fmean(one.cpu for one in found):.2f}",
        f"{max(one.peak for one in found) / 1e6:.0f}",
        _stored(found[0]),
    ]
    return "| " + " | ".join(cells) + " |"


def show_seconds(seconds: float) -> str:
    return f"{seconds:.2f}" if seconds >= 1 else f"{seconds:.3f}"


def show_range(times: Sequence[float]) -> str:
    return f"{show_seconds(min(times))} to {show_seconds(max(times))}" if len(times) > 1 else ""


def _stored(one: Measurement) -> str:
    return "" if one.stored is None else f"{one.stored / 1e6:.0f} MB in {one.stored_files} files"


def _ratio(seconds: float, base: float | None) -> str:
    return f"{seconds / base:.2f}" if base else ""


def _mean(found: Iterable[Measurement]) -> float | None:
    times = [one.seconds for one in found]
    return statistics.fmean(times) if times else None


def _failure_line(failure: Failure) -> str:
    said = "WRONG RESULT" if failure.wrong else "failed"
    where = f"{failure.work}, {failure.step}" if failure.step else failure.work
    return f"- {failure.tool} {said}: {where}: {failure.reason}" if where else f"- {failure.tool}: {failure.reason}"
