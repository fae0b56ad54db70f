"""People who do what a page says: each has a home with settings and a cache, and all share one disk."""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from hitsave.cli.main import run
from tests.cli.world import git_environment, settle

#: What hitsave names this machine, on a page.
_HOST = "home"
_SHELL = re.compile(r"[|<>&;$`*]")
#: Commands that import the reader's modules, so that they need a process of their own.
_APART = frozenset(("accept",))
_PATIENCE = 60


@dataclass(slots=True)
class Person:
    """Somebody at a terminal."""

    name: str
    disk: Path
    folder: Path
    _session: subprocess.Popen[str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of this machine's own settings but where programs are."""
        home = self.disk / "home" / self.name
        return {
            **git_environment(),
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "HOME": str(home),
            "LOGNAME": self.name,
            "HITSAVE_CONFIG_DIR": str(home / ".config/hitsave"),
            "HITSAVE_LOCAL_CACHE_DIR": str(home / ".cache/hitsave"),
            "LC_ALL": "C.UTF-8",
            **{f"GIT_{who}_NAME": self.name for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": f"{self.name}@example.org" for who in ("AUTHOR", "COMMITTER")},
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "init.defaultBranch",
            "GIT_CONFIG_VALUE_0": "main",
        }

    def type(self, line: str) -> tuple[int, str]:
        """Run a line of a terminal; its exit code, and what it printed on stdout and stderr."""
        settle()  # A reader takes longer between two lines than a file system needs to tell their times apart.
        line = self._here(line)
        words = shlex.split(line, comments=True)
        if words[0] == "cd":
            self.folder = Path(os.path.normpath(self.folder / words[1]))
            return 0, ""
        if words[0] == "hitsave" and words[1] not in _APART and not _SHELL.search(line):
            code, printed = self._in_process(words[1:])
        else:
            code, printed = self._in_shell(line)
        return code, self._shown(printed)

    def write(self, name: str, text: str) -> None:
        """Write a file in the current folder."""
        (self.folder / name).write_text(self._here(text))

    def enter(self, text: str) -> str:
        """Run statements in this person's Python session; what they print."""
        if self._session is None:
            self._session = subprocess.Popen(
                [sys.executable, Path(__file__).with_name("session.py")],
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._session.stdin is not None
        assert self._session.stdout is not None
        message = {"folder": str(self.folder), "text": self._here(text)}
        print(json.dumps(message), file=self._session.stdin, flush=True)
        return self._shown(str(json.loads(self._session.stdout.readline())["printed"]))

    def leave(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.communicate(timeout=_PATIENCE)

    def _here(self, text: str) -> str:
        return re.sub(r"(?<![\w.~])/(home|srv)/", rf"{self.disk}/\1/", text)

    def _shown(self, text: str) -> str:
        return text.replace(str(self.disk), "").replace(f"@{platform.node()}", f"@{_HOST}")

    def _in_process(self, words: list[str]) -> tuple[int, str]:
        printed = io.BytesIO()
        streams = [io.TextIOWrapper(printed, "utf-8", "surrogateescape", write_through=True) for _ in range(2)]
        with (
            contextlib.chdir(self.folder),
            mock.patch.dict(os.environ, self.environment),
            contextlib.redirect_stdout(streams[0]),
            contextlib.redirect_stderr(streams[1]),
        ):
            code = run(words)
        return code, printed.getvalue().decode("utf-8", "surrogateescape")

    def _in_shell(self, line: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        return done.returncode, done.stdout


@dataclass(slots=True)
class Company:
    """Everybody on a page, each met when first named. They begin in `~/project`."""

    disk: Path
    _people: dict[str, Person] = field(default_factory=dict)

    def __enter__(self) -> Company:
        return self

    def __exit__(self, *_: object) -> None:
        for person in self._people.values():
            person.leave()

    def __getitem__(self, name: str) -> Person:
        if name not in self._people:
            folder = self.disk / "home" / name / "project"
            folder.mkdir(parents=True, exist_ok=True)
            self._people[name] = Person(name, self.disk, folder)
        return self._people[name]
