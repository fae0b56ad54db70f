from __future__ import annotations

from pathlib import Path

import pytest

from tests.importing.projects import DvcProject


@pytest.fixture
def project(tmp_path: Path) -> DvcProject:
    """An empty repository that DVC is used in."""
    made = DvcProject(tmp_path / "project", tmp_path / "cache")
    made.begin()
    return made


@pytest.fixture
def old_project(tmp_path: Path) -> DvcProject:
    """The same, as DVC laid it out before its version 3."""
    made = DvcProject(tmp_path / "old", tmp_path / "cache", old=True)
    made.begin()
    return made
