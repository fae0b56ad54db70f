"""Adding beside a collection, in every order of their steps: what was added is there."""

from __future__ import annotations

import functools
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hitsave.cache.database import Database
from hitsave.cache.intake import WHOLE_FROM, Intake
from hitsave.cache.moves import MoveJournal
from hitsave.cache.store import Cache
from hitsave.errors import ObjectNotFound
from hitsave.maintenance import collect as collecting
from hitsave.maintenance.collect import collect, forget, undo
from hitsave.maintenance.verify import verify
from hitsave.objects.digest import ObjectKind, blob_digest
from hitsave.objects.refs import Namespace, Ref, RefName, snapshot_ref
from hitsave.progress import Silent
from hitsave.snapshots.capture import CaptureOptions
from hitsave.snapshots.datasets import Owner, keep
from tests.cache.content import all_files_of, files_of, owned_by_all, store
from tests.cache.scheduling import Scheduler, explore
from tests.inmemory import tmp_path as tmp_path

NOW = 1000
LARGE = b"l" * WHOLE_FROM
OLD = {b"a": b"shared", b"b": b"only old", b"l": LARGE}
NEW = {b"a": b"shared", b"c": b"only new", b"l": LARGE}
OTHER = {b"a": b"shared", b"z": b"of the other"}

Action = Callable[[Cache, Path], object]


OWNER = Owner(
    lambda captured: RefName(Namespace.DATASETS, f"project/new@{captured.digest}"),
    lambda name, captured: Ref(name, captured.digest, captured.kind),
)


def add(cache: Cache, working: Path) -> None:
    keep(cache, working, CaptureOptions(), OWNER, Silent())


def collect_all(cache: Cache, working: Path) -> None:
    collect(cache, NOW)


def collect_and_purge(cache: Cache, working: Path) -> None:
    collect(cache, NOW, keep_seconds=0)


def forget_all_and_purge(cache: Cache, working: Path) -> None:
    forget(cache, [ref.name for ref in cache.refs() if ref.name.namespace is Namespace.SNAPSHOTS], NOW)
    collect(cache, NOW, keep_seconds=0)


def take_back(cache: Cache, working: Path) -> None:
    undo(cache)


def read_other(cache: Cache, working: Path) -> None:
    [digest] = [ref.digest for ref in cache.refs() if ref.name.namespace is Namespace.SNAPSHOTS]
    assert files_of(cache, digest) == OTHER
    assert all_files_of(cache, digest, ObjectKind.TREE) == OTHER


def ask_for_a_path(cache: Cache, working: Path) -> None:
    for content in (b"only old", b"shared", LARGE):
        try:
            path = cache.path_of(blob_digest(content))
        except ObjectNotFound:
            continue
        assert path.name == str(blob_digest(content))


def _gated(monkeypatch: pytest.MonkeyPatch, gates: set[str], current: list[Scheduler]) -> None:
    """Puts gates before the named steps. The scheduler is the last one of `current`."""
    writing = Database.writing

    @contextmanager
    def gated_writing(self: Database) -> Iterator[sqlite3.Connection]:
        current[-1].gate("write", writing=True)
        try:
            with writing(self) as connection:
                yield connection
        finally:
            current[-1].written()

    def before(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def gated(*values: Any, **options: Any) -> Any:
            current[-1].gate(name)
            return function(*values, **options)

        return gated

    def after(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def gated(*values: Any, **options: Any) -> Any:
            result = function(*values, **options)
            current[-1].gate(name)
            return result

        return gated

    monkeypatch.setattr(Database, "writing", gated_writing)
    if "publish" in gates:
        monkeypatch.setattr(Intake, "publish", before("publish", Intake.publish))
    if "owned" in gates:
        monkeypatch.setattr(Cache, "owns_whole", after("owned", Cache.owns_whole))
    if "marked" in gates:
        monkeypatch.setattr(collecting, "mark", after("marked", collecting.mark))
    if "found dead" in gates:
        monkeypatch.setattr(collecting, "find_dead", after("found dead", collecting.find_dead))
    if "moved" in gates:
        monkeypatch.setattr(MoveJournal, "_move_all", after("moved", MoveJournal._move_all))
    if "found" in gates:
        monkeypatch.setattr(Cache, "refs", after("found", Cache.refs))


def _prepare(path: Path, *, forgotten: bool) -> None:
    with Cache.open(path) as cache:
        old = store(cache, OLD)
        store(cache, OTHER)
        if forgotten:
            forget(cache, [snapshot_ref(old)], NOW)


def _write(folder: Path, files: dict[bytes, bytes]) -> None:
    folder.mkdir()
    for name, content in files.items():
        (folder / name.decode()).write_bytes(content)


@pytest.mark.parametrize(
    ("working", "forgotten", "first", "second", "gates"),
    [
        pytest.param(NEW, True, add, collect_all, {"publish", "marked", "moved"}, id="shared content"),
        pytest.param(OLD, True, add, collect_all, {"publish", "owned", "moved"}, id="the very same content"),
        pytest.param(
            OLD,
            False,
            add,
            forget_all_and_purge,
            {"owned", "moved"},
            id="what another ref owned",
        ),
        pytest.param(NEW, True, add, collect_and_purge, {"found dead", "publish"}, id="with nothing kept for undo"),
        pytest.param(NEW, True, ask_for_a_path, collect_all, {"found dead", "moved"}, id="a path of what dies"),
        pytest.param(NEW, True, collect_all, collect_all, {"found dead", "moved"}, id="two collections"),
        pytest.param(NEW, True, read_other, collect_all, {"found", "marked", "moved"}, id="reading"),
        pytest.param(NEW, True, add, take_back, {"publish", "owned", "moved"}, id="undo of a forget"),
    ],
)
def test_every_order(
    working: dict[bytes, bytes],
    forgotten: bool,
    first: Action,
    second: Action,
    gates: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    template, folder = tmp_path / "template", tmp_path / "working"
    _prepare(template, forgotten=forgotten)
    _write(folder, working)
    current: list[Scheduler] = [Scheduler([])]
    _gated(monkeypatch, gates, current)
    at_work = tmp_path / "cache"

    def run(scheduler: Scheduler) -> None:
        shutil.rmtree(at_work, ignore_errors=True)
        shutil.copytree(template, at_work)
        current.append(scheduler)
        with Cache.open(at_work) as one, Cache.open(at_work) as other:

            def act(action: Action, cache: Cache) -> None:
                try:
                    action(cache, folder)
                finally:
                    cache.close()

            scheduler.run(lambda: act(first, one), lambda: act(second, other))

    orders = 0
    for steps in explore(run, at_most=1000):
        orders += 1
        with Cache.open(at_work) as cache:
            _check(cache, working if first is add else None, steps)
    print(orders, "orders; the last one:", steps)
    assert orders >= 10


def _check(cache: Cache, added: dict[bytes, bytes] | None, steps: list[str]) -> None:
    for _ in range(2):
        owned = owned_by_all(cache)
        assert verify(cache).faults == (), steps
        if added is not None:
            new = [files for name, files in owned.items() if name.startswith("datasets/project/new@")]
            assert new == [added], steps
        collect(cache, NOW, keep_seconds=0)
    live = {digest for ref in cache.refs() for digest in cache.reachable([(ref.digest, ref.kind)])}
    assert {item for item in map(blob_digest, (b"only old", b"shared", LARGE)) if cache.has(item)} <= live, steps
