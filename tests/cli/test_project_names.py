"""A project's name follows its folder and repository; what was owned under the former one is the project's still."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.world import User, World, git


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def ann(world: World) -> User:
    ann = world.user(remote=True)
    for number in range(2):
        ann.write({"a": b"%d" % number})
        ann.add()
    return ann


def refs(user: User) -> list[str]:
    return [line.split()[-1].partition("@")[0] for line in user.do("show-ref").lines]


def test_a_repository_that_gets_an_origin_has_its_versions_still(world: World, ann: User) -> None:
    git(ann.workspace, "remote", "add", "origin", "git@example.org:team/cats.git")
    pushed = ann.do("push")
    assert "called project and is cats now: 2 refs renamed" in pushed.said
    assert "2 refs made, to origin (" in pushed.said
    assert ann.state()["pushed"] is True
    assert refs(ann) == ["datasets/cats/data"] * 2
    assert len(ann.do("log", "data", "--json").json[0]["versions"]) == 2
    assert len(ann.do("du", "data", "--json").json) > 0
    ben = world.clone(ann)
    git(ben.workspace, "remote", "add", "origin", "git@example.org:team/cats.git")
    assert ben.do("pull").code == 0
    assert len(ben.do("log", "data", "--json").json[0]["versions"]) == 2


def test_a_folder_that_is_moved_and_back(world: World, ann: User) -> None:
    moved = User(ann.workspace.with_name("other"), ann.cache, ann.config)
    ann.workspace.rename(moved.workspace)
    assert "2 refs made" in moved.do("push").said
    assert refs(moved) == ["datasets/other/data"] * 2
    moved.workspace.rename(ann.workspace)
    assert "2 refs made" in ann.do("push").said
    assert refs(ann) == ["datasets/project/data"] * 2


def test_the_next_version_follows_those_of_the_former_name(ann: User) -> None:
    ann.do("config", "set", "project", "cats")
    ann.write({"a": b"2"})
    ann.add()
    assert refs(ann) == ["datasets/cats/data"] * 3


def test_what_was_forgotten_comes_back_under_the_new_name(ann: User) -> None:
    old = ann.do("show-ref").lines[0].split()[-1]
    ann.do("forget", old)
    ann.do("config", "set", "project", "cats")
    ann.do("undo")
    assert refs(ann) == ["datasets/cats/data"] * 2


def test_snapshots_and_parts_follow(world: World, ann: User) -> None:
    ann.write({"x/1": b"1", "y/2": b"2"}, "both")
    ann.do("add", "both")
    ann.do("push")
    ben = world.clone(ann)
    ben.do("pull", "--include", "x/**", "both")
    (ben.workspace / "note").write_bytes(b"note")
    ben.do("snapshot", "note")
    ben.do("config", "set", "project", "cats")
    assert "1 file not pulled" in ben.do("status", "both").text
    assert "1 ref made" in ben.do("push").said


def test_another_clone_goes_on_with_the_former_name(ann: User) -> None:
    other = User(ann.workspace.parent / "copy" / "project", ann.cache, ann.config)
    shutil.copytree(ann.workspace, other.workspace)
    other.do("status")
    git(ann.workspace, "remote", "add", "origin", "git@example.org:team/cats.git")
    ann.write({"secret": b"secret"}, "mine")
    assert "is cats now: 2 refs copied, since another folder goes by the former name" in ann.do("status").said
    assert refs(ann) == ["datasets/cats/data"] * 2 + ["datasets/project/data"] * 2
    assert "2 refs made" in other.do("push").said


def test_another_project_in_the_place_of_one_that_was_deleted_takes_nothing(world: World, ann: User) -> None:
    ann.do("snapshot", "data/a")
    shutil.rmtree(ann.workspace)
    # Until the old folder's number cannot be the new one's.
    (ann.workspace.parent / "in its place").mkdir()
    ann.workspace.mkdir()
    (ann.workspace / "hitsave.toml").write_text(f'project = "dogs"\n[remotes]\norigin = "{world.remote}"\n')
    ann.write({"a": b"dog"})
    ann.add()
    assert "1 ref made" in ann.do("push").said
    assert sorted(refs(ann)) == ["datasets/dogs/data", *["datasets/project/data"] * 2, refs(ann)[-1]]


def test_push_sends_what_a_pointer_file_names_though_no_ref_does(world: World, ann: User) -> None:
    for line in ann.do("show-ref").lines:
        ann.do("forget", line.split()[-1])
    pushed = ann.do("push")
    assert "1 ref made" in pushed.said
    assert ann.state()["pushed"] is True
    assert ann.do("push").said == f"everything is there already; nothing was sent to origin ({world.remote})\n"


def test_push_says_what_is_neither_here_nor_there(world: World, ann: User) -> None:
    ben = world.clone(ann)
    assert "data: what its pointer file names is neither wholly here nor in origin" in ben.refused("push")


def test_work_trees_are_of_one_project(world: World) -> None:
    """Beside the repository or elsewhere, with a remote of git's or without."""
    ann = world.user()
    ann.write({"a": b"a"})
    ann.add()
    git(ann.workspace, "add", "-A")
    git(ann.workspace, "commit", "-qm", "data")
    tree = world.root / "beside"
    git(ann.workspace, "worktree", "add", "-q", str(tree))

    def names() -> set[str]:
        return {ann.do("config", "get", "project", folder=folder).text.strip() for folder in (ann.workspace, tree)}

    assert names() == {"project"}
    git(ann.workspace, "remote", "add", "origin", "git@example.org:team/cats.git")
    assert names() == {"cats"}
    git(ann.workspace, "config", "remote.origin.url", ".")
    assert names() == {"project"}
    ann.do("checkout", folder=tree)
    assert (tree / "data/a").read_bytes() == b"a"
