from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hitsave.repository import Repository

Opener = Callable[[str], Repository]


@pytest.fixture
def opener(tmp_path: Path) -> Iterator[Opener]:
    """Opens the repository of a user by name: a workspace and a cache of their own, and one remote for all."""
    opened: list[Repository] = []

    def open_repository(name: str) -> Repository:
        workspace = tmp_path / name
        workspace.mkdir(exist_ok=True)
        (workspace / "hitsave.toml").write_text(f"project = 'shared'\n[remotes]\norigin = '{tmp_path / 'remote'}'\n")
        environ = {
            "HITSAVE_LOCAL_CACHE_DIR": str(tmp_path / f"{name}-cache"),
            "HITSAVE_CONFIG_DIR": str(tmp_path / f"{name}-config"),
        }
        repository = Repository.open(workspace, environ)
        opened.append(repository)
        return repository

    yield open_repository
    for repository in opened:
        repository.cache.close()


@pytest.fixture
def ann(opener: Opener) -> Repository:
    return opener("ann")


@pytest.fixture
def ben(opener: Opener) -> Repository:
    """Another user of the same remote, who has nothing yet."""
    return opener("ben")
