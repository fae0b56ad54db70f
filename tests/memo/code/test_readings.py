"""What was read out of sources is found again by the next process, and only while it is right."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

_FILES = {
    "marks.py": "def memo(function): return function\n",
    "steps.py": """
        import math
        from marks import memo
        RATE = 2

        @memo
        def step(x: int) -> int:
            '''Says nothing.'''
            return math.floor(x) * RATE

        twice = lambda x: step(step(x))
        """,
    "main.py": """
        import sys
        from pathlib import Path
        import steps

        def work(x):
            return steps.twice(x)

        from hitsave.memoisation.code.fingerprint import Fingerprints
        from hitsave.memoisation.code.readings import Readings

        parsed = []
        here = str(Path.cwd())
        sys.addaudithook(lambda event, details: event == "compile" and parsed.append(details[0]))
        readings = Readings("cache", "main.py") if sys.argv[1] == "kept" else None
        found = Fingerprints().make(work, own="__main__", readings=readings)
        texts = "".join(each.text for each in found.dependencies).encode().hex()
        print(found.digest.hex(), texts, len([source for source in parsed if source and b"def step" in source]))
        """,
}


class Program:
    """A small program that makes the fingerprint of a function of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in _FILES.items():
            (folder / name).write_text(textwrap.dedent(text))

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def run(self, how: str = "kept") -> tuple[str, int]:
        """Digest and texts of the fingerprint, and how often the source of `step` was compiled."""
        command = [sys.executable, "-B", "main.py", how]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True)
        digest, texts, parsed = done.stdout.split()
        return digest + texts, int(parsed)

    @property
    def kept(self) -> Path:
        """The one file of readings."""
        (found,) = (self.folder / "cache" / "readings").iterdir()
        return found


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def test_the_next_process_parses_nothing_and_finds_the_same(program: Program) -> None:
    plain, parsed = program.run("plain")
    assert parsed > 0
    assert program.run() == (plain, parsed)
    assert program.run() == (plain, 0)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("steps.py", "math.floor(x)", "math.ceil(x)"),
        ("steps.py", "step(step(x))", "step(x)"),
        ("steps.py", "RATE = 2", "RATE = 3"),
        ("steps.py", "'''Says nothing.'''", "'''Says something.'''"),
        ("marks.py", "return function", "return lambda x: function(x)"),
        # The same text is another decorator now: the file in which it stands has not changed.
        ("marks.py", "def memo(function): return function", "from hitsave import memo"),
    ],
)
def test_edits_give_what_they_give_without_readings(program: Program, file: str, old: str, new: str) -> None:
    program.run()
    program.run()
    program.edit(file, old, new)
    wanted = program.run("plain")[0]
    assert program.run()[0] == wanted
    assert program.run()[0] == wanted
    program.edit(file, new, old)
    assert program.run()[0] == program.run("plain")[0]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_damage_costs_time_only(program: Program, damage: str) -> None:
    wanted, parsed = program.run()
    content = program.kept.read_bytes()
    at = content.index(b"floor")
    program.kept.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "flipped": content[:at] + b"F" + content[at + 1 :],
            "empty": b"",
            "other": b"neither this nor that",
        }[damage]
    )
    assert program.run() == (wanted, parsed)
    assert program.run() == (wanted, 0)


def test_a_folder_that_cannot_be_written_costs_time_only(program: Program) -> None:
    (program.folder / "cache").write_text("a file stands where the folder should be")
    wanted = program.run("plain")
    assert program.run() == wanted
    assert program.run() == wanted


def test_what_was_read_out_of_earlier_content_goes(program: Program) -> None:
    program.run()
    size = program.kept.stat().st_size
    for number in range(3, 9):
        program.edit("steps.py", f"RATE = {number - 1}", f"RATE = {number}")
        program.run()
    assert program.kept.stat().st_size == size
