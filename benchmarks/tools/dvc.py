"""DVC, with its default settings but without analytics, in a virtual environment of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.place import Command, Place, Step
from benchmarks.tools import git

REQUIREMENT = os.environ.get("BENCHMARKS_DVC", "dvc[s3]>=3.50")
PEERS = Path(__file__).parent.parent / ".peers"


class Dvc:
    """`dvc add`, `dvc push` to a local folder, `dvc pull` in a clone with an empty cache, `dvc checkout`."""

    name = "dvc"

    def __init__(self) -> None:
        self._folder = PEERS / "dvc"
        self.program = self._folder / "bin" / "dvc"
        self._installed = self._folder / "installed"

    def missing(self) -> str | None:
        """Install it on the first use; the reason why that failed, or None."""
        if self._installed.exists() and self._installed.read_text() == REQUIREMENT:
            return None
        if self._folder.exists():
            shutil.rmtree(self._folder)  # of another release, or of an installation that was interrupted
        print(f"installing {REQUIREMENT} into {self._folder}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", self._folder], check=True)
        pip: list[str | Path] = [self._folder / "bin" / "python", "-m", "pip", "install", "--quiet", REQUIREMENT]
        done = subprocess.run(pip, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            return f"pip could not install {REQUIREMENT}: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
        self._installed.write_text(REQUIREMENT)
        return None

    def version(self) -> str:
        done = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True)
        return f"dvc {done.stdout.strip()}"

    def start_up(self) -> dict[str, Command]:
        bare: Command = [self._folder / "bin" / "python", "-c", "pass"]
        return {"bare": bare, "--version": [self.program, "--version"], "--help": [self.program, "--help"]}

    def steps(self, place: Place) -> Iterator[Step]:
        place.variables |= git.variables() | {"DVC_NO_ANALYTICS": "1"}
        for scope in ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE"):
            place.variables[f"DVC_{scope}_DIR"] = str(place.folder(scope.lower()))
        workspace, remote = place.folder("workspace"), place.folder("remote")
        self._prepare(place, workspace, remote)
        data = workspace / "data"
        place.copy_source(data)
        yield Step("add", [[self.program, "add", "-q", "data"]], workspace)
        yield Step("again", [[self.program, "add", "-q", "data"]], workspace)
        place.run("git", "add", "-A", folder=workspace)
        place.run("git", "commit", "-q", "-m", "data", folder=workspace)
        yield Step("push", [[self.program, "push", "-q"]], workspace, stored=remote)
        second = place.root / "second"
        place.run("git", "clone", "-q", workspace.as_uri(), second, folder=place.root)
        # A new site cache too: it remembers, for all workspaces, what the remote holds.
        place.variables["DVC_SITE_CACHE_DIR"] = str(place.folder("second_site_cache"))
        yield Step("pull", [[self.program, "pull", "-q"]], second, result=second / "data")
        place.variables["DVC_SITE_CACHE_DIR"] = str(place.root / "site_cache")
        place.set_aside(data)
        yield Step("restore", [[self.program, "checkout", "-q"]], workspace, result=data)

    def _prepare(self, place: Place, workspace: Path, remote: Path) -> None:
        place.run("git", "init", "-q", folder=workspace)
        place.run(self.program, "init", "-q", folder=workspace)
        place.run(self.program, "config", "core.analytics", "false", folder=workspace)
        place.run(self.program, "remote", "add", "-q", "-d", "origin", remote, folder=workspace)
