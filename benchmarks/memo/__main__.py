"""`python -m benchmarks.memo`: what keeping results costs, for hitsave, its peers and the floor."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.memo import million, programs, trials
from benchmarks.memo.peers import PEERS, Peer
from benchmarks.memo.report import Report, as_json
from benchmarks.memo.trials import JobFailed
from benchmarks.run import RUNS, available, machine, pick, say

#: In the order of the report. Each takes a folder, the peers and how often to repeat, and notes what it found.
WORKS: dict[str, Callable[[Path, list[Peer], int, Report], None]] = {
    "hit": trials.hits,
    "argument": trials.large_arguments,
    "start": programs.start_up,
    "first": programs.first_hits,
    "miss": trials.misses,
    "result": trials.large_results,
    "race": trials.races,
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memo", description=__doc__)
    parser.add_argument("--work", default=",".join(WORKS), help="of %(default)s")
    parser.add_argument("--peers", default=",".join(PEERS), help="of %(default)s")
    parser.add_argument("--repeat", type=int, default=3, help="how often everything is measured (default: %(default)s)")
    parser.add_argument("--million", action="store_true", help="also a store of 1,000,000 evaluations; takes minutes")
    parser.add_argument("--evaluations", type=int, default=1_000_000, help="another number of them")
    parser.add_argument("--folder", type=Path, default=RUNS, help="where results are kept (default: here, in .runs)")
    parser.add_argument("--json", type=Path, help="write every measurement to this file")
    options = parser.parse_args(arguments)
    works = pick(options.work, dict(WORKS), "work")
    options.folder.mkdir(parents=True, exist_ok=True)
    base = Path(tempfile.mkdtemp(prefix="memo-", dir=options.folder.resolve()))
    report = Report(machine(base))
    report.machine["load at the beginning"] = f"{os.getloadavg()[0]:.1f}"
    try:
        peers = available(
            pick(options.peers, dict(PEERS), "peer"), {name: lambda p=p: p for name, p in PEERS.items()}, report
        )
        for name in works:
            say(name)
            WORKS[name](base / name, peers, options.repeat, report)
        if options.million:
            try:
                million.measure(base / "million", options.evaluations, report)
            except JobFailed as failure:
                report.fail("hitsave", "million", failure)
    finally:
        shutil.rmtree(base)
    report.machine["load at the end"] = f"{os.getloadavg()[0]:.1f}"
    print(report.markdown())
    if options.json:
        options.json.write_text(json.dumps(as_json(report), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
