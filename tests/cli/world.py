"""Users with workspaces and caches of their own, who run the real command."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.processes.running import Kind

_INHERITED = ("PATH", "PYTHONPATH", "SYSTEMROOT", "TMPDIR", "TEMP", "COVERAGE_PROCESS_START")
_PATIENCE = 120
#: Commands that between them import what most import, run in one process to learn what that is. libgit2 reads variables
#: when it is loaded, and memoisation notes the time: each run imports these itself.
_USUAL = """
import sys
from hitsave.cli.main import run
for each in "remote add origin remote|add data|push|status|pull|diff|ls data|gc|fsck|forget data".split("|"):
    run(each.split())
print()
print(*sys.modules)
"""
_BY_EACH_RUN = ("__main__", "hitsave.memoisation", "pygit2", "_cffi")


@functools.cache
def _kind(anew: bool) -> Kind:
    """How commands are run."""
    if anew:
        return Kind([], {}, servers=0)
    with tempfile.TemporaryDirectory() as folder:
        user = User(Path(folder), Path(folder, "cache"), Path(folder, "config"))
        user.write({"a": b"a"})
        Path(folder, "hitsave.toml").touch()
        command = [sys.executable, "-c", _USUAL]
        done = subprocess.run(command, cwd=folder, env=user.environment(), capture_output=True, text=True, check=True)
        modules = done.stdout.splitlines()[-1].split()
        return Kind([name for name in modules if not name.startswith(_BY_EACH_RUN)], user.environment())


@dataclass(frozen=True)
class Ran:
    """What a run of the command gave."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Its stdout, names that are not UTF-8 as `os.fsdecode` makes them."""
        return self.out.decode("utf-8", "surrogateescape")

    @property
    def said(self) -> str:
        """Its stderr."""
        return self.err.decode("utf-8", "surrogateescape")

    @property
    def lines(self) -> list[str]:
        """The lines of its stdout."""
        return self.text.removesuffix("\n").split("\n") if self.out else []

    @property
    def json(self) -> Any:
        """Its stdout as JSON."""
        return json.loads(self.text)


@dataclass(frozen=True)
class User:
    """One person on one machine: a workspace, a cache, and a folder of settings."""

    workspace: Path
    cache: Path
    config: Path
    variables: dict[str, str] = field(default_factory=dict)
    #: Whether the command always runs in a new process, and never in a fork of one that has imported it.
    anew: bool = False

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """What the command is started with: nothing of the machine's own settings."""
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        own = {
            "HOME": os.fspath(self.config),
            "HITSAVE_CONFIG_DIR": os.fspath(self.config),
            "HITSAVE_LOCAL_CACHE_DIR": os.fspath(self.cache),
            "LC_ALL": "C.UTF-8",
        }
        return {**inherited, **own, **self.variables, **(more or {})}

    def run(
        self,
        *arguments: str | bytes | Path,
        folder: Path | None = None,
        stdin: bytes | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Ran:
        """Run `hitsave` and give what it did, whatever that is. A traceback is never right."""
        done = _kind(self.anew).run(
            ["-m", "hitsave", *map(os.fsdecode, arguments)],
            cwd=folder or self.workspace,
            environ=self.environment(environ),
            stdin=stdin or b"",
            timeout=_PATIENCE,
        )
        assert b"Traceback" not in done.err, done.err.decode(errors="replace")
        return Ran(done.code, done.out, done.err)

    def do(self, *arguments: str | bytes | Path, **how: Any) -> Ran:
        """Run `hitsave` where it must succeed."""
        done = self.run(*arguments, **how)
        assert done.code == 0, (arguments, done.code, done.said)
        return done

    def refused(self, *arguments: str | bytes | Path, code: int = 1, **how: Any) -> str:
        """Run `hitsave` where it must refuse; the one line in which it says why."""
        done = self.run(*arguments, **how)
        assert done.code == code, (arguments, done.code, done.said)
        assert done.out == b"", done.out
        assert done.said.startswith("hitsave: "), done.said
        assert done.said.endswith("\n"), done.said
        assert done.said.count("\n") == 1, done.said
        return done.said.removesuffix("\n")

    def add(self, path: str | bytes = "data") -> str:
        """Add a dataset; its digest."""
        return self.do("add", "--", path).text.split()[0]

    def state(self, path: str = "data") -> dict[str, Any]:
        """What `status` tells of one dataset."""
        told = self.do("status", "--json", path).json
        assert len(told) == 1
        return dict(told[0])

    @property
    def data(self) -> Path:
        """The folder that most tests use."""
        return self.workspace / "data"

    def write(self, files: Mapping[str, bytes], folder: str = "data") -> None:
        """Write files beneath a folder of the workspace."""
        for name, content in files.items():
            path = self.workspace / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@dataclass(frozen=True)
class World:
    """Several users, and a folder that they share as a remote."""

    root: Path
    anew: bool = False

    @property
    def remote(self) -> Path:
        """The shared folder."""
        return self.root / "remote"

    def user(self, name: str = "ann", *, git: bool = True, remote: bool = False) -> User:
        """A user with an empty workspace and an empty cache. All workspaces are clones of one project."""
        workspace = self.root / name / "project"
        workspace.mkdir(parents=True)
        (self.root / name / "config").mkdir()
        if git:
            subprocess.run(["git", "init", "--quiet", workspace], check=True, env=git_environment())
        else:
            (workspace / "hitsave.toml").touch()
        made = User(workspace, self.root / name / "cache", self.root / name / "config", anew=self.anew)
        if remote:
            made.do("remote", "add", "origin", self.remote)
        return made

    def clone(self, user: User, name: str = "ben") -> User:
        """Another user, who has what git would bring: pointer files and settings, and no datasets."""
        other = self.user(name)
        for path in git(user.workspace, "ls-files", "--others", "--exclude-standard", "-z").split("\0"):
            if path.endswith((".hitsave", "hitsave.toml")):
                place = other.workspace / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes((user.workspace / path).read_bytes())
        return other


def git_environment() -> dict[str, str]:
    """Git without the machine's own settings."""
    names = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    return {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        **dict.fromkeys(names, "tester"),
    }


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder; its stdout."""
    command: list[str | Path] = ["git", "-C", folder, *arguments]
    return os.fsdecode(subprocess.run(command, check=True, capture_output=True, env=git_environment()).stdout)


def assert_same(one: Path, other: Path) -> None:
    """Two directories hold the same names and contents, as `diff` sees it."""
    done = subprocess.run(["diff", "-r", "--no-dereference", one, other], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")
    assert names(one) == names(other)


def names(folder: Path) -> list[tuple[bytes, bool, bool]]:
    """Every path beneath a folder, whether it is a directory, and whether it is executable."""
    root = os.fsencode(folder)
    found = []
    for above, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(above, name)
            is_folder = name in folders
            executable = not is_folder and not os.path.islink(path) and bool(os.stat(path).st_mode & 0o100)
            found.append((os.path.relpath(path, root), is_folder, executable))
    return sorted(found)


def settle() -> None:
    """Wait until what was written is older than a tick of the file system's clock: only then a stat cache trusts it."""
    time.sleep(0.06)
