from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hitsave.api import FileSnapshot
from hitsave.repository import Repository

Snap = Callable[[str], str]


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "hitsave.toml").write_text("project = 'recorded'\n")
    environ = {
        "HITSAVE_LOCAL_CACHE_DIR": str(tmp_path / "cache"),
        "HITSAVE_CONFIG_DIR": str(tmp_path / "config"),
    }
    with Repository.open(workspace, environ) as opened:
        yield opened


@pytest.fixture
def snap(repository: Repository) -> Snap:
    """Writes a file of this name and snapshots it; its path, as a recorder is told it."""

    def write_and_snap(name: str) -> str:
        path = repository.workspace.root / name
        path.write_text(f"content of {name}")
        FileSnapshot.snap(path, repository=repository)
        return name

    return write_and_snap
