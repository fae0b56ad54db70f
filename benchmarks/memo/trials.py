"""What is measured inside of processes: `subject.py`, once for each peer and repetition, the peers taking turns."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.memo.peers import Peer, environment, write_decoration
from benchmarks.memo.report import FLOOR, Report

SUBJECT = Path(__file__).parent / "subject.py"
_TIMEOUT = 300.0
_MISS_SECONDS = 20.0
_PROCESSES = 8
#: Thirty times what eight processes need that share nothing.
_RACE_SECONDS = 60.0


class JobFailed(Exception):
    """A job ended with an error or ran out of time; the message holds the last line it wrote."""


class Job:
    """A folder in which a peer's jobs run, with what it keeps."""

    def __init__(self, folder: Path, peer: Peer, script: str = "subject.py") -> None:
        self.folder = folder
        self._peer = peer
        self._script = script
        kept = folder / "kept"
        kept.mkdir(parents=True)
        (folder / ".git").mkdir()  # So that nothing above counts as the project.
        shutil.copy(SUBJECT, folder)
        write_decoration(folder, peer, kept)
        self._environment = environment(kept)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a job."""
        return subprocess.Popen(
            [self._peer.python, self._script, *arguments],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> Any:
        """Run a job; what it found. Raises JobFailed."""
        return finish(self.start(*arguments))


def finish(process: subprocess.Popen[str], timeout: float = _TIMEOUT) -> Any:
    """What a job found, within `timeout` seconds. Raises JobFailed."""
    try:
        said, complained = process.communicate(timeout=max(0.0, timeout))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise JobFailed("was not done in time") from None
    if process.returncode != 0:
        raise JobFailed((complained.strip().splitlines() or ["no output"])[-1])
    return json.loads(said.strip().splitlines()[-1])


def turns(work: str, peers: list[Peer], repeat: int, report: Report) -> Iterator[tuple[int, Peer]]:
    """Every peer in every repetition, each time another one first; without those that give wrong results."""
    able = [peer for peer in peers if work not in peer.wrong]
    for peer in peers:
        if work in peer.wrong:
            report.fail(peer.name, work, f"wrong results: {peer.wrong[work]}")
    for number in range(repeat):
        at = number % len(able) if able else 0
        yield from ((number, peer) for peer in able[at:] + able[:at])


def each(
    work: str, folder: Path, peers: list[Peer], repeat: int, report: Report, measure: Callable[[Job, Peer], None]
) -> None:
    """Measure in a new folder for each peer and repetition; one that fails is left out from then on."""
    failed: set[str] = set()
    for number, peer in turns(work, peers, repeat, report):
        if peer.name not in failed:
            job = Job(folder / f"{number}-{peer.name}", peer)
            try:
                measure(job, peer)
            except JobFailed as failure:
                report.fail(peer.name, work, failure)
                failed.add(peer.name)
            shutil.rmtree(job.folder)


def hits(folder: Path, peers: list[Peer], repeat: int, report: Report) -> None:
    """The overhead of a hit."""

    def measure(job: Job, peer: Peer) -> None:
        report.note("hit", peer.name, min(job.run("hit")))

    each("hit", folder, peers, repeat, report, measure)


def large_arguments(folder: Path, peers: list[Peer], repeat: int, report: Report) -> None:
    """A hit with a large argument, and BLAKE3 over it, in one process, by turns."""

    def measure(job: Job, peer: Peer) -> None:
        found = job.run("argument")
        if found["floor"]:
            report.note("argument", FLOOR, min(found["floor"]))
        report.note("argument", peer.name, min(found["hit"]))

    each("argument", folder, peers, repeat, report, measure)


def misses(folder: Path, peers: list[Peer], repeat: int, report: Report) -> None:
    """A miss: two thousand, or as many as can be had in some seconds."""

    def measure(job: Job, peer: Peer) -> None:
        report.note("miss", FLOOR, _durable_transaction(job.folder / "floor.db"))
        found = job.run("miss", str(_MISS_SECONDS))
        report.note("miss", peer.name, found["median"])
        calls = f", of {found['calls']} calls in {_MISS_SECONDS:.0f} s" if found["calls"] < 2000 else ""
        report.remarks["miss", peer.name] = f"mean {found['mean'] * 1e6:.0f}{calls}"

    each("miss", folder, peers, repeat, report, measure)


def _durable_transaction(path: Path) -> float:
    """Seconds of a transaction, the median."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE kept(content)")
    seconds = []
    for _ in range(500):
        begun = time.perf_counter()
        connection.execute("INSERT INTO kept VALUES (?)", (os.urandom(1000),))
        seconds.append(time.perf_counter() - begun)
    connection.close()
    return statistics.median(seconds)


def large_results(folder: Path, peers: list[Peer], repeat: int, report: Report) -> None:
    """A large result: kept, and read in another process."""

    def measure(job: Job, peer: Peer) -> None:
        floor = subprocess.run([sys.executable, "-c", _FLOOR, job.folder], capture_output=True, text=True, check=True)
        written, read = json.loads(floor.stdout)
        report.note("result", FLOOR, written)
        report.note("read and sum", FLOOR, read)
        found = job.run("result", "1")
        report.note("result", peer.name, found["call"] - found["body"])
        again = min((job.run("read_back", "1") for _ in range(3)), key=lambda one: one["with sum"])
        report.note("read", peer.name, again["call"])
        report.note("read and sum", peer.name, again["with sum"])

    each("result", folder, peers, repeat, report, measure)


_FLOOR = """
import json, os, sys, time
import numpy
array = numpy.random.default_rng(1).random(12_500_000)
path = os.path.join(sys.argv[1], "floor.npy")
begun = time.perf_counter()
with open(path, "wb") as file:
    numpy.save(file, array)
    file.flush()
    os.fsync(file.fileno())
written = time.perf_counter() - begun
begun = time.perf_counter()
numpy.load(path).sum()
print(json.dumps([written, time.perf_counter() - begun]))
"""


def races(folder: Path, peers: list[Peer], repeat: int, report: Report) -> None:
    """Processes that want the same keys at once."""

    def measure(job: Job, peer: Peer) -> None:
        own = str(job.folder)
        job.run("ready", own)
        (job.folder / "bodies").unlink()
        processes = [job.start("race", own) for _ in range(_PROCESSES)]
        time.sleep(3.0)  # Until all of them have imported what they need, and wait.
        (job.folder / "go").touch()
        failures = []
        seconds = []
        end = time.monotonic() + _RACE_SECONDS
        for process in processes:
            try:
                seconds.append(finish(process, end - time.monotonic()))
            except JobFailed as failure:
                failures.append(failure)
        if failures:
            raise JobFailed(f"{len(failures)} of {_PROCESSES} processes failed: {failures[0]}")
        report.note("race", FLOOR, 2.0)
        report.note("race", peer.name, max(seconds))
        report.remarks["race", peer.name] = f"{(job.folder / 'bodies').stat().st_size} bodies ran"

    each("race", folder, peers, repeat, report, measure)
