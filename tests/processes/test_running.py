"""A fork sees and does what a new process would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.processes import running
from tests.processes.running import Ended, Kind

pytestmark = pytest.mark.skipif(not running.CAN_FORK, reason="all runs are new processes")

LOOK = """
import gc, json, os, signal, sys, time
print(json.dumps({
    "argv": sys.argv, "original": sys.orig_argv, "path": sys.path, "folder": os.getcwd(), "environ": dict(os.environ),
    "names": sorted(globals()), "main": vars(sys.modules["__main__"]) is globals(), "file": __file__,
    "spec": str(__spec__).partition(" object at ")[0], "loader": type(__loader__).__name__, "package": __package__,
    "builtins": type(__builtins__).__name__, "code": sys._getframe().f_code.co_filename, "flags": str(sys.flags),
    "stdin": sys.stdin.read(), "streams": [
        [each.seekable(), each.reconfigure(errors=each.errors), each.encoding, each.line_buffering, each.fileno()]
        for each in (sys.stdin, sys.stdout, sys.stderr)
    ],
    "signals": [str(signal.getsignal(getattr(signal, name))) for name in ("SIGINT", "SIGTERM", "SIGPIPE", "SIGCHLD")],
    "limits": [sys.getrecursionlimit(), gc.get_threshold(), gc.isenabled()], "zone": time.tzname,
    "descriptors": [n for n in range(20) if os.path.exists(f"/proc/self/fd/{n}")], "executable": sys.executable,
    "shown": os.fsdecode(open("/proc/self/cmdline", "rb").read().rstrip(b"\\0")) if sys.platform == "linux" else "",
}))
"""
SCRIPTS = {
    "look.py": LOOK,
    "fails.py": "def f():\n    raise ValueError('so')\nf()\n",
    "leaves.py": "import sys; sys.exit('a reason')\n",
    "ends.py": """
import atexit, threading, time
class Late:
    def __del__(self): print("the last object")
late = Late()
atexit.register(print, "at the end")
threading.Thread(target=lambda: (time.sleep(0.05), print("a thread"))).start()
print("the program")
""",
    "dies.py": "import os, signal; print('lost'); os.kill(os.getpid(), signal.SIGKILL)\n",
    "wrong.py": "def f(:\n",
    "latin.py": "# coding: latin-1\nprint(len('\xe9'))\n",
}


@pytest.fixture(scope="module")
def kind() -> Kind:
    return Kind(["json", "decimal"], {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, servers=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in SCRIPTS.items():
        (tmp_path / name).write_text(text, encoding="latin-1")
    (tmp_path / "beside").mkdir()
    (tmp_path / "link.py").symlink_to(tmp_path / "beside" / "real.py")
    (tmp_path / "beside" / "real.py").write_text(LOOK)
    return tmp_path


def environ_of(folder: Path, **more: str) -> dict[str, str]:
    usual = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo"}
    return {**usual, "PYTHONPATH": os.fspath(folder / "beside"), **more}


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["look.py", "a b", "\udcff"], id="a script"),
        pytest.param(["-m", "look", "c"], id="a module"),
        pytest.param(["-m", "real"], id="a module of the path"),
        pytest.param(["link.py"], id="a link"),
        pytest.param(["fails.py"], id="an error"),
        pytest.param(["-m", "fails"], id="an error of a module"),
        pytest.param(["leaves.py"], id="an exit"),
        pytest.param(["ends.py"], id="a thread and what comes at the end"),
        pytest.param(["dies.py"], id="a signal"),
        pytest.param(["wrong.py"], id="no Python"),
        pytest.param(["latin.py"], id="another encoding"),
    ],
)
def test_a_fork_is_like_a_new_process(kind: Kind, folder: Path, arguments: Sequence[str]) -> None:
    forked, new = (
        each.run(arguments, cwd=folder, environ=environ_of(folder, NAME="\udc80"), timeout=60, stdin=b"given")
        for each in (kind, Kind([], {}, servers=0))
    )
    assert _read(forked) == _read(new)


def _read(ended: Ended) -> tuple[int, Any, bytes]:
    return ended.code, json.loads(ended.out) if ended.out.startswith(b"{") else ended.out, ended.err


def _servers(kind: Kind, folder: Path, environ: Mapping[str, str], *more: str) -> Iterator[tuple[int, bool]]:
    """For four runs: whose child each was, and whether it had the modules."""
    (folder / "whose.py").write_text("import os, sys; had = 'decimal' in sys.modules; print(os.getppid(), had)")
    for _ in range(4):
        parent, had = kind.run([*more, "whose.py"], cwd=folder, environ=environ, timeout=60).out.split()
        yield int(parent), had == b"True"


def test_servers_take_turns(kind: Kind, folder: Path) -> None:
    first, second, third, fourth = _servers(kind, folder, environ_of(folder))
    assert first == third != second == fourth
    assert first[1]
    assert second[1]
    assert os.getpid() not in (first[0], second[0])


def test_what_an_interpreter_is_started_with_needs_a_new_one(kind: Kind, folder: Path) -> None:
    new = [(os.getpid(), False)] * 4
    assert list(_servers(kind, folder, environ_of(folder, PYTHONHASHSEED="1"))) == new
    assert list(_servers(kind, folder, environ_of(folder, LC_ALL="C"))) == new
    assert list(_servers(kind, folder, environ_of(folder), "-O")) == new


def test_runs_know_nothing_of_each_other(kind: Kind, folder: Path) -> None:
    (folder / "once.py").write_text("import json, mine; print(json.loads is print); json.loads = print; mine.x = 1\n")
    for number in range(4):
        (folder / "mine.py").write_text(f"print({number!r} * 10)\n")
        os.utime(folder / "mine.py", (number, number))
        done = kind.run(["once.py"], cwd=folder, environ=environ_of(folder), timeout=60)
        assert done == Ended(0, b"%d\nFalse\n" % (number * 10), b"")


def test_a_run_that_takes_too_long_is_killed(kind: Kind, folder: Path) -> None:
    (folder / "long.py").write_text("import os, time; print(os.getpid(), flush=True); time.sleep(600)\n")
    with pytest.raises(subprocess.TimeoutExpired) as raised:
        kind.run(["long.py"], cwd=folder, environ=environ_of(folder), timeout=0.3)
    assert raised.value.output
    with pytest.raises(ProcessLookupError):
        os.kill(int(raised.value.output), 0)


def test_much_is_read_and_written(kind: Kind, folder: Path) -> None:
    echo = "import sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data); sys.stderr.buffer.write(data)"
    (folder / "echo.py").write_text(echo)
    content = bytes(range(256)) * 4000
    done = kind.run(["echo.py"], cwd=folder, environ=environ_of(folder), timeout=60, stdin=content)
    assert done == Ended(0, content, content)
    (folder / "deaf.py").write_text("print('no')")
    done = kind.run(["deaf.py"], cwd=folder, environ=environ_of(folder), timeout=60, stdin=content)
    assert done == Ended(0, b"no\n", b"")


def test_the_interpreter_is_the_same(kind: Kind, folder: Path) -> None:
    (folder / "which.py").write_text("import sys; print(sys.executable, sys.version)\n")
    done = kind.run(["which.py"], cwd=folder, environ=environ_of(folder), timeout=60)
    assert done.out.decode() == f"{sys.executable} {sys.version}\n"
