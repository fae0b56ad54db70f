"""Folders in memory, for tests that make many small stores and prove nothing about disks.

Most of the time of such a test is that of a disk which makes each store durable. A conftest or a module that imports
`tmp_path` from here has its folders in memory where the system offers that; with TESTS_FAST=no (`make soak`) they are
on the disk.
"""

from __future__ import annotations

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
    if not _is_offered():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="tests-", dir=_MEMORY, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _is_offered() -> bool:
    wanted = os.environ.get("TESTS_FAST") != "no"
    return wanted and os.access(_MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH
