"""What a transaction names is on the disk before it commits: contents are synced, and the folders that name them."""

from __future__ import annotations

import ctypes
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hitsave.cache import files
from hitsave.cache.store import Cache
from tests.faults.operations import OPERATIONS, write_added

#: Each transaction is synced before it is reported.
FULL = 2


class Disk:
    """Knows which inodes of one cache were synced since they last changed. What was there at the beginning was."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.safe = {item.stat().st_ino for item in [root, *root.rglob("*")]}
        self.checked = 0
        self.commits = 0

    def synced(self, inode: int) -> None:
        self.safe.add(inode)

    def renamed(self, target: str) -> None:
        self.safe.discard(Path(target).parent.stat().st_ino)

    def check(self, connection: sqlite3.Connection) -> None:
        """At a commit: every file that is named, and every folder from it up to the root, is safe.

        What is in the database itself is made durable by the commit.
        """
        assert connection.execute("PRAGMA synchronous").fetchone() == (FULL,)
        self.commits += 1
        rows = connection.execute("SELECT digest FROM files WHERE derived = 0").fetchall()
        named = [self.root / "objects" / row[0].hex()[:2] / row[0].hex() for row in rows]
        named += [
            self.root / "indexes" / f"{row[0].hex()}.index" for row in connection.execute("SELECT * FROM indexes")
        ]
        named += (self.root / "packs").iterdir()
        for path in named:
            for item in (path, *path.parents):
                if item == self.root:
                    break
                assert item.stat().st_ino in self.safe, f"{item.relative_to(self.root)} is named, and not synced"
            self.checked += 1


def _watch(monkeypatch: pytest.MonkeyPatch, disk: Disk) -> None:
    fsync = os.fsync

    def watched_fsync(fd: int) -> None:
        fsync(fd)
        disk.synced(os.fstat(fd).st_ino)

    def watching(move: Callable[..., None]) -> Callable[..., None]:
        def watched(source: Any, target: Any, **options: Any) -> None:
            move(source, target, **options)
            disk.renamed(os.fspath(target))

        return watched

    connect = sqlite3.connect

    class Watched(sqlite3.Connection):
        def execute(self, query: str, *values: Any) -> sqlite3.Cursor:
            if query == "COMMIT":
                disk.check(self)
            return super().execute(query, *values)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "rename", watching(os.rename))
    monkeypatch.setattr(os, "replace", watching(os.replace))
    monkeypatch.setattr(sqlite3, "connect", lambda *values, **options: connect(*values, factory=Watched, **options))
    # One sync of the whole file system cannot be watched.
    monkeypatch.setattr(files, "_sync_file_system", lambda path: False)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in ("open", "derive")])
def test_nothing_is_named_before_it_is_safe(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    operation, path = OPERATIONS[name], tmp_path / "cache"
    write_added(tmp_path / "working")
    with Cache.open(path) as cache:
        operation.prepare(cache)
    disk = Disk(path)
    _watch(monkeypatch, disk)
    with Cache.open(path) as cache:
        operation.run(cache, tmp_path / "working")
    assert disk.commits > 0
    assert (disk.checked > 0) != (name == "publish a small call"), "of which nothing is a file"


def test_the_whole_file_system_is_synced_where_files_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(ctypes.CDLL(None), "syncfs"):
        pytest.skip("this system has no syncfs")
    assert files._sync_file_system(os.fspath(tmp_path))
    monkeypatch.setattr(os, "fsync", lambda fd: pytest.fail("each file was synced"))
    files.sync_all([os.fspath(tmp_path)] * 100)
