"""The libraries that keep results of functions: how each is installed, and how a function is decorated with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent.parent / ".peers" / "memo"
#: Every job of a peer runs beside this numpy, the one that hitsave is measured with.
NUMPY = "numpy>=2.0"


@dataclass(frozen=True, slots=True)
class Peer:
    """One library. `decoration` is Python that defines `memo`, a decorator; `FOLDER` stands for where results go.

    `package` is what pip installs, None for what is installed beside the interpreter that runs the benchmark.
    `wrong` says with which jobs it gives wrong results, and why; they are left out.
    """

    name: str
    decoration: str
    package: str | None
    wrong: dict[str, str]

    @property
    def python(self) -> str:
        """The interpreter that has it."""
        return sys.executable if self.package is None else str(FOLDER / "bin" / "python")

    def missing(self) -> str | None:
        """Install it on the first use; the reason why that failed, or None."""
        if self.package is None:
            return None
        known = FOLDER / f"installed-{self.name}"
        if known.exists() and known.read_text() == self.package:
            return None
        if not (FOLDER / "bin").exists():
            shutil.rmtree(FOLDER, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", FOLDER], check=True)
        print(f"installing {self.package} into {FOLDER}", file=sys.stderr, flush=True)
        pip = [self.python, "-m", "pip", "install", "--quiet", NUMPY, self.package]
        done = subprocess.run(pip, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            return f"pip could not install {self.package}: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
        known.write_text(self.package)
        return None

    def version(self) -> str:
        """One line for the report."""
        query = f"import importlib.metadata as m; print(m.version({self.name!r}))"
        done = subprocess.run([self.python, "-c", query], capture_output=True, text=True, check=True)
        return done.stdout.strip()


_REDUN = """
import logging
from redun import Scheduler, task
from redun.config import Config

logging.disable()
_scheduler = Scheduler(config=Config({"backend": {"db_uri": "sqlite:///" + FOLDER + "/redun.db"}}))
_scheduler.load()


def memo(function):
    kept = task(namespace="benchmark")(function)
    return lambda *args, **kwargs: _scheduler.run(kept(*args, **kwargs))
"""
_REPR = "its key is the text that `repr` gives, in which numpy leaves out most of a large array"

PEERS = {
    peer.name: peer
    for peer in (
        Peer("hitsave", "from hitsave import memo", None, {}),
        Peer("joblib", "from joblib import Memory\nmemo = Memory(FOLDER, verbose=0).cache", "joblib>=1.4", {}),
        Peer("diskcache", "from diskcache import Cache\nmemo = Cache(FOLDER).memoize()", "diskcache>=5.6", {}),
        Peer(
            "checkpointer",
            "from checkpointer import checkpoint\nmemo = checkpoint(directory=FOLDER, verbosity=0)",
            "checkpointer>=2.14",
            {},
        ),
        Peer("redun", _REDUN, "redun>=0.44", {}),
        Peer("cachier", "from cachier import cachier\nmemo = cachier(cache_dir=FOLDER)", "cachier>=4.2", {}),
        Peer(
            "percache",
            "from percache import Cache\nmemo = Cache(FOLDER + '/percache', livesync=True)",
            "percache>=0.4.4",
            {"argument": _REPR},
        ),
    )
}


def write_decoration(folder: Path, peer: Peer | None, kept: Path) -> None:
    """Write the module `decoration` that the jobs import; without a peer, a decorator that does nothing."""
    text = (
        "def memo(function):\n    return function\n" if peer is None else f"FOLDER = {str(kept)!r}\n{peer.decoration}\n"
    )
    (folder / "decoration.py").write_text(text)


def environment(kept: Path) -> dict[str, str]:
    """The variables for a job: nobody's settings, no remote, and hitsave's cache in `kept`."""
    places = {name: str(kept) for name in ("HOME", "HITSAVE_LOCAL_CACHE_DIR", "HITSAVE_CONFIG_DIR", "XDG_CACHE_HOME")}
    return {**os.environ, **places, "HITSAVE_NO_CLOUD": "1"}
