"""The versions of a dataset, from refs and from git, and how much changed between them."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from tests.cli.test_diff import cloned, commit
from tests.cli.world import User, World, git


def told(user: User, *arguments: str) -> list[dict[str, Any]]:
    """The versions of the one dataset that is asked for."""
    (dataset,) = user.do("log", "--json", *arguments).json
    return list(dataset["versions"])


@pytest.fixture
def history(world: World) -> tuple[User, list[str], list[str]]:
    """A dataset of three versions, all committed; the digests and the commits, the newest first."""
    ann = world.user()
    digests, commits = [], []
    for files, message in (
        ({"a": b"first\n", "gone": b"gone\n"}, "first"),
        ({"a": b"second\n", "sub/b": b"b"}, "second"),
        ({"sub/c": b"cc"}, "third"),
    ):
        ann.write(files)
        if message == "second":
            (ann.data / "gone").unlink()
        digests.insert(0, ann.add())
        commits.insert(0, commit(ann, message))
    return ann, digests, commits


CHANGES = [
    {"added": {"files": 1, "size": 2}, "removed": {"files": 0, "size": 0}, "changed": {"files": 0, "size": 0}},
    {"added": {"files": 1, "size": 1}, "removed": {"files": 1, "size": 5}, "changed": {"files": 1, "size": 7}},
    {"added": {"files": 2, "size": 11}, "removed": {"files": 0, "size": 0}, "changed": {"files": 0, "size": 0}},
]


def by_digest(versions: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {version["digest"]: version for version in versions}


def test_where_versions_come_from_and_what_changed(history: tuple[User, list[str], list[str]]) -> None:
    ann, digests, commits = history
    versions = told(ann)
    assert [version["digest"] for version in versions] == digests
    assert [version["changed"] for version in versions] == CHANGES
    assert [[item["commit"] for item in version["commits"]] for version in versions] == [[name] for name in commits]
    assert [version["added_at_commit"] for version in versions] == [commits[1], commits[2], ""]
    assert [version["current"] for version in versions] == [True, False, False]
    assert all(version["by"].count("@") == 1 and version["owned"] for version in versions)
    lines = ann.do("log").lines
    assert lines[0].startswith(f"* {digests[0][:12]}  2")
    assert lines[0].endswith("  3 files, 10 B")
    assert lines[1] == "      1 added (2 B)"
    assert lines[2] == f"      git {commits[0][:12]} third"
    assert lines[4] == "      1 added (1 B), 1 removed (5 B), 1 changed (7 B)"
    assert ann.do("log", "-n", "1", "data.hitsave").lines == lines[:3]


def test_a_version_that_came_back_is_listed_once(history: tuple[User, list[str], list[str]]) -> None:
    ann, digests, commits = history
    git(ann.workspace, "revert", "--no-edit", "HEAD")
    again = git(ann.workspace, "rev-parse", "HEAD").strip()
    ann.do("checkout")
    versions = by_digest(told(ann, "data"))
    assert len(versions) == 3
    assert [item["commit"] for item in versions[digests[1]]["commits"]] == [again, commits[1]]
    assert versions[digests[1]]["current"] is True


def test_another_machine_sees_the_same_without_any_file(
    world: World, history: tuple[User, list[str], list[str]]
) -> None:
    ann, digests, _ = history
    ann.do("remote", "add", "origin", world.remote)
    ann.do("push")
    ben = cloned(world, ann)
    versions = told(ben)
    assert [version["digest"] for version in versions] == digests
    assert [version["changed"] for version in versions] == CHANGES
    assert all(version["owned"] for version in versions)
    assert ben.do("show-ref").out == b""
    shutil.rmtree(world.remote)
    world.remote.touch()
    done = ben.do("log")
    assert "the remote was not asked" in done.said
    assert done.text.count("what changed is not known") == 3
    assert done.text.count("git ") == 3


def test_versions_that_git_does_not_know(world: World) -> None:
    ann = world.user(git=False)
    ann.write({"a": b"1"})
    first = ann.add()
    ann.write({"a": b"22"})
    second = ann.add()
    versions = by_digest(told(ann))
    assert set(versions) == {first, second}
    assert versions[second]["commits"] == []
    (ann.workspace / "data.hitsave").unlink()
    assert {version["current"] for version in told(ann, "data")} == {False}
    assert "no version of it is here" in ann.refused("log", "nothing")


def test_a_file_that_became_a_directory(world: World) -> None:
    ann = world.user()
    for content in (b"weights", b"heavier"):
        ann.write({"model": content}, "")
        ann.add("model")
        commit(ann, "file")
    (ann.workspace / "model").unlink()
    ann.write({"part": b"1"}, "model")
    ann.add("model")
    commit(ann, "directory")
    assert [
        [(what, row["files"], row["size"]) for what, row in version["changed"].items() if row["files"]]
        for version in told(ann, "model")
    ] == [[("added", 1, 1), ("removed", 1, 7)], [("changed", 1, 7)], [("added", 1, 7)]]


def test_a_damaged_pointer_file_hides_no_version(world: World, history: tuple[User, list[str], list[str]]) -> None:
    ann, digests, commits = history
    place = ann.workspace / "data.hitsave"
    good = place.read_text()
    place.write_text(good.replace("digest ", "digest x"))
    done = ann.run("log")
    assert done.code == 1
    assert [line.split()[0] for line in done.lines if not line.startswith("   ")] == [each[:12] for each in digests]
    assert "data.hitsave: line 2: " in done.said
    told = ann.run("log", "--json")
    assert told.code == 1
    assert [version["digest"] for version in told.json[0]["versions"]] == digests
    assert "line 2" in told.json[0]["error"]

    bad = commit(ann, "damaged")
    place.write_text(good)
    ann.write({"own": b"1"}, "other")
    ann.add("other")
    done = ann.do("log", "data")
    assert done.lines[0].startswith(f"* {digests[0][:12]}")
    assert done.text.count("git ") == 3
    assert f"git {bad[:12]} damaged: data.hitsave: line 2: " in done.said
    assert ann.do("log", "--json", "data").json[0]["error"] is None
    assert len(ann.do("log", "other").lines) == 2
    assert commits
