"""What recorders are told: by snapshots in their block, in blocks within it, and never in other processes."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import threading
from pathlib import Path

import pytest

from hitsave.api import DirectorySnapshot, FileSnapshot
from hitsave.objects.digest import ObjectKind
from hitsave.recording import Recorder, Taken, current
from hitsave.repository import Repository
from tests.memo.recording.conftest import Snap


def paths(recorder: Recorder) -> list[str]:
    return [taken.path for taken in recorder.taken]


def test_nobody_records_by_default(snap: Snap) -> None:
    assert current() is None
    snap("a")


def test_what_is_told(repository: Repository) -> None:
    folder = repository.workspace.root / "data"
    folder.mkdir()
    (folder / "x").write_bytes(b"12345")
    with Recorder() as recorder:
        file = FileSnapshot.snap(folder / "x", repository=repository)
        tree = DirectorySnapshot.snap(folder, repository=repository)
    assert recorder.taken == (
        Taken(bytes.fromhex(file.digest), ObjectKind.BLOB, 5, "data/x"),
        Taken(bytes.fromhex(tree.digest), ObjectKind.TREE, 5, "data"),
    )


def test_each_snapshot_once(snap: Snap) -> None:
    with Recorder() as recorder:
        snap("b")
        snap("a")
        snap("b")
    assert paths(recorder) == ["b", "a"]


def test_a_snapshot_that_the_cache_had_is_told_too(snap: Snap) -> None:
    snap("a")
    with Recorder() as recorder:
        snap("a")
    assert paths(recorder) == ["a"]


def test_inner_calls_belong_to_outer_ones(snap: Snap) -> None:
    with Recorder() as outer:
        snap("before")
        with Recorder() as inner:
            snap("within")
        snap("after")
    assert paths(outer) == ["before", "within", "after"]
    assert paths(inner) == ["within"]
    assert inner.hold == outer.hold
    assert Recorder().hold != outer.hold


def test_a_call_that_fails_leaves_the_outer_one_in_charge(snap: Snap) -> None:
    with Recorder() as outer:
        with contextlib.suppress(ValueError), Recorder():
            snap("a")
            raise ValueError
        assert current() is outer
    assert current() is None
    assert paths(outer) == ["a"]


def test_after_its_end_a_recorder_is_nobodys(snap: Snap) -> None:
    with Recorder() as outer:
        with Recorder() as inner:
            carried = contextvars.copy_context()
        assert carried.run(current) is outer
        assert inner.took(b"d", 1, 0, "late")
    assert carried.run(current) is None
    assert not inner.took(b"d", 1, 0, "later")
    assert paths(inner) == []
    assert paths(outer) == ["late"]


def test_what_a_restore_replaces_is_no_snapshot_of_the_call(repository: Repository, snap: Snap) -> None:
    path = repository.workspace.root / snap("a")
    taken = FileSnapshot.snap(path, repository=repository)
    path.write_text("something else")
    with Recorder() as recorder:
        taken.restore(overwrite=True)
    assert recorder.taken == ()


def test_tasks_record_for_the_call_that_began_them(snap: Snap) -> None:
    async def call(name: str) -> list[str]:
        with Recorder() as recorder:
            await asyncio.sleep(0)
            snap(name)
            await asyncio.gather(inner(f"{name}1"), asyncio.create_task(inner(f"{name}2")))
            await asyncio.to_thread(snap, f"{name}3")
        return sorted(paths(recorder))

    async def inner(name: str) -> None:
        await asyncio.sleep(0)
        snap(name)

    async def main() -> list[list[str]]:
        return await asyncio.gather(call("a"), call("b"))

    assert asyncio.run(main()) == [["a", "a1", "a2", "a3"], ["b", "b1", "b2", "b3"]]


def test_many_threads_tell_one_recorder() -> None:
    with Recorder() as recorder:
        threads = [
            threading.Thread(target=lambda n=n: [recorder.took(b"%d" % (100 * n + m), 1, m, "p") for m in range(100)])
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(recorder.taken) == 800


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_records_nothing(snap: Snap, tmp_path: Path) -> None:
    with Recorder() as recorder:
        child = os.fork()
        if child == 0:
            snap("of the child")
            with Recorder() as own:
                snap("of the child's call")
            (tmp_path / "seen").write_text(f"{paths(recorder)} {paths(own)} {own.hold == recorder.hold}")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        snap("of the parent")
    assert (tmp_path / "seen").read_text() == """[] ["of the child's call"] False"""
    assert paths(recorder) == ["of the parent"]
