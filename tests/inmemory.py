"""Folders in memory, for tests that make many small stores and prove nothing about disks.

Most of the time of such a test is that of a disk which makes each store durable. A conftest or a module that imports
`tmp_path` from here has its folders in memory where the system offers that; with TESTS_FAST=no (`make soak`) they are
on the disk.
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")
#: In bytes: with less, tests might fill it.
_ENOUGH = 1 << 30


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """An empty folder, which is removed after the test."""
    if parent() is None:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="tests-", dir=parent(), ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def new_folder() -> Path:
    """An empty folder that the caller removes, for tests that take many of them."""
    return Path(tempfile.mkdtemp(prefix="tests-", dir=parent()))


@functools.cache
def parent() -> Path | None:
    """Where folders are made; None for the system's choice."""
    wanted = os.environ.get("TESTS_FAST") != "no"
    offered = os.access(_MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH
    return _MEMORY if wanted and offered else None
