"""DATASET@DIGEST is one of the versions that 'hitsave log' lists: of the cache, of git, or of the remote."""

from __future__ import annotations

import pytest

from tests.cli.test_diff import cloned, commit
from tests.cli.test_log import told
from tests.cli.world import User, World, git


@pytest.fixture
def versions(ann: User) -> list[str]:
    """The digests of two versions of `data`, both committed, and of `tool`, a file; of each the first one is older."""
    ann.write({"tool": b"#!/bin/sh\n"}, "")
    (ann.workspace / "tool").chmod(0o755)
    found = [ann.add(), ann.add("tool")]
    commit(ann, "first")
    ann.write({"a.txt": b"changed"})
    ann.write({"tool": b"no tool"}, "")
    (ann.workspace / "tool").chmod(0o644)
    found += [ann.add(), ann.add("tool")]
    commit(ann, "second")
    return [*found[::2], *found[1::2]]


def none_begins(word: str, dataset: str = "data") -> str:
    return f"hitsave: {word}: no version of {dataset} begins so; 'hitsave log {dataset}' lists them"


def test_a_version_that_git_alone_names(ann: User, versions: list[str]) -> None:
    old, _, tool, _ = versions
    ann.do("forget", f"data@{old[:7]}", f"tool@{tool[:7]}")
    assert ann.do("cat", f"data@{old[:12]}:a.txt").out == b"first\n"
    ann.do("checkout", f"data@{old[:12]}", f"tool@{tool}")
    assert (ann.data / "a.txt").read_bytes() == b"first\n"
    assert (ann.workspace / "tool").stat().st_mode & 0o100
    assert git(ann.workspace, "diff", "HEAD~1", "--", "data.hitsave", "tool.hitsave") == ""


def test_a_version_that_the_remote_alone_has(world: World, ann: User, versions: list[str]) -> None:
    ann.do("remote", "add", "origin", world.remote)
    ann.write({"a.txt": b"never committed"})
    never = ann.add()
    ann.do("push")
    ben = cloned(world, ann)
    ben.do("checkout", f"data@{never[:10]}")
    assert (ben.data / "a.txt").read_bytes() == b"never committed"
    assert {each["digest"] for each in told(ben, "data")} == {never, *versions[:2]}
    tool = versions[2]
    assert none_begins(f"data@{tool[:9]}") in ben.refused("checkout", f"data@{tool[:9]}")


def test_where_none_begins_so_the_answer_says_what_lists_them(world: World, ann: User, versions: list[str]) -> None:
    ann.do("remote", "add", "origin", world.remote)
    ann.do("push")
    assert ann.refused("checkout", "data@0000000") == none_begins("data@0000000")
    assert ann.refused("cat", "data@0000000:a.txt") == none_begins("data@0000000")
    assert ann.refused("ls", "data.hitsave@0000000") == none_begins("data@0000000")
    assert ann.refused("checkout", f"tool@{versions[0]}") == none_begins(f"tool@{versions[0]}", "tool")
    assert "there is no such dataset" in ann.refused("checkout", "none@0000000")


def test_a_clone_without_a_remote_says_so(world: World, ann: User, versions: list[str]) -> None:
    ben = cloned(world, ann)
    ben.do("remote", "remove", "origin")
    assert ben.refused("checkout", f"data@{versions[0][:9]}").startswith("hitsave: no remote is set; ")
    assert "begins so, and no remote was asked; " in ben.refused("checkout", "data@0000000")


def test_versions_are_of_whole_datasets(ann: User, versions: list[str]) -> None:
    old = versions[0][:9]
    for command in ("checkout", "ls"):
        said = ann.refused(command, f"data/sub@{old}")
        assert said.startswith(f"hitsave: data/sub@{old}: versions are of whole datasets; data@{old}:sub names "), said
        assert f"'hitsave checkout --include /sub data@{old}'" in said
    assert f"{old}:sub names" in ann.refused("ls", f"sub@{old}", folder=ann.data)
    ann.do("checkout", "--include", "/sub", f"data@{old}")
    assert ann.refused("checkout", f"data/none@{old}") == "hitsave: data has no none"


def test_a_file_of_a_dataset_may_be_called_like_a_version(ann: User) -> None:
    ann.write({"sub@1234567": b"mine"})
    ann.add()
    (ann.data / "sub@1234567").unlink()
    ann.do("checkout", "data/sub@1234567")
    assert (ann.data / "sub@1234567").read_bytes() == b"mine"
    assert ann.do("cat", "data/sub@1234567").out == b"mine"
