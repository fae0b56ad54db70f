from __future__ import annotations

from pathlib import Path

import pytest

from tests.memo.projects.harness import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project."""
    made = Project(tmp_path)
    made.folder.mkdir()
    return made
