"""git, which was not made for data: the reference for an unchanged tree (`git status`) and for start-up.

Automatic collection is off, so that no background process runs into the next step. The clone goes by
`file://`, because a clone by path would link the object files instead of reading them.
"""

import shutil
import subprocess
from collections.abc import Iterator

from benchmarks.place import Command, Place, Step

SETTINGS = {
    "gc.auto": "0",
    "maintenance.auto": "false",
    "user.name": "benchmark",
    "user.email": "benchmark@example.org",
    "init.defaultBranch": "main",
    "safe.directory": "*",
}


def variables(**more: str) -> dict[str, str]:
    """The settings as environment variables, and more of them; no one's own configuration is read."""
    settings = {**SETTINGS, **more}
    pairs: dict[str, str] = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        pairs |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return pairs


class Git:
    """`git add`, `git status`, `git push` to a bare repository, `git clone`, `git checkout`."""

    name = "git"

    def missing(self) -> str | None:
        return None if shutil.which("git") else "there is no git program"

    def version(self) -> str:
        return subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.strip()

    def start_up(self) -> dict[str, Command]:
        return {"--version": ["git", "--version"], "--help": ["git", "--help"]}

    def steps(self, place: Place) -> Iterator[Step]:
        place.variables |= variables()
        workspace, remote = place.folder("workspace"), place.folder("remote")
        place.run("git", "init", "-q", "--bare", folder=remote)
        place.run("git", "init", "-q", folder=workspace)
        place.run("git", "remote", "add", "origin", remote.as_uri(), folder=workspace)
        data = workspace / "data"
        place.copy_source(data)
        yield Step("add", [["git", "add", "data"]], workspace)
        place.run("git", "commit", "-q", "-m", "data", folder=workspace)
        yield Step("again", [["git", "status", "--short"]], workspace)
        yield Step("push", [["git", "push", "-q", "origin", "main"]], workspace, stored=remote)
        second = place.root / "second"
        clone: Command = ["git", "clone", "-q", remote.as_uri(), second]
        yield Step("pull", [clone], place.root, result=second / "data")
        place.set_aside(data)
        yield Step("restore", [["git", "checkout", "-q", "--", "data"]], workspace, result=data)
