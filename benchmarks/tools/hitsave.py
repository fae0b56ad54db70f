"""hitsave itself, as it is installed beside the interpreter that runs the benchmark."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.place import Command, Place, Step
from benchmarks.tools import git

SHARED = ("data.hitsave", ".gitignore", "hitsave.toml", "pyproject.toml")


class Hitsave:
    """`add`, `push` to a local folder, `pull` in a second workspace with an empty cache, `checkout`."""

    name = "hitsave"

    def __init__(self) -> None:
        self.program = Path(sys.executable).with_name("hitsave")

    def missing(self) -> str | None:
        return None if self.program.exists() else "hitsave is not installed in this environment"

    def version(self) -> str:
        done = subprocess.run([self.program, "--version"], check=False, capture_output=True, text=True)
        said = (done.stdout.strip() or done.stderr.strip() or "no version").splitlines()
        return said[0 if done.returncode == 0 else -1]

    def start_up(self) -> dict[str, Command]:
        bare = [sys.executable, "-c", "pass"]
        return {"bare": bare, "--version": [self.program, "--version"], "--help": [self.program, "--help"]}

    def steps(self, place: Place) -> Iterator[Step]:
        place.variables |= git.variables() | {
            "HITSAVE_CONFIG_DIR": str(place.folder("config")),
            "HITSAVE_LOCAL_CACHE_DIR": str(place.folder("cache")),
        }
        workspace, remote = place.folder("workspace"), place.folder("remote")
        place.run("git", "init", "-q", folder=workspace)
        data = workspace / "data"
        place.copy_source(data)
        yield Step("add", [[self.program, "add", "data"]], workspace)
        yield Step("again", [[self.program, "add", "data"]], workspace)
        place.run(self.program, "remote", "add", "origin", remote, folder=workspace)
        yield Step("push", [[self.program, "push"]], workspace, stored=remote)
        second = self._second_workspace(place, workspace, remote)
        place.variables["HITSAVE_LOCAL_CACHE_DIR"] = str(place.folder("second_cache"))
        yield Step("pull", [[self.program, "pull"]], second, result=second / "data")
        place.variables["HITSAVE_LOCAL_CACHE_DIR"] = str(place.root / "cache")
        place.set_aside(data)
        yield Step("restore", [[self.program, "checkout", "data"]], workspace, result=data)

    def _second_workspace(self, place: Place, first: Path, remote: Path) -> Path:
        """As a colleague has it after `git clone`: the pointer file and the settings, and no data."""
        second = place.folder("second")
        place.run("git", "init", "-q", folder=second)
        for name in SHARED:
            if (first / name).exists():
                shutil.copy(first / name, second / name)
        known = subprocess.run(
            [self.program, "remote", "list"],
            check=False,
            cwd=second,
            env=place.environment,
            capture_output=True,
            text=True,
        )
        if "origin" not in known.stdout:
            place.run(self.program, "remote", "add", "origin", remote, folder=second)
        return second
