"""Which paths of a workspace are datasets, and what they are called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hitsave.errors import WorkspaceError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.snapshots.pointer import Pointer, pointer_path, save_pointer, target_path
from hitsave.snapshots.workspace import Workspace, find_pointers

DIGEST = Digest(bytes(range(32)))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "project").mkdir()
    return Workspace(tmp_path / "project", "cats")


def pointed(workspace: Workspace, *names: str) -> list[Path]:
    """Make pointer files; the datasets that they are about."""
    paths = [workspace.root / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_pointer(pointer_path(path), Pointer(DIGEST, ObjectKind.TREE, 0, 0))
    return paths


def test_every_dataset_of_a_workspace(workspace: Workspace) -> None:
    expected = pointed(workspace, "data", "sub/one", "sub/two.csv", "sub/deep/er/three", ".hidden/four")
    assert sorted(workspace.datasets([])) == sorted(expected)
    assert workspace.datasets([workspace.root / "sub"]) == sorted(expected[1:4])
    assert workspace.datasets([expected[1], pointer_path(expected[1])]) == [expected[1]]
    assert workspace.datasets([expected[0], workspace.root]) == [expected[0], *sorted(set(expected) - {expected[0]})]


def test_what_lies_in_datasets_and_in_tools_folders_is_passed_over(workspace: Workspace) -> None:
    (data,) = pointed(workspace, "data")
    pointed(workspace, "data/inner", ".git/x", ".venv/y", "node_modules/z", "a/__pycache__/w")
    assert workspace.datasets([]) == [data]
    assert [target_path(path) for path in find_pointers(workspace.root)] == [data]


def test_names_that_are_no_pointer_files(workspace: Workspace) -> None:
    (workspace.root / ".hitsave").write_text("x")
    (workspace.root / "folder.hitsave").mkdir()
    (workspace.root / "data.hitsave.txt").write_text("x")
    assert workspace.datasets([]) == []


def test_links_to_folders_are_not_walked_through(workspace: Workspace, tmp_path: Path) -> None:
    (data,) = pointed(workspace, "data")
    (workspace.root / "loop").symlink_to(".")
    outside = Workspace(tmp_path / "other", "dogs")
    pointed(outside, "theirs")
    (workspace.root / "out").symlink_to(outside.root)
    assert workspace.datasets([]) == [data]


@pytest.mark.parametrize("path", ["nothing", "bare", "/", "..", "../other", "data/inner"])
def test_paths_that_stand_for_nothing(workspace: Workspace, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pointed(workspace, "data")
    (workspace.root / "bare").mkdir()
    monkeypatch.chdir(workspace.root)
    with pytest.raises(WorkspaceError):
        workspace.datasets([Path(path)])


def test_paths_within(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(workspace.root)
    assert workspace.relative(Path("a/../b")) == b"b"
    assert workspace.relative(workspace.root / "a/b") == b"a/b"
    assert workspace.relative(Path(os.fsdecode(b"\xff\n"))) == b"\xff\n"
    (tmp_path / "link").symlink_to(workspace.root)
    assert workspace.relative(tmp_path / "link/a") == b"a"
    (workspace.root / "away").symlink_to(tmp_path)
    assert workspace.relative(workspace.root / "away") == b"away"
    with pytest.raises(WorkspaceError, match="lies outside of the workspace"):
        workspace.relative(tmp_path / "elsewhere")


def test_the_dataset_that_a_path_lies_in(workspace: Workspace) -> None:
    data, deep = pointed(workspace, "data", "sub/deep")
    assert workspace.dataset_above(data / "x/y") == data
    assert workspace.dataset_above(deep / "x") == deep
    for path in (data, workspace.root, workspace.root / "sub", workspace.root / "other/x", Path("/"), Path("/etc/x")):
        assert workspace.dataset_above(path) is None


@pytest.mark.parametrize(
    ("project", "path", "name"),
    [
        ("cats", "data", "datasets/cats/data"),
        ("a/b", "x/y", "datasets/a%2Fb/x/y"),
        ("größe", "sp ace", "datasets/gr%C3%B6%C3%9Fe/sp%20ace"),
        ("50%", "at@home", "datasets/50%25/at@home"),
    ],
)
def test_refs_of_datasets(tmp_path: Path, project: str, path: str, name: str) -> None:
    workspace = Workspace(tmp_path, project)
    assert str(workspace.dataset_ref(tmp_path / path, DIGEST)) == f"{name}@{DIGEST}"


def test_whether_it_is_in_git(workspace: Workspace, tmp_path: Path) -> None:
    inner = Workspace(workspace.root / "inner", "x")
    inner.root.mkdir()
    assert not inner.in_git
    (workspace.root / ".git").mkdir()
    assert inner.in_git
    assert workspace.in_git


def test_folders_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    errors: list[OSError] = []
    assert list(find_pointers(tmp_path / "gone", errors.append)) == []
    assert [type(error) for error in errors] == [FileNotFoundError]
    with pytest.raises(FileNotFoundError):
        list(find_pointers(tmp_path / "gone"))
