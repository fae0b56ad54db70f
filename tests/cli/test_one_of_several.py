"""What is wrong with one dataset holds up no other where several are looked at."""

from __future__ import annotations

import os

import pytest

from tests.cli.test_diff import commit
from tests.cli.world import User, World, git


@pytest.fixture
def three(ann: User) -> User:
    """One dataset that is changed, one with a FIFO, and one whose pointer file is in conflict."""
    ann.write({"x": b"x"}, "conflicting")
    ann.write({"x": b"x"}, "odd")
    for path in ("data", "conflicting", "odd"):
        ann.add(path)
    commit(ann, "first")
    git(ann.workspace, "checkout", "-q", "-b", "other")
    for branch, content in (("other", b"theirs"), ("-", b"ours")):
        git(ann.workspace, "checkout", "-q", branch) if branch == "-" else None
        ann.write({"x": content}, "conflicting")
        ann.add("conflicting")
        commit(ann, branch)
    with pytest.raises(Exception, match="git"):
        git(ann.workspace, "merge", "other")
    ann.write({"a.txt": b"changed"})
    os.mkfifo(ann.workspace / "odd/pipe")
    return ann


def test_status(three: User) -> None:
    done = three.run("status")
    assert done.code == 1
    assert [line.split()[:2] for line in done.lines if not line.startswith(" ")] == [
        ["modified", "data"],
        ["conflict", "conflicting"],
        ["error", "odd"],
    ]
    assert "odd/pipe: a FIFO cannot be kept" in done.said
    assert "hitsave resolve" in done.said
    told = three.run("status", "--json").json
    assert [each["state"] for each in told] == ["modified", "conflict", "error"]
    assert "FIFO" in told[2]["error"]
    alone = three.run("status", "conflicting")
    assert (alone.code, alone.lines) == (1, ["conflict  conflicting"])


def test_diff(three: User) -> None:
    done = three.run("diff")
    assert (done.code, done.lines) == (1, ["changed  data/a.txt"])
    assert "odd/pipe: a FIFO cannot be kept" in done.said
    assert "hitsave resolve" in done.said
    told = three.run("diff", "--json").json
    assert len([each for each in told if each["error"]]) == 2
    assert three.run("diff", "HEAD").lines == ["changed  data/a.txt"]


def test_files_of_another_version_are_told_from_changes(ann: User) -> None:
    first = ann.add()
    commit(ann, "first")
    ann.write({"a.txt": b"second\n"})
    ann.add()
    git(ann.workspace, "stash", "-q")
    done = ann.do("status").lines
    assert done[0].startswith("modified  data")
    held = str(ann.do("hash-object", "data").text.strip())
    assert done[1:] == [
        f"    holds version {held[:12]}; 'hitsave checkout data' makes it the one of the pointer file",
        "    changed  data/a.txt",
    ]
    assert ann.state()["holds"] == held
    ann.do("checkout", "data")
    assert ann.state()["holds"] is None
    assert ann.state()["digest"] == first
    ann.write({"a.txt": b"mine\n"})
    assert ann.state()["holds"] is None


def test_where_there_is_no_dataset_that_is_said(world: World) -> None:
    user = world.user()
    for command in ("status", "log", "checkout"):
        done = user.do(command)
        assert (done.out, done.said) == (b"", "no datasets here; 'hitsave add PATH' makes one\n"), command
    assert user.do("log", "--json").json == []
    assert user.do("checkout", "--json").json == {"checked_out": [], "failed": {}}
