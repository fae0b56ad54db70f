from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hitsave import DirectorySnapshot
from hitsave.filesystem import HitsaveFileSystem
from hitsave.remotes import connections
from hitsave.repository import Repository
from tests.api.content import write
from tests.filesystem.tables import FILES
from tests.remotes.transports import CountingTransport


@dataclass
class Reader:
    """A user of a remote who has nothing yet, at work in this process; all that comes from the remote is counted."""

    repository: Repository
    counted: list[CountingTransport] = field(default_factory=list)

    @property
    def received(self) -> int:
        """Bytes that came from the remote."""
        return sum(transport.received for transport in self.counted)

    @property
    def requests(self) -> int:
        return sum(transport.total for transport in self.counted)

    def reset(self) -> None:
        """Count from 0."""
        for transport in self.counted:
            transport.reset()

    def keeps_nothing(self) -> bool:
        """Whether no object has come into the cache."""
        cache = self.repository.cache
        return not cache.packs() and cache.inbox.empty and not any((cache.path / "objects").iterdir())


def settings(folder: Path, name: str) -> tuple[Path, Mapping[str, str]]:
    """The workspace of a user, and the environment that gives them a cache of their own."""
    workspace = folder / name
    workspace.mkdir(exist_ok=True)
    (workspace / "hitsave.toml").write_text(f"project = 'shared'\n[remotes]\norigin = '{folder / 'remote'}'\n")
    return workspace, {
        "HITSAVE_LOCAL_CACHE_DIR": str(folder / f"{name}-cache"),
        "HITSAVE_CONFIG_DIR": str(folder / f"{name}-config"),
    }


def publish(folder: Path, files: Mapping[str, bytes]) -> str:
    """Have somebody push a directory with these files to the remote in a folder; its digest."""
    workspace, environ = settings(folder, "ann")
    write(workspace / "data", files)
    with Repository.open(workspace, environ) as repository:
        snapshot = DirectorySnapshot.snap(workspace / "data", repository=repository)
        snapshot.upload()
        return snapshot.digest


def become(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Let this process be a user of the remote in a folder."""
    workspace, environ = settings(folder, name)
    counted: list[CountingTransport] = []
    opener = connections.open_transport

    def open_counting(url: str, hasty: bool = False) -> CountingTransport:
        counted.append(CountingTransport(opener(url, hasty=hasty)))
        return counted[-1]

    monkeypatch.setattr(connections, "open_transport", open_counting)
    monkeypatch.chdir(workspace)
    for key in [key for key in os.environ if key.startswith("HITSAVE_")]:
        monkeypatch.delenv(key)
    for key, value in environ.items():
        monkeypatch.setenv(key, value)
    return Reader(Repository.default(), counted)


@pytest.fixture
def digest(tmp_path: Path) -> str:
    """A directory that somebody has pushed."""
    return publish(tmp_path, FILES)


@pytest.fixture
def ben(tmp_path: Path, digest: str, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Somebody else, who has nothing of it."""
    return become(tmp_path, "ben", monkeypatch)


@pytest.fixture
def fs(ben: Reader) -> HitsaveFileSystem:
    """The file system, as ben has it."""
    return HitsaveFileSystem(skip_instance_cache=True)
