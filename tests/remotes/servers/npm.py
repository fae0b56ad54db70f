"""Servers that npm installs, once for each user, into a cache folder; without it, tests of them are skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import platformdirs
import pytest


def npm_program(package: str, version: str, program: str) -> str:
    """The path of a package's program. Skips, with the reason, where it cannot be installed."""
    folder = platformdirs.user_cache_path("hitsave-tests") / "npm" / f"{package}-{version}"
    found = folder / "node_modules" / ".bin" / program
    if not found.exists():
        _install(package, version, folder)
    return os.fspath(found)


def _install(package: str, version: str, folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"there is no npm, which would install {package}")
    temporary = folder.with_name(f"{folder.name}.{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        done = subprocess.run(
            [npm, "install", "--prefix", os.fspath(temporary), "--no-audit", "--no-fund", f"{package}@{version}"],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        if done.returncode != 0:
            pytest.skip(f"npm cannot install {package}: {done.stderr.strip()[-300:]}")
        try:
            os.rename(temporary, folder)
        except OSError:  # Another process was faster.
            assert folder.exists()
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
