"""`python -m benchmarks.run`: the same work for hitsave, its peers and the floor, in one run, as ratios.

A ratio to the floor of the same run means more than seconds: file systems drift from one minute to the
next. So the floor is measured before and after the tools, and its mean and spread are in the table.
Exits with 1 when a tool left a wrong result.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol, TypeVar

from benchmarks.generate import WORKS, Work
from benchmarks.measure import CommandFailed, WrongResult, execute, require_same
from benchmarks.place import Place, Step, Tool
from benchmarks.report import AnyReport, Failure, Measurement, OneStep, Report, StartUp
from benchmarks.tools import TOOLS

RUNS = Path(__file__).parent / ".runs"


@dataclass(slots=True)
class Harness:
    """One run: the folder it owns, the report it fills, and the time that each command may take."""

    base: Path
    report: Report
    scale: float
    timeout: float

    def measure_work(self, work: Work, tools: list[Tool], repeat: int) -> None:
        """Generate the work and run every tool on it, `repeat` times, with the floor at both ends."""
        self.report.works[work.name] = work.claim if self.scale == 1 else f"{work.claim}, times {self.scale:g}"
        source = self.base / work.name / "source"
        say(f"{work.name}: generating")
        generate(work, source, self.scale)
        others = [tool for tool in tools if tool.name != "floor"]
        floor = [tool for tool in tools if tool.name == "floor"]
        for number in range(repeat):
            turned = others[number % len(others) :] + others[: number % len(others)] if others else []
            for position, tool in enumerate([*floor, *turned, *(floor if turned else [])]):
                self._measure_tool(work, tool, source, f"{number}-{position}-{tool.name}")
        if not work.many_files:
            shutil.rmtree(source)

    def _measure_tool(self, work: Work, tool: Tool, source: Path, name: str) -> None:
        root = self.base / work.name / name
        place = Place(root, source, self.base / work.name / "aside", work.many_files, self.timeout)
        step = "preparing"
        try:
            for timed in tool.steps(place):
                step = timed.name
                self._measure_step(work, tool, place, timed)
        except (CommandFailed, WrongResult, OSError) as failure:
            self._note(Failure(work.name, tool.name, step, str(failure), isinstance(failure, WrongResult)))
        place.set_aside(root)

    def _measure_step(self, work: Work, tool: Tool, place: Place, step: Step) -> None:
        if step.result is not None and step.result.exists():
            raise WrongResult(f"{step.result.name} was there before {step.name} began")
        usage = step.carry_out(place)
        if step.result is not None:
            require_same(place.source, step.result, place.environment, place.log)
        stored, files = _held(step.stored) if step.stored else (None, None)
        one = Measurement(work.name, tool.name, step.name, usage.seconds, usage.cpu, usage.peak, stored, files)
        self.report.measurements.append(one)
        say(f"{work.name}: {tool.name} {step.name}: {usage.seconds:.2f} s")

    def measure_start_up(self, tools: list[Tool], tries: int) -> None:
        """Every command `tries` times, in turn, in an empty folder."""
        folder = self.base / "start-up"
        folder.mkdir()
        environment = {**os.environ, "HOME": str(folder), "HITSAVE_CONFIG_DIR": str(folder)}
        commands = [(tool.name, name, command) for tool in tools for name, command in tool.start_up().items()]
        seconds: dict[tuple[str, str], list[float]] = {(tool, name): [] for tool, name, _ in commands}
        for number in range(tries + 1):
            for tool, name, command in commands:
                try:
                    usage = execute(command, folder=folder, environment=environment, log=folder / "log.txt")
                except CommandFailed as failure:
                    if number == 0:
                        self._note(Failure("start-up", tool, name, str(failure)))
                    continue
                if number:  # the first time writes byte code and warms the page cache
                    seconds[tool, name].append(usage.seconds)
        self.report.start_ups += [StartUp(tool, name, tries) for (tool, name), tries in seconds.items() if tries]

    def _note(self, failure: Failure) -> None:
        self.report.failures.append(failure)
        said = "LEFT A WRONG RESULT" if failure.wrong else "failed"
        say(f"{failure.tool} {said}: {failure.work}, {failure.step}: {failure.reason}")


def generate(work: Work, folder: Path, scale: float) -> None:
    """Write a work into a new folder, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.generate", work.name, str(folder), "--scale", str(scale)]
    subprocess.run(command, check=True, cwd=Path(__file__).parent.parent)


def _held(folder: Path) -> tuple[int, int]:
    """Bytes and number of the files below `folder`; no list of them, so that the harness stays small."""
    size = files = 0
    for inner, _, names in os.walk(folder):
        files += len(names)
        size += sum(os.lstat(os.path.join(inner, name)).st_size for name in names)
    return size, files


def machine(folder: Path) -> dict[str, str]:
    """What the report says about where it was measured."""
    asked = subprocess.run(["stat", "-f", "-c", "%T", folder], check=False, capture_output=True, text=True)
    kind = asked.stdout.strip() or "unknown"
    system = f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, {kind} file system"
    return {"date": date.today().isoformat(), "machine": system, "python": platform.python_version()}


def say(line: str) -> None:
    """Progress, which is no part of the report."""
    print(line, file=sys.stderr, flush=True)


class Measurable(Protocol):
    """A tool that may be missing here."""

    def missing(self) -> str | None:
        """Why the tool can't run here, or None."""

    def version(self) -> str:
        """One line for the report."""


AnyTool = TypeVar("AnyTool", bound=Measurable)
Measured = TypeVar("Measured", bound=OneStep)


def available(
    names: list[str], makers: Mapping[str, Callable[[], AnyTool]], report: AnyReport[Measured]
) -> list[AnyTool]:
    """Those of the tools that can run here; the report says which, and what the others lack."""
    tools = []
    for name in names:
        tool = makers[name]()
        if reason := tool.missing():
            report.failures.append(Failure("", name, "", f"left out: {reason}"))
            say(f"{name} left out: {reason}")
        else:
            report.versions[name] = tool.version()
            tools.append(tool)
    return tools


def pick(text: str, known: dict[str, object], what: str) -> list[str]:
    """The names in a list with commas; ends the program where one is unknown."""
    names = [name for name in text.split(",") if name]
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"no such {what}: {', '.join(unknown)}; there are {', '.join(known)}")
    return names


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--work", default=",".join(WORKS), help="of %(default)s")
    parser.add_argument("--peers", default=",".join(TOOLS), help="of %(default)s")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of files, or of the large file's size")
    parser.add_argument("--repeat", type=int, default=1, help="how often everything is measured (default: once)")
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds that one command may take")
    parser.add_argument("--folder", type=Path, default=RUNS, help="where the data goes (default: here, in .runs)")
    parser.add_argument("--json", type=Path, help="write every measurement to this file")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    works = [WORKS[name] for name in pick(options.work, dict(WORKS), "work")]
    options.folder.mkdir(parents=True, exist_ok=True)
    base = Path(tempfile.mkdtemp(prefix="run-", dir=options.folder.resolve()))
    report = Report(machine(base))
    harness = Harness(base, report, options.scale, options.timeout)
    try:
        tools = available(pick(options.peers, dict(TOOLS), "peer"), TOOLS, report)
        harness.measure_start_up(tools, tries=10)
        for work in works:
            harness.measure_work(work, tools, options.repeat)
    finally:
        say("deleting the run's folder")
        shutil.rmtree(base)  # last of all: deleting many files slows the creation of others
    print(report.markdown())
    if options.json:
        report.save(options.json)
    return 1 if any(failure.wrong for failure in report.failures) else 0


if __name__ == "__main__":
    sys.exit(main())
