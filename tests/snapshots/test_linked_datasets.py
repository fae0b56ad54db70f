"""Datasets that are links to other places: what they lead to is made to match, and they stay links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hitsave.cache.store import Cache
from hitsave.errors import SnapshotError, UnsavedChanges, WorkspaceError
from hitsave.objects.digest import ObjectKind, blob_digest
from hitsave.progress import Silent
from hitsave.snapshots.checkout import Checkout
from hitsave.snapshots.partial import include_globs
from hitsave.snapshots.pointer import Pointer, pointer_path, save_pointer
from hitsave.snapshots.samepart import same_part
from hitsave.snapshots.status import status
from hitsave.snapshots.workspace import Workspace
from tests.snapshots.folders import File, Folder, read, store, write

OLD: Folder = {b"a": File(b"1"), b"c": {b"x": File(b"2")}}
NEW: Folder = {b"a": File(b"3"), b"c": {b"y": File(b"4")}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the dataset is to be, in a workspace of its own."""
    (tmp_path / "project").mkdir()
    (tmp_path / "disk").mkdir()
    return tmp_path / "project/data"


@pytest.fixture
def away(path: Path) -> Path:
    """Where it lies: a link leads there, by way of another one."""
    away = path.parent.parent / "disk/data"
    other = path.with_name("other")
    other.symlink_to("../disk/data")
    path.symlink_to("other")
    return away


def name(cache: Cache, path: Path, content: Folder | bytes) -> None:
    """Make the pointer file name a directory, or a file, that is in the cache."""
    made = path.parent.parent / "made"
    write(content if not isinstance(content, bytes) else {b"f": File(content)}, made)
    tree = store(cache, made)
    os.rename(made, path.parent.parent / f"made-{os.urandom(4).hex()}")
    digest, kind = (blob_digest(content), ObjectKind.BLOB) if isinstance(content, bytes) else (tree, ObjectKind.TREE)
    save_pointer(pointer_path(path), Pointer(digest, kind, 1, 1))


def check_out(cache: Cache, path: Path, **how: bool) -> None:
    """Check it out; what leads there is as it was."""
    Checkout(cache, Workspace(path.parent, "project"), **how).run(path)
    assert os.readlink(path) == "other"
    assert os.readlink(path.with_name("other")) == "../disk/data"
    assert os.listdir(path.parent.parent / "disk") == ["data"]


def test_what_a_link_leads_to_is_made_to_match(cache: Cache, path: Path, away: Path) -> None:
    name(cache, path, OLD)
    check_out(cache, path)  # It leads to nothing, in a folder that is there.
    assert read(away) == OLD
    name(cache, path, NEW)
    inode = away.stat().st_ino
    check_out(cache, path)
    assert read(away) == NEW
    assert away.stat().st_ino == inode
    name(cache, path, b"a file")
    check_out(cache, path)
    assert away.read_bytes() == b"a file"
    name(cache, path, b"another")
    check_out(cache, path)
    assert away.read_bytes() == b"another"
    name(cache, path, OLD)
    check_out(cache, path)
    assert read(away) == OLD


def test_what_is_unsaved_behind_a_link_stays(cache: Cache, path: Path, away: Path) -> None:
    name(cache, path, OLD)
    check_out(cache, path)
    name(cache, path, {**OLD, b"b": {b"z": File(b"5")}})
    (away / "a").write_bytes(b"precious")
    with pytest.raises(UnsavedChanges, match=f"{path}: .*\\(a\\)"):
        check_out(cache, path)
    (away / "a").write_bytes(b"1")
    (away / ".hitsaveignore").write_bytes(b"b\n.hitsaveignore\n")
    (away / "b").write_bytes(b"precious")
    with pytest.raises(UnsavedChanges, match=f"{path}: .*\\(b\\)"):
        check_out(cache, path)
    check_out(cache, path, force=True)
    assert (away / "b/z").read_bytes() == b"5"


def test_a_part_behind_a_link(cache: Cache, path: Path, away: Path) -> None:
    name(cache, path, {b"a": File(b"1")})  # So that it can be brought back.
    name(cache, path, OLD)
    workspace = Workspace(path.parent, "project")
    Checkout(cache, workspace, include=include_globs(["a"])).run(path)
    assert read(away) == {b"a": File(b"1")}
    name(cache, path, NEW)
    Checkout(cache, workspace, include=same_part(cache, path)).run(path)
    assert read(away) == {b"a": File(b"3")}


def test_links_that_lead_nowhere_are_named(cache: Cache, path: Path, away: Path) -> None:
    name(cache, path, OLD)
    for symlinks in ("ignore", "follow"):
        with pytest.raises(SnapshotError, match=f"data: is a symbolic link to {away}, and nothing is there"):
            status(cache, Workspace(path.parent, "project"), [path], symlinks, Silent())
    away.parent.rmdir()
    with pytest.raises(WorkspaceError, match=f"data: is a symbolic link to {away}, and there is no folder"):
        check_out(cache, path)
    path.with_name("other").unlink()
    path.with_name("other").symlink_to("data")
    with pytest.raises(WorkspaceError, match="leads back to itself"):
        check_out(cache, path)


@pytest.mark.parametrize("there", [True, False])
def test_a_link_into_the_cache_is_replaced(cache: Cache, path: Path, there: bool) -> None:
    """It is a way to check out, and what it leads to is the cache's own."""
    large = b"1" * 200_000
    name(cache, path, large)
    Checkout(cache, Workspace(path.parent, "project"), links=["symlink"]).run(path)
    cached = cache.path_of(blob_digest(large))
    assert path.readlink() == cached
    name(cache, path, b"another")
    if not there:
        path.unlink()
        path.symlink_to(cached.with_name("gone"))
    Checkout(cache, Workspace(path.parent, "project")).run(path)
    assert not path.is_symlink()
    assert path.read_bytes() == b"another"
    assert cached.read_bytes() == large


def test_the_store_of_another_tool_is_not_written_to(cache: Cache, path: Path, away: Path) -> None:
    """Such tools link to files that nobody may write to."""
    name(cache, path, b"one")
    away.write_bytes(b"one")
    away.chmod(0o444)
    name(cache, path, b"two")
    Checkout(cache, Workspace(path.parent, "project"), force=True).run(path)
    assert away.read_bytes() == b"one"
    assert path.read_bytes() == b"two"


def test_a_part_takes_the_place_of_a_file(cache: Cache, path: Path) -> None:
    name(cache, path, b"a file")
    workspace = Workspace(path.parent, "project")
    Checkout(cache, workspace).run(path)
    name(cache, path, OLD)
    Checkout(cache, workspace, include=include_globs(["a"])).run(path)
    assert read(path) == {b"a": File(b"1")}
