"""Programs that run as `__main__`, for tests of what they define."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

TRAIN = """
import sys
from dataclasses import dataclass
from pathlib import Path

from hitsave.memoisation.results import ResultUnreadable, pickle_result, unpickle_result

print("train runs as", __name__)

@dataclass
class Score:
    value: int

    class Inner:
        pass

def double(number):
    return 2 * number

def keep(path):
    Path(path).write_bytes(pickle_result([Score(7), Score.Inner, double]).pickle)

def show(path):
    try:
        score, inner, function = unpickle_result(Path(path).read_bytes(), [])
    except ResultUnreadable as error:
        print("unreadable:", error)
    else:
        print(type(score) is Score, inner is Score.Inner, function is double, score.value)

if __name__ == "__main__":
    {"keep": keep, "show": show}[sys.argv[1]](sys.argv[2])
"""


def run(folder: Path, *arguments: str) -> list[str]:
    """The lines that a Python program prints; it must end well."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={"PYTHONPATH": f"{ROOT}:{folder}", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
