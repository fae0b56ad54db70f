"""The tools that are imported from. DVC is installed once for each user; without them, tests of them are skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

_DVC = "dvc==3.67.1"


def dvc_program() -> str:
    """The path of DVC's program. Skips, with the reason, where it cannot be installed."""
    folder = platformdirs.user_cache_path("hitsave-tests") / "python" / _DVC
    program = folder / ("Scripts" if os.name == "nt" else "bin") / "dvc"
    done = folder / "installed"
    if not done.exists():
        _install(folder)
        done.touch()
    return os.fspath(program)


def _install(folder: Path) -> None:
    # Scripts name their interpreter by its path, so that the folder cannot be made elsewhere and moved. Two processes
    # that install at once do the same thing.
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", _DVC]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=280, check=False)
    if done.returncode != 0:
        pytest.skip(f"pip cannot install {_DVC}: {done.stderr.strip()[-300:]}")


def program(name: str, *version: str) -> str:
    """A program that the system has. Skips where it has not."""
    found = shutil.which(name)
    if found is None or subprocess.run([found, *version], capture_output=True, check=False).returncode != 0:
        pytest.skip(f"there is no {name} (Debian package {name})")
    return found
