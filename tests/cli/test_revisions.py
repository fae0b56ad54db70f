"""Revisions of git and parts of datasets, named as in git, wherever something recorded is named."""

from __future__ import annotations

import pytest

from tests.cli.test_diff import commit
from tests.cli.world import User, git


@pytest.fixture
def history(ann: User) -> User:
    """Three commits: the first has `data` and `old.csv`, the second changed both, the third has `new.csv` instead."""
    ann.write({"old.csv": b"1", "s/here/x": b"x"}, "")
    for path in ("data", "old.csv", "s/here"):
        ann.add(path)
    commit(ann, "first")
    ann.write({"data/a.txt": b"changed", "old.csv": b"2"}, "")
    ann.add()
    ann.add("old.csv")
    commit(ann, "second")
    git(ann.workspace, "rm", "-q", "old.csv.hitsave")
    (ann.workspace / "old.csv").unlink()
    ann.write({"new.csv": b"3"}, "")
    ann.add("new.csv")
    commit(ann, "third")
    return ann


def test_revisions_stand_for_all_datasets(history: User) -> None:
    assert history.do("diff", "HEAD~2", "HEAD~1").lines == ["changed  data/a.txt", "changed  old.csv"]
    assert history.do("diff", "HEAD~1", "HEAD").lines == ["added    new.csv", "removed  old.csv"]
    both = ["changed  data/a.txt", "added    new.csv", "removed  old.csv"]
    assert history.do("diff", "HEAD~2").lines == both
    assert history.do("diff", "HEAD~2", folder=history.workspace / "s").lines == [
        line.replace("  data", "  ../data").replace("  new", "  ../new").replace("  old", "  ../old") for line in both
    ]
    assert history.do("diff", "HEAD").out == b""
    history.write({"mine": b"mine"})
    assert history.do("diff", "HEAD").lines == ["added    data/mine"]
    assert [each["new"] for each in history.do("diff", "--json", "HEAD~1", "HEAD").json][:2] == [
        "HEAD:data",
        "HEAD:new.csv",
    ]
    assert "HEAD:PATH is what stood at PATH then" in history.refused("diff", "HEAD", "data")
    assert "HEAD:PATH is what stood" in history.refused("ls", "HEAD")


def test_paths_at_a_revision_are_seen_from_the_top(history: User) -> None:
    sub = history.workspace / "s"
    assert history.do("ls", "HEAD:data", folder=sub).lines == ["a.txt", "sub/"]
    assert history.do("cat", "HEAD~2:data/a.txt", "HEAD:./here/x", "HEAD:../data/a.txt", folder=sub).out == (
        b"first\nxchanged"
    )
    assert "has no file" in history.refused("ls", "HEAD:here", folder=sub)
    assert history.do("diff", "HEAD~2:data", folder=sub).lines == ["changed  ../data/a.txt"]
    assert history.do("diff", "HEAD:./here", folder=sub).out == b""
    history.do("checkout", "HEAD~2:data", folder=sub)
    assert (history.data / "a.txt").read_bytes() == b"first\n"


def test_a_part_goes_back_by_a_pattern(history: User) -> None:
    said = history.refused("checkout", "HEAD~2", "data/sub")
    assert "data/sub: lies in the dataset data; 'hitsave checkout HEAD~2 --include /sub data'" in said
    history.do("checkout", "HEAD~2", "--include", "/a.txt", "data")
    assert (history.data / "a.txt").read_bytes() == b"first\n"


def test_a_part_of_a_dataset_can_be_named(history: User) -> None:
    git(history.workspace, "branch", "s")
    for name in ("data.hitsave:sub", "data:sub", "data:sub/", "data/sub"):
        assert history.do("ls", name).lines == ["b.txt", "c.bin"], name
    assert history.do("cat", "data.hitsave:a.txt", "../project/data:sub/b.txt").out == b"changedsecond\n"
    assert history.do("diff", "data.hitsave:sub").out == b""
    history.write({"sub/b.txt": b"mine"})
    assert history.do("diff", "data.hitsave:sub").lines == ["changed  data/sub/b.txt"]
    assert history.do("diff", "HEAD~2:data/sub", "data.hitsave:sub").out == b""
    history.do("snapshot", "--restore", "data:sub", "out")
    assert (history.workspace / "out/b.txt").read_bytes() == b"second\n"
    assert "has no none" in history.refused("ls", "data:none")
    assert "is no revision that git knows" in history.refused("ls", "none:sub")
