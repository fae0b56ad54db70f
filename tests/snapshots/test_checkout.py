"""Checking out never loses what is kept nowhere else, whatever stands there."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitsave.cache.files import remove_tree
from hitsave.cache.store import Cache
from hitsave.errors import ObjectNotFound, UnsavedChanges
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.refs import Ref, RefName
from hitsave.progress import Silent
from hitsave.snapshots.adding import add
from hitsave.snapshots.capture import Captured
from hitsave.snapshots.checkout import Checkout
from hitsave.snapshots.diff import ChangeKind
from hitsave.snapshots.pointer import Pointer, load_pointer, pointer_path, save_pointer
from hitsave.snapshots.status import State, status
from hitsave.snapshots.workspace import Workspace
from tests.snapshots.folders import File, Folder, Link, folders, read, store, write

modest = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


class Notes(Silent):
    """Remembers what was noted."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Remembered."""
        self.notes.append(text)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "project").mkdir()
    return Workspace(tmp_path / "project", "project")


def added(cache: Cache, workspace: Workspace, path: Path, symlinks: str = "store") -> Digest:
    """Add a dataset."""

    def ref_of(name: RefName, captured: Captured) -> Ref:
        return Ref(name, captured.digest, captured.kind)

    return add(cache, workspace, path, symlinks=symlinks, make_ref=ref_of, load=cache.read, progress=Silent()).digest


@modest
@given(folders, folders, st.booleans())
def test_what_was_not_saved_is_refused_or_kept(cache: Cache, saved: Folder, unsaved: Folder, force: bool) -> None:
    with tempfile.TemporaryDirectory() as above:
        workspace = Workspace(Path(above), "project")
        path = workspace.root / "data"
        write(saved, path)
        digest = added(cache, workspace, path)
        remove_tree(str(path))
        write(unsaved, path)
        notes = Notes()
        try:
            Checkout(cache, workspace, "store", force=force, progress=notes).run(path)
        except UnsavedChanges:
            assert not force
            assert read(path) == unsaved
            return
        assert read(path) == saved
        again = workspace.root / "again"
        write(unsaved, again)
        with Cache.open(Path(above, "empty")) as other:
            kept = store(other, again)
        assert cache.missing(cache.reachable([(kept, ObjectKind.TREE)])) == set()
        assert load_pointer(pointer_path(path)).digest == digest


def test_the_pointer_alone_decides(cache: Cache, workspace: Workspace) -> None:
    path = workspace.root / "data"
    versions: list[tuple[Folder, Pointer]] = []
    contents: list[Folder] = [
        {b"a": File(b"1")},
        {b"a": File(b"2"), b"b": {b"c": File(b"3")}},
        {},
        {b"a": {b"a": File(b"4", executable=True)}, b"l": Link(b"a/a")},
    ]
    for folder in contents:
        remove_tree(str(path))
        write(folder, path)
        added(cache, workspace, path)
        versions.append((folder, load_pointer(pointer_path(path))))
    for folder, pointer in [*versions, *reversed(versions)]:
        save_pointer(pointer_path(path), pointer)
        Checkout(cache, workspace, "store").run(path)
        assert read(path) == folder
        (told,) = status(cache, workspace, [path], "store", Silent())
        assert (told.state, told.changes, told.in_cache) == (State.CLEAN, (), True)


def test_from_a_file_to_a_directory_and_back(cache: Cache, workspace: Workspace) -> None:
    path = workspace.root / "thing"
    path.write_bytes(b"a file")
    path.chmod(0o755)
    added(cache, workspace, path)
    as_file = load_pointer(pointer_path(path))
    path.unlink()
    write({b"x": File(b"1")}, path)
    added(cache, workspace, path)
    as_folder = load_pointer(pointer_path(path))
    for _ in range(2):
        save_pointer(pointer_path(path), as_file)
        done = Checkout(cache, workspace).run(path)
        assert path.read_bytes() == b"a file"
        assert path.stat().st_mode & 0o100
        assert done.written == 1
        save_pointer(pointer_path(path), as_folder)
        Checkout(cache, workspace).run(path)
        assert read(path) == {b"x": File(b"1")}


def test_what_is_at_rest_is_kept_too(cache: Cache, workspace: Workspace) -> None:
    """The stat cache knows the digest of a changed file as soon as somebody has asked for the status."""
    path = workspace.root / "data"
    write({b"a": File(b"1")}, path)
    added(cache, workspace, path)
    (path / "a").write_bytes(b"precious")
    time.sleep(0.06)
    (told,) = status(cache, workspace, [path], "ignore", Silent())
    assert told.state is State.MODIFIED
    notes = Notes()
    Checkout(cache, workspace, force=True, progress=notes).run(path)
    (note,) = notes.notes
    (kept,) = cache.complete(note.split("kept as ")[1].split()[0])
    (blob,) = [digest for digest, kind in cache.reachable([(kept, ObjectKind.TREE)]).items() if kind is ObjectKind.BLOB]
    assert cache.read(blob) == b"precious"


def test_a_version_that_is_not_here_changes_nothing(cache: Cache, workspace: Workspace) -> None:
    path = workspace.root / "data"
    write({b"a": File(b"1")}, path)
    added(cache, workspace, path)
    save_pointer(pointer_path(path), Pointer(Digest(b"\1" * 32), ObjectKind.TREE, 1, 1))
    for force in (False, True):
        with pytest.raises(ObjectNotFound):
            Checkout(cache, workspace, force=force).run(path)
        assert read(path) == {b"a": File(b"1")}
        assert sorted(item.name for item in workspace.root.iterdir()) == ["data", "data.hitsave"]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_files_that_no_capture_sees_are_not_lost_to_a_new_kind(cache: Cache, workspace: Workspace, kind: str) -> None:
    """Within a directory that becomes a file, ignored files and links stand in the way."""
    path = workspace.root / "data"
    inner: Folder = {b"x": File(b"1")}
    write({b"d": inner, b".hitsaveignore": File(b"*.log\n")}, path)
    added(cache, workspace, path, "ignore")
    remove_tree(str(path))
    write({b"d": File(b"a file"), b".hitsaveignore": File(b"*.log\n")}, path)
    added(cache, workspace, path, "ignore")
    as_file = load_pointer(pointer_path(path))
    remove_tree(str(path))
    stranger: Folder = {b"run.log": File(b"precious")} if kind == "file" else {b"s.log": {b"t": File(b"precious")}}
    write({b"d": {**inner, **stranger}, b".hitsaveignore": File(b"*.log\n")}, path)
    save_pointer(pointer_path(path), as_file)
    before = read(path)
    with pytest.raises(UnsavedChanges, match=r"d/(run|s)\.log"):
        Checkout(cache, workspace, "ignore").run(path)
    assert read(path) == before


def emptied(path: Path) -> None:
    """Remove the files of a directory, and leave the directories."""
    for inner in path.rglob("*"):
        if not inner.is_dir():
            inner.unlink()


@pytest.mark.parametrize("place", ["c/d", "c", ""])
def test_files_that_were_removed_come_back_into_their_directories(
    cache: Cache, workspace: Workspace, place: str
) -> None:
    path = workspace.root / "data"
    folder: Folder = {b"a": File(b"1"), b"c": {b"x": File(b"2"), b"d": {b"y": File(b"3")}}}
    write(folder, path)
    added(cache, workspace, path)
    emptied(path / place)
    (told,) = status(cache, workspace, [path], "ignore", Silent())
    assert {change.kind for change in told.changes} == {ChangeKind.REMOVED}
    Checkout(cache, workspace).run(path)
    assert read(path) == folder


def test_what_is_hollow_is_not_unsaved(cache: Cache, workspace: Workspace) -> None:
    """Directories that nobody has saved, also in the place of a file, where there is no file around them."""
    path = workspace.root / "data"
    folder: Folder = {b"a": File(b"1"), b"c": {b"x": File(b"2"), b"d": {b"y": File(b"3")}}}
    write(folder, path)
    added(cache, workspace, path)
    emptied(path / "c")
    (path / "c/x/new").mkdir(parents=True)
    Checkout(cache, workspace).run(path)
    assert read(path) == folder


@pytest.mark.parametrize("inner", ["new", "c/new", "a"])
def test_a_new_directory_beside_files_is_unsaved(cache: Cache, workspace: Workspace, inner: str) -> None:
    path = workspace.root / "data"
    write({b"a": File(b"1"), b"b": File(b"2"), b"c": {b"x": File(b"3")}}, path)
    added(cache, workspace, path)
    (path / "a").unlink()
    (path / inner).mkdir()
    before = read(path)
    with pytest.raises(UnsavedChanges, match=rf"would be lost \({inner}\)"):
        Checkout(cache, workspace).run(path)
    assert read(path) == before


def test_what_no_capture_sees_stays_in_a_directory_without_files(cache: Cache, workspace: Workspace) -> None:
    path = workspace.root / "data"
    rules = File(b"*.log\n")
    write({b".hitsaveignore": rules, b"c": {b"x": File(b"2")}}, path)
    added(cache, workspace, path)
    (path / "c/x").unlink()
    (path / "c/x").mkdir()
    (path / "c/x/run.log").write_bytes(b"precious")
    with pytest.raises(UnsavedChanges, match=r"c/x/run\.log"):
        Checkout(cache, workspace).run(path)
    (path / "c/x").rename(path / "c/y")
    Checkout(cache, workspace).run(path)
    assert read(path) == {
        b".hitsaveignore": File(b"*.log\n"),
        b"c": {b"x": File(b"2"), b"y": {b"run.log": File(b"precious")}},
    }
