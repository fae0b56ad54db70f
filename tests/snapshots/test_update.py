"""Turning one tree into another gives what a fresh directory would hold, and touches only what differs."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings

from hitsave.cache.store import Cache
from hitsave.errors import ObjectNotFound, SnapshotError, UnsavedChanges
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.snapshots.materialise import materialise_tree
from hitsave.snapshots.update import update_tree
from tests.cache.content import ref_to
from tests.snapshots.folders import File, Folder, Link, folders, read, store, write

modest = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


def kept(cache: Cache, folder: Folder) -> Digest | None:
    """A directory that is in the cache; None where a link leads out of it."""
    with tempfile.TemporaryDirectory() as above:
        write(folder, Path(above, "data"))
        try:
            return store(cache, Path(above, "data"))
        except SnapshotError:
            return None


def known(cache: Cache, folder: Folder) -> Digest:
    """A directory that is in the cache."""
    digest = kept(cache, folder)
    assert digest is not None
    return digest


@modest
@given(folders, folders)
@example({b"a": {b"a": Link(b"b/c")}, b"b": Link(b"a")}, {b"a": {}, b"b": {b"a": Link(b"nowhere")}})
def test_an_update_gives_what_a_fresh_directory_holds(cache: Cache, before: Folder, after: Folder) -> None:
    old, new = kept(cache, before), kept(cache, after)
    if old is None or new is None:
        return
    with tempfile.TemporaryDirectory() as above:
        materialise_tree(cache, old, Path(above, "data"))
        materialise_tree(cache, new, Path(above, "fresh"))
        update_tree(cache, old, new, Path(above, "data"))
        assert read(Path(above, "data")) == read(Path(above, "fresh")) == after
        assert store(cache, Path(above, "data")) == new
        assert sorted(os.listdir(above)) == ["data", "fresh"]
        update_tree(cache, new, old, Path(above, "data"))
        assert read(Path(above, "data")) == before


@modest
@given(folders, folders)
def test_strangers_stay(cache: Cache, before: Folder, after: Folder) -> None:
    """Files that neither tree knows are there afterwards, wherever they lie."""
    old, new = kept(cache, before), kept(cache, after)
    if old is None or new is None:
        return
    with tempfile.TemporaryDirectory() as above:
        path = Path(above, "data")
        materialise_tree(cache, old, path)
        strangers = [os.path.join(os.fsencode(path), b"stranger")]
        for directory, names, _ in os.walk(os.fsencode(path)):
            strangers += [
                os.path.join(directory, name, b"stranger")
                for name in names
                if not os.path.islink(os.path.join(directory, name))
            ]
        for stranger in strangers:
            with open(stranger, "wb") as file:
                file.write(stranger)
        with contextlib.suppress(UnsavedChanges):  # One of them lies in a directory that is to be a file.
            update_tree(cache, old, new, path)
        for stranger in strangers:
            with open(stranger, "rb") as file:
                assert file.read() == stranger


def test_only_what_differs_is_touched(cache: Cache, tmp_path: Path) -> None:
    same: Folder = {b"%d" % at: File(b"%d" % at) for at in range(100)}
    old = known(cache, {b"same": same, b"changed": File(b"1"), b"gone": File(b"2"), b"gone-folder": {b"x": File()}})
    new = known(cache, {b"same": same, b"changed": File(b"3"), b"new": {b"y": File()}})
    path = tmp_path / "data"
    materialise_tree(cache, old, path)
    inodes = {item.name: item.stat().st_ino for item in (path / "same").iterdir()}
    done = update_tree(cache, old, new, path)
    assert (done.files, done.removed, done.size) == (2, 2, 1)
    assert {item.name: item.stat().st_ino for item in (path / "same").iterdir()} == inodes


def test_a_change_of_mode_writes_no_file(cache: Cache, tmp_path: Path) -> None:
    old, new = known(cache, {b"x": File(b"1")}), known(cache, {b"x": File(b"1", executable=True)})
    materialise_tree(cache, old, tmp_path / "data")
    inode = (tmp_path / "data/x").stat().st_ino
    done = update_tree(cache, old, new, tmp_path / "data")
    assert done.files == 0
    assert os.access(tmp_path / "data/x", os.X_OK)
    assert (tmp_path / "data/x").stat().st_ino == inode


def test_a_change_of_mode_of_a_hard_link_does_not_reach_the_cache(cache: Cache, tmp_path: Path) -> None:
    large = bytes(200_000)
    old, new = known(cache, {b"x": File(large)}), known(cache, {b"x": File(large, executable=True)})
    materialise_tree(cache, old, tmp_path / "data", links=["hardlink"])
    update_tree(cache, old, new, tmp_path / "data", links=["hardlink", "copy"])
    assert os.access(tmp_path / "data/x", os.X_OK)
    assert cache.path_of(blob_digest(large)).stat().st_mode & 0o777 == 0o444
    assert cache.path_of(blob_digest(large)).read_bytes() == large


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_stands_in_the_way_is_named_and_stays(cache: Cache, tmp_path: Path, kind: str) -> None:
    old = known(cache, {b"a": File(b"1")})
    new = known(cache, {b"a": File(b"2"), b"b": File(b"3"), b"c": {b"d": File(b"4")}})
    path = tmp_path / "data"
    for name in ("b", "c"):
        materialise_tree(cache, old, path)
        if kind == "folder" and name == "b":
            write({b"mine": File(b"precious")}, path / name)
        elif kind == "link":
            (path / name).symlink_to("a")
        else:
            (path / name).write_bytes(b"precious")
        before = read(path)
        with pytest.raises(UnsavedChanges, match=f"would be lost \\({name}\\)"):
            update_tree(cache, old, new, path)
        assert read(path) == before
        update_tree(cache, old, new, path, force=True)
        assert read(path) == {b"a": File(b"2"), b"b": File(b"3"), b"c": {b"d": File(b"4")}}
        update_tree(cache, new, old, path)
        path.joinpath("a").unlink()
        path.rmdir()


def test_a_link_to_a_folder_elsewhere_is_not_walked_through(cache: Cache, tmp_path: Path) -> None:
    """A stranger's link stands where the new tree has a directory: nothing may be written beyond it."""
    old, new = known(cache, {b"a": File(b"1")}), known(cache, {b"a": File(b"1"), b"sub": {b"x": File(b"2")}})
    outside = tmp_path / "outside"
    outside.mkdir()
    materialise_tree(cache, old, tmp_path / "data")
    (tmp_path / "data/sub").symlink_to(outside)
    with pytest.raises(UnsavedChanges):
        update_tree(cache, old, new, tmp_path / "data")
    assert list(outside.iterdir()) == []
    update_tree(cache, old, new, tmp_path / "data", force=True)
    assert list(outside.iterdir()) == []
    assert read(tmp_path / "data/sub") == {b"x": File(b"2")}


def test_a_missing_object_changes_nothing(cache: Cache, tmp_path: Path) -> None:
    old, new = known(cache, {b"a": File(b"1"), b"b": File(b"2")}), known(cache, {b"a": File(b"3")})
    with Cache.open(tmp_path / "partial") as partial:
        with partial.intake() as intake:
            for root in (old, new):
                for digest, kind in cache.reachable([(root, ObjectKind.TREE)]).items():
                    if digest != blob_digest(b"3"):
                        intake.add(kind, cache.read(digest))
            intake.publish([ref_to(old), ref_to(new)], partial=True)
        materialise_tree(partial, old, tmp_path / "data")
        before = read(tmp_path / "data")
        with pytest.raises(ObjectNotFound):
            update_tree(partial, old, new, tmp_path / "data")
        assert read(tmp_path / "data") == before
        assert sorted(item.name for item in tmp_path.iterdir()) == ["cache", "data", "partial"]


def test_an_interruption_is_completed_by_the_next_run(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = known(cache, {b"%d" % at: File(b"old %d" % at) for at in range(10)})
    new = known(cache, {b"%d" % at: File(b"new %d" % at) for at in range(10)})
    path = tmp_path / "data"
    materialise_tree(cache, old, path)
    real = os.replace
    times = iter(range(100))

    def failing(source: bytes, target: bytes) -> None:
        if next(times) == 5:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(KeyboardInterrupt):
        update_tree(cache, old, new, path)
    monkeypatch.undo()
    contents = {item.read_bytes().split()[0] for item in path.iterdir()}
    assert contents == {b"old", b"new"}
    assert sorted(item.name for item in tmp_path.iterdir()) == ["cache", "data"]
    update_tree(cache, store(cache, path), new, path)
    assert store(cache, path) == new
