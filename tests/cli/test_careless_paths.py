"""Paths that name more than anybody means: empty ones, and folders that hold a git repository."""

from __future__ import annotations

import pytest

from tests.cli.test_diff import cloned, commit
from tests.cli.world import User, World


@pytest.mark.parametrize(
    "words",
    [
        ["add", ""],
        ["add", "--to", "data", ""],
        ["snapshot", ""],
        ["snapshot", "--public", "--yes", ""],
        ["snapshot", "--unpublish", ""],
        ["snapshot", "--restore", "1234567", ""],
        ["hash-object", ""],
        ["status", ""],
        ["diff", ""],
        ["diff", "data", ""],
        ["checkout", "--force", ""],
        ["pull", ""],
        ["fetch", ""],
        ["push", ""],
        ["du", ""],
        ["log", ""],
        ["forget", "--keep-last", "1", ""],
        ["import", "dvc", ""],
    ],
)
def test_an_empty_path_is_wrong_usage(ann: User, words: list[str]) -> None:
    assert "an empty path names nothing" in ann.refused(*words, code=2)


@pytest.mark.parametrize("words", [["ls", ""], ["cat", ""], ["rev-parse", ""]])
def test_an_empty_name_stands_for_nothing(ann: User, words: list[str]) -> None:
    ann.refused(*words)


def test_a_snapshot_of_a_project_leaves_out_what_is_gits(ann: User) -> None:
    ann.write({"inner/.git/config": b"token", "inner/x": b"x"})
    done = ann.do("snapshot", ".")
    assert ".git is git's own, and was left out" in done.said
    listed = ann.do("ls", "-R", done.text.strip()).lines
    assert "data/inner/x" in listed
    assert not [path for path in listed if ".git" in path.split("/")]
    assert ann.do("hash-object", ".").text.strip() == done.text.strip()
    assert "is git's own folder" in ann.refused("snapshot", ".git")
    assert ann.do("add", "data").text.split()[0] != ann.do("snapshot", "data").text.strip()
    assert "data/inner/.git/config: is" not in ann.do("status").text
    assert ann.state()["state"] == "clean"


def test_a_pattern_in_quotes_is_answered_with_how_one_is_given(ann: User) -> None:
    ann.add()
    said = "hitsave: there is no 'su*' in data; a pattern is given like this: --include '/su*' data"
    for command in ("pull", "fetch", "checkout"):
        assert ann.refused(command, "data/su*") == said
        assert ann.refused(command, "data/none") == "hitsave: there is no 'none' in data"
        assert ann.refused(command, "da*").endswith(
            "; a shell finds what a pattern means, where it stands in no quotes"
        )
    ann.do("pull", "--include", "/su*", "data")
    told = ann.run("fetch", "--json", "data/none")
    assert (told.code, told.json["failed"]) == (1, {str(ann.data): "there is no 'none' in data"})


def test_a_clone_without_a_remote_is_told_that_none_is_set(world: World, ann: User) -> None:
    ann.add()
    commit(ann, "first")
    ben = cloned(world, ann)
    ben.do("remote", "remove", "origin")
    said = "data.hitsave as committed: the data is not here, and no remote is set; 'hitsave remote add NAME URL' "
    assert ben.do("status").said.startswith(said)
