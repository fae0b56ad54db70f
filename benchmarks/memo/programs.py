"""What is measured from outside: whole programs, from the start of the interpreter to its end."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.memo.peers import Peer, environment, write_decoration
from benchmarks.memo.projects import SIZES, write_project
from benchmarks.memo.report import Report
from benchmarks.memo.trials import turns

_TRIES = 15
_USE = "\n@memo\ndef double(number):\n    return 2 * number\n"


def _seconds(command: Sequence[str | Path], folder: Path, variables: dict[str, str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, cwd=folder, env=variables, check=True, capture_output=True)
    return time.perf_counter() - begun


def _against(
    report: Report, work: str, peer: Peer, commands: Sequence[Sequence[str | Path]], folders: Sequence[Path], kept: Path
) -> None:
    """Note the lowest of several tries of the second command, and of the first as its floor; they take turns."""
    variables = environment(kept)
    seconds: list[list[float]] = [[], []]
    try:
        for number in range(_TRIES + 1):
            for at, command in enumerate(commands):
                taken = _seconds(command, folders[at], variables)
                if number:  # The first one compiles, and has no result to find.
                    seconds[at].append(taken)
    except subprocess.CalledProcessError as failure:
        report.fail(peer.name, work, (failure.stderr.decode().strip().splitlines() or ["no output"])[-1])
        return
    floor, ours = (statistics.median(one) for one in seconds)
    report.note(work, peer.name, ours, floor)
    report.remarks[work, peer.name] = f"of which {(ours - floor) * 1e3:.0f} ms over it"


def start_up(folder: Path, peers: list[Peer], repeat: int, report: Report) -> None:
    """`python -c "import ...; decorate"` beside `python -c pass`."""
    for number, peer in turns("start", peers, repeat, report):
        kept = folder / f"{number}-{peer.name}"
        kept.mkdir(parents=True)
        text = f"FOLDER = {str(kept)!r}\n{peer.decoration}\n{_USE}"
        commands = [[peer.python, "-c", "pass"], [peer.python, "-c", text]]
        _against(report, "start", peer, commands, [kept, kept], kept)


def first_hits(folder: Path, peers: list[Peer], repeat: int, report: Report) -> None:
    """A program that ends after one hit, beside the same one without the decorator."""
    for size in SIZES:
        for number, peer in turns("first", peers, repeat, report):
            places = []
            for kind in ("plain", "kept"):
                place = folder / f"{size}-{number}-{peer.name}-{kind}"
                write_project(place, size)
                (place / ".git").mkdir()
                write_decoration(place, peer if kind == "kept" else None, place / "results")
                places.append(place)
            kept = places[1] / "results"
            kept.mkdir()
            _against(report, f"first, {size}", peer, [[peer.python, "main.py"]] * 2, places, kept)
