"""Small projects that change between runs: which calls run their body again, and which take the kept result.

A project is a folder whose scripts run in fresh processes, with a cache of its own. That a body ran is seen from
outside: it appends a line to the file that the variable TRACE names, another one at each run. What a script prints
proves that nothing stale came back. Cases are written in files of `cases/`, read by `tests.memo.projects.notation`.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes.running import Ended, Kind

#: What the line `RAN`, or `RAN label`, of a body stands for.
_MARK = (
    "import os; _fd = os.open(os.environ['TRACE'], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600);"
    " os.write(_fd, b'{label}\\n'); os.close(_fd)"
)
_MARK_LINE = re.compile(r"^([ \t]*)RAN(?: (\S+))?$", re.MULTILINE)
#: Files of one revision are this much younger than those of the one before, so that Python's own .pyc files notice.
_SECONDS_PER_REVISION = 10
#: Folders beside the project that are on the module path where a case has them.
_BESIDE = ("site-packages", "beside")
#: No run takes longer, whatever the machine does.
TIMEOUT = 120.0
#: A program whose imports nearly all runs have. Memoisation itself is imported by each run: it notes when that was.
_USUAL = "from hitsave import memo; f = memo(lambda x: x); f(1); import sys; print(*sys.modules)"
_BY_EACH_RUN = ("__main__", "hitsave.memoisation")


def marked(text: str) -> str:
    """The source with its marks written out."""
    return _MARK_LINE.sub(lambda match: match[1] + _MARK.format(label=match[2] or "-"), text)


@functools.cache
def _kind() -> Kind:
    """How runs are forked: three take turns, so that a revision and its return are not of one memory layout either."""
    with tempfile.TemporaryDirectory() as folder:
        environ = Project(Path(folder)).environment(Path(folder, "trace"), {})
        (Path(folder, "usual.py")).write_text(_USUAL)
        command = [sys.executable, "usual.py"]
        done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=True)
        return Kind([name for name in done.stdout.split() if not name.startswith(_BY_EACH_RUN)], environ, servers=3)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a process did: the labels of the bodies that ran, and what it printed, with white space made one blank."""

    ran: tuple[str, ...]
    output: str
    errors: str
    code: int

    def __str__(self) -> str:
        return f"ran {list(self.ran)}, exit code {self.code}, printed {self.output!r}, and on stderr:\n{self.errors}"


@dataclass(slots=True)
class Project:
    """A project folder `root/project` with a cache and a configuration of its own beside it."""

    root: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    runs: int = 0
    revision: int = 0
    began: float = field(default_factory=lambda: time.time() - 100_000)

    @property
    def folder(self) -> Path:
        return self.root / "project"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """The next revision: writes files, by paths below the project folder (or `../` beside it)."""
        self.revision += 1
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else marked(content).encode())
            self.touch(name)

    def touch(self, name: str) -> None:
        when = self.began + self.revision * _SECONDS_PER_REVISION
        os.utime(self.folder / name, (when, when))

    def replace(self, name: str, old: str, new: str) -> None:
        """A revision that changes one place of a file, which must be there once."""
        text = (self.folder / name).read_bytes().decode()
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times in {name}"
        self.write({name: text.replace(old, new)})

    def copy(self, place: str) -> Path:
        """The project as another checkout."""
        there = (self.folder / place).resolve()
        shutil.copytree(self.folder, there, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        return there

    def environment(self, trace: Path, environ: Mapping[str, str]) -> dict[str, str]:
        """All variables of a run: nothing of the caller's own set-up of hitsave gets in."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HITSAVE_", "PYTHONHASH"))}
        paths = [os.fspath(self.root / name) for name in _BESIDE if (self.root / name).is_dir()]
        paths += [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
        return {
            **kept,
            "HITSAVE_LOCAL_CACHE_DIR": os.fspath(self.cache),
            "HITSAVE_CONFIG_DIR": os.fspath(self.root / "config"),
            "HITSAVE_NO_CLOUD": "1",
            "PYTHONPATH": os.pathsep.join(paths),
            "TRACE": os.fspath(trace),
            **self.environ,
            **environ,
        }

    def start(
        self,
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: str | None = None,
    ) -> Running:
        """A Python process of the project that has begun. Its input is open where `stdin` is given as ''."""
        trace = self._next_trace()
        process = subprocess.Popen(
            [sys.executable, *(arguments or ("main.py",))],
            cwd=cwd or self.folder,
            env=self.environment(trace, environ or {}),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        return Running(process, trace, stdin)

    def run(
        self,
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: str | None = None,
    ) -> Outcome:
        """A Python process of the project, from its beginning to its end; mostly a fork."""
        trace = self._next_trace()
        chosen, errors = self.environment(trace, environ or {}), ""
        try:
            done = _kind().run(
                arguments or ("main.py",),
                cwd=cwd or self.folder,
                environ=chosen,
                timeout=TIMEOUT,
                stdin=(stdin or "").encode(),
            )
        except subprocess.TimeoutExpired as error:
            done = Ended(-1, error.output or b"", error.stderr or b"")
            errors = f"\nkilled: it still ran after {TIMEOUT} s"
        return Outcome(_marks(trace), " ".join(done.out.decode().split()), done.err.decode() + errors, done.code)

    def _next_trace(self) -> Path:
        self.runs += 1
        return self.root / f"trace-{self.runs}"


@dataclass(slots=True)
class Running:
    """A process that has begun, and the file in which its bodies leave their marks."""

    process: subprocess.Popen[str]
    trace: Path
    stdin: str | None = None

    def ran(self) -> tuple[str, ...]:
        """The labels of the bodies that ran so far."""
        return _marks(self.trace)

    def wait_for(self, path: Path) -> None:
        """Returns when the process has made a file. Fails where it ends before."""
        deadline = time.monotonic() + TIMEOUT
        while not path.exists():
            if self.process.poll() is not None:
                raise AssertionError(f"it ended before {path.name} was there: {self.finish()}")
            assert time.monotonic() < deadline, f"{path.name} is still not there"
            time.sleep(0.005)

    def kill(self) -> None:
        """Ends it as the kernel would for lack of memory: nothing of it runs any more."""
        self.process.kill()
        self.process.communicate()

    def finish(self) -> Outcome:
        try:
            printed, errors = self.process.communicate(self.stdin, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            printed, errors = self.process.communicate()
            errors += f"\nkilled: it still ran after {TIMEOUT} s"
        return Outcome(self.ran(), " ".join(printed.split()), errors, self.process.returncode)


def _marks(trace: Path) -> tuple[str, ...]:
    return tuple(trace.read_text().split()) if trace.exists() else ()


def ran_as(outcome: Outcome, labels: Sequence[str], output: str) -> None:
    """Fails unless exactly these bodies ran and exactly this was printed."""
    assert outcome.code == 0, str(outcome)
    assert outcome.output == output, f"should print {output!r}: {outcome}"
    assert sorted(outcome.ran) == sorted(labels), f"should run {list(labels)}: {outcome}"
