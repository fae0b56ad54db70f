"""An operation that is interrupted at any step is wholly there or not at all, and can be repeated."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hitsave.cache.store import Cache
from hitsave.errors import RefError
from hitsave.maintenance.collect import collect, undo
from hitsave.maintenance.verify import verify
from tests.cache.content import owned_by_all
from tests.faults.crashing import CRASHED
from tests.faults.forks import Forks
from tests.faults.operations import NOW, OPERATIONS, write_added

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="crashes are made in forks")

Owned = dict[str, dict[bytes, bytes]]


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as opened:
        yield opened


def assert_nothing_is_left_over(cache: Cache) -> None:
    collect(cache, NOW)
    collect(cache, NOW)  # An index that the first one replaced stays for readers until the second.
    assert list((cache.path / "tmp").iterdir()) == []
    assert list(cache.path.glob("trash/*/replaced")) == []
    assert not (cache.path / "moves.json").exists()
    assert {path.stem for path in (cache.path / "packs").iterdir()} == {str(pack.digest) for pack in cache.packs()}
    files = {bytes(row[0]).hex() for row in cache.database.rows("SELECT digest FROM files")}
    assert {path.name for path in cache.path.glob("objects/*/*")} == files
    indexes = {bytes(row[0]).hex() for row in cache.database.rows("SELECT name FROM indexes")}
    assert {path.stem for path in (cache.path / "indexes").iterdir()} == indexes
    kept = {str(row[0]) for row in cache.database.rows("SELECT DISTINCT operation FROM trash")}
    assert {path.name for path in (cache.path / "trash").iterdir()} == kept


def assert_can_be_repeated(name: str, path: Path, folder: Path, before: Owned, after: Owned) -> None:
    with Cache.open(path) as cache:
        now = owned_by_all(cache)
        assert now in (before, after)
        assert verify(cache).faults == ()
        if now == before or name not in ("undo", "undo beside new content", "forget"):
            OPERATIONS[name].run(cache, folder)
        assert owned_by_all(cache) == after
        assert verify(cache).faults == ()
        assert_nothing_is_left_over(cache)
        assert owned_by_all(cache) == after
        assert verify(cache).faults == ()


def _run_beside_a_reader(
    name: str, path: Path, folder: Path, step: int, forks: Forks, allowed: tuple[Owned, Owned]
) -> int:
    """Another process that has the cache open reads on as if nothing had happened."""
    if name == "open":
        status = forks.run(name, path, folder, step)
    else:
        with Cache.open(path) as reader:
            assert owned_by_all(reader) == allowed[0]
            status = forks.run(name, path, folder, step)
            assert owned_by_all(reader) in allowed
    assert status in (CRASHED, 0)
    return status


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_crash_at_any_step(name: str, tmp_path: Path, forks: Forks) -> None:
    folder = tmp_path / "working"
    write_added(folder)
    template, whole = tmp_path / "template", tmp_path / "whole"
    before: Owned = {}
    if name != "open":
        with Cache.open(template) as cache:
            OPERATIONS[name].prepare(cache)
            before = owned_by_all(cache)
        shutil.copytree(template, whole)
    with Cache.open(whole) as cache:
        OPERATIONS[name].run(cache, folder)
        after = owned_by_all(cache)
    for step in range(1, 1000):
        path = tmp_path / f"crashed {step}"
        if name != "open":
            shutil.copytree(template, path)
        status = _run_beside_a_reader(name, path, folder, step, forks, (before, after))
        assert_can_be_repeated(name, path, folder, before, after)
        shutil.rmtree(path)
        if status == 0:
            assert step > 2
            break


@pytest.mark.parametrize("name", ["collect", "collect and purge"])
def test_a_crash_in_a_collection_leaves_a_way_back(name: str, tmp_path: Path, forks: Forks) -> None:
    template = tmp_path / "template"
    with Cache.open(template) as cache:
        OPERATIONS[name].prepare(cache)
        undo(cache)
        complete = owned_by_all(cache)
    with Cache.open(template) as cache:
        OPERATIONS["forget"].run(cache, tmp_path)
    for step in range(1, 1000):
        path = tmp_path / f"crashed {step}"
        shutil.copytree(template, path)
        status = forks.run(name, path, tmp_path, step)
        with Cache.open(path) as cache:
            purged = not cache.database.rows("SELECT 1 FROM operations")
            with contextlib.suppress(RefError):
                undo(cache)
            if not purged:
                assert owned_by_all(cache) == complete
            assert verify(cache).faults == ()
            assert_nothing_is_left_over(cache)
        shutil.rmtree(path)
        if status == 0:
            break
