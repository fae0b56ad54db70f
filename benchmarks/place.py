"""Where one tool does one work: its folder, its environment, and the commands run there.

Nothing is deleted between steps: ext4 creates files several times slower after many were deleted, and
the tool that comes next would pay for it. `set_aside` renames instead. Works of a few large files are
the exception: there deleting is cheap, and the disk is what runs out.
"""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks.measure import NOTHING, Usage, execute

Command = Sequence[str | Path]
INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE")


@dataclass(slots=True)
class Place:
    """The folder of one run of one tool. `source` is the data set, which nobody writes to."""

    root: Path
    source: Path
    aside: Path
    many_files: bool
    timeout: float
    variables: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True)
        self.aside.mkdir(parents=True, exist_ok=True)
        self.folder("home")

    @property
    def log(self) -> Path:
        return self.root / "log.txt"

    @property
    def environment(self) -> dict[str, str]:
        """A bare environment with a home folder of its own, so that no one's settings count."""
        kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return {**kept, "HOME": str(self.root / "home"), "NO_COLOR": "1", **self.variables}

    def folder(self, name: str) -> Path:
        """A new folder of this run."""
        path = self.root / name
        path.mkdir(parents=True)
        return path

    def run(self, *command: str | Path, folder: Path) -> Usage:
        """Run a command, timed or not: the caller decides what counts."""
        return execute(command, folder=folder, environment=self.environment, log=self.log, timeout=self.timeout)

    def copy_source(self, target: Path) -> None:
        """Lay the data set at `target`, untimed."""
        self.run("cp", "-r", self.source, target, folder=self.root)

    def set_aside(self, path: Path) -> None:
        """Take `path` out of the way, without the cost of deleting many files before the next step."""
        moved = self.aside / f"{self.root.name}-{next(self._numbers)}"
        path.rename(moved)
        if not self.many_files:
            shutil.rmtree(moved)


@dataclass(frozen=True, slots=True)
class Step:
    """One timed step: commands that run one after the other, and what must then equal the source."""

    name: str
    commands: Sequence[Command]
    folder: Path
    result: Path | None = None
    stored: Path | None = None

    def carry_out(self, place: Place) -> Usage:
        """Run the commands and add up what they took. The disk is quiet before the first one starts."""
        settle()
        usage = NOTHING
        for command in self.commands:
            usage += place.run(*command, folder=self.folder)
        return usage


def settle() -> None:
    """Wait until nothing that was written before is still on its way to the disk."""
    os.sync()


class Tool(Protocol):
    """A tool to measure. What `steps` does between its yields is preparation, and not timed."""

    name: str

    def missing(self) -> str | None:
        """Why the tool can't run here, or None."""

    def version(self) -> str:
        """One line for the report."""

    def start_up(self) -> dict[str, Command]:
        """Commands whose start-up is measured, and under "bare" the interpreter alone, if there is one."""

    def steps(self, place: Place) -> Iterator[Step]:
        """The steps, in order; each is carried out before the next is asked for."""


ToolMaker = Callable[[], Tool]
