"""What another version of hitsave has left: what is refused and stays as it is, and what helps (docs/server.md)."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hitsave.errors import CacheError, ConfigError
from tests.cli.world import User, World, assert_same
from tests.server.inprocess import running


def change(path: Path, statement: str) -> bytes:
    """Do something to a database; what the file holds then."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return path.read_bytes()


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, User]:
    """The folder of a server to which somebody has pushed, and that somebody."""
    ann = World(tmp_path / "people").user()
    ann.write({"a": b"x", "b/large": bytes(300_000)})
    with running(tmp_path / "data") as server:
        ann.variables["HITSAVE_KEY"] = server.key()
        ann.do("remote", "add", "origin", server.url)
        ann.add()
        ann.do("push")
        assert server.request("GET", "/datasets", key=ann.variables["HITSAVE_KEY"]).status == 200
    return tmp_path / "data", ann


def check_pulls(folder: Path, ann: User) -> None:
    with running(folder) as server:
        digest = ann.state()["digest"]
        key = ann.variables["HITSAVE_KEY"]
        assert server.request("GET", "/blobs", key=key).status == 200
        other = World(folder.parent / "others").user()
        other.variables["HITSAVE_KEY"] = key
        other.do("remote", "add", "origin", server.url)
        other.do("snapshot", "--restore", digest, "out")
        assert_same(ann.data, other.workspace / "out")


def test_a_cache_of_a_newer_version_is_refused_and_may_be_removed(data: tuple[Path, User]) -> None:
    folder, ann = data
    left = change(folder / "cache" / "cache.db", "PRAGMA user_version=99")
    with pytest.raises(CacheError, match=r"written by a newer hitsave \(format 99\)"), running(folder):
        pass
    assert (folder / "cache" / "cache.db").read_bytes() == left
    shutil.rmtree(folder / "cache")
    check_pulls(folder, ann)


def test_a_catalogue_of_another_version_is_made_anew(data: tuple[Path, User]) -> None:
    folder, ann = data
    change(folder / "cache" / "dashboard" / "catalogue.sqlite", "PRAGMA user_version=99")
    check_pulls(folder, ann)


@pytest.mark.parametrize("version", [0, 2])
def test_a_database_of_another_version_is_refused_and_stays_as_it_is(data: tuple[Path, User], version: int) -> None:
    folder, ann = data
    path = folder / "server.sqlite"
    before = path.read_bytes()
    left = change(path, f"UPDATE hitsave_schema SET version = {version}")
    with pytest.raises(ConfigError, match=f"has the tables of version {version}"), running(folder):
        pass
    assert path.read_bytes() == left
    path.write_bytes(before)  # What was backed up.
    check_pulls(folder, ann)
