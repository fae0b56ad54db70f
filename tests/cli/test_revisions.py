"""Revisions of git and parts of datasets, named as in git, wherever something recorded is named."""

from __future__ import annotations

import pytest

from tests.cli.test_diff import cloned, commit
from tests.cli.world import User, World, git


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


def test_two_revisions_can_be_one_word(history: User) -> None:
    assert history.do("diff", "HEAD~2..HEAD~1").lines == ["changed  data/a.txt", "changed  old.csv"]
    assert history.do("diff", "../data", folder=history.workspace / "s").out == b""
    for word in ("HEAD..", "none..HEAD", "HEAD..none"):
        assert "is no digest" in history.refused("diff", word)


def test_paths_at_a_revision_are_seen_from_the_top(history: User) -> None:
    sub = history.workspace / "s"
    assert history.do("ls", "HEAD:data", folder=sub).lines == ["a.txt", "sub/"]
    assert history.do("cat", "HEAD~2:data/a.txt", "HEAD:./here/x", "HEAD:../data/a.txt", folder=sub).out == (
        b"first\nxchanged"
    )
    for command in ("ls", "diff", "checkout"):
        said = history.refused(command, "HEAD:here", folder=sub)
        assert said == "hitsave: HEAD: has no file here.hitsave; did you mean 'HEAD:./here'?", command
    assert history.do("diff", "HEAD~2:data", folder=sub).lines == ["changed  ../data/a.txt"]
    assert history.do("diff", "HEAD:./here", folder=sub).out == b""
    history.do("checkout", "HEAD~2:data", folder=sub)
    assert (history.data / "a.txt").read_bytes() == b"first\n"


def test_what_is_seen_from_the_wrong_folder_is_said_how_to_write(history: User) -> None:
    sub = history.workspace / "s"
    for command, written, meant in (
        ("cat", "HEAD:here/x", "HEAD:./here/x"),
        ("cat", "HEAD:./s/here/x", "HEAD:s/here/x"),
        ("ls", "data:sub", "../data:sub"),
        ("ls", "s/here:x", "here:x"),
        ("checkout", "HEAD:./data", "HEAD:data"),
    ):
        assert history.refused(command, written, folder=sub).endswith(f"; did you mean '{meant}'?"), written
        history.do(command, meant, folder=sub)
    for written in ("HEAD:none", "HEAD:./none", "none:data", "none:sub"):
        assert "did you mean" not in history.refused("ls", written, folder=sub)
    assert "HEAD: names no path; HEAD:PATH is what stood" in history.refused("ls", "HEAD:", folder=sub)


def test_a_workspace_that_is_a_folder_of_a_repository(history: User) -> None:
    inner = history.workspace / "inner"
    history.write({"own/x/f": b"f", "sub/g": b"g"}, "inner")
    (inner / "hitsave.toml").touch()
    history.do("add", "own", folder=inner)
    git(history.workspace, "add", "inner")
    git(history.workspace, "commit", "--quiet", "--message", "inner")
    for folder, written in (("", "HEAD:inner/own"), ("", "HEAD:./own"), ("own", "HEAD:."), ("sub", "HEAD:../own")):
        assert history.do("ls", written, folder=inner / folder).lines == ["x/"], written
    for folder, meant in (("", "HEAD:./own"), ("sub", "HEAD:inner/own")):
        said = history.refused("ls", "HEAD:own", folder=inner / folder)
        assert said.endswith(f"did you mean '{meant}'?"), said


def test_revisions_are_understood_in_a_datasets_own_folder(history: User) -> None:
    digest = history.do("rev-parse", "HEAD:data").text.strip()
    for folder, written in (
        ("data", "HEAD:data/sub"),
        ("data", "HEAD:./sub"),
        ("data", "../data:sub"),
        ("data", f"{digest[:12]}:sub"),
        ("data/sub", "HEAD:."),
        ("data/sub", "HEAD:data/sub"),
    ):
        assert history.do("ls", written, folder=history.workspace / folder).lines == ["b.txt", "c.bin"], written
    for folder, written in (("data", "data:sub"), ("data/sub", "data:sub"), ("data", "HEAD:sub")):
        assert "; did you mean '" in history.refused("ls", written, folder=history.workspace / folder), written
    assert "has no none" in history.refused("ls", "HEAD:./none", folder=history.data)


def test_a_file_that_is_called_like_a_revision_is_that_file(history: User) -> None:
    history.write({"HEAD:a.txt": b"mine"})
    history.add()
    assert history.do("cat", "HEAD:a.txt", folder=history.data).out == b"mine"
    (history.data / "HEAD:a.txt").unlink()
    assert history.do("cat", "HEAD:./a.txt", folder=history.data).out == b"changed"


def test_a_part_goes_back_by_a_pattern(history: User) -> None:
    said = history.refused("checkout", "HEAD~2", "data/sub")
    assert "data/sub: lies in the dataset data; 'hitsave checkout HEAD~2 --include /sub data'" in said
    history.write({"sub/b.txt": b"third\n"})
    history.add()
    rest = "; its other files are as they were, and 'hitsave pull data' makes them of it too\n"
    assert history.do("checkout", "HEAD~2", "--include", "/a.txt", "data").said.endswith(rest)
    assert (history.data / "a.txt").read_bytes() == b"first\n"
    assert (history.data / "sub/b.txt").read_bytes() == b"third\n"
    assert rest not in history.do("checkout", "HEAD~2", "--include", "/a.txt", "data").said
    history.do("pull", "data")
    assert (history.data / "sub/b.txt").read_bytes() == b"second\n"


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
    assert history.refused("ls", "data:none") == "hitsave: data has no none"
    assert "is no revision that git knows" in history.refused("ls", "none:sub")


def test_a_version_of_a_dataset_is_named_by_its_digest(world: World, history: User) -> None:
    old, new = (history.do("rev-parse", f"{revision}:data").text.strip() for revision in ("HEAD~2", "HEAD"))
    for word in (f"data@{old[:9]}", f"data.hitsave@{old}", f"./data@{old[:7]}", f"datasets/project/data@{old}"):
        assert history.do("rev-parse", word).text.strip() == old, word
    assert history.do("cat", f"data@{old[:9]}:a.txt", f"data@{new[:9]}:a.txt").out == b"first\nchanged"
    assert history.do("diff", f"data@{old[:9]}").lines == ["changed  data/a.txt"]
    assert history.do("ls", f"../data@{old[:9]}:sub", folder=history.workspace / "s").lines == ["b.txt", "c.bin"]
    for word in (f"new.csv@{old[:9]}:a.txt", f"nothing@{old[:9]}", "data@0000000"):
        history.refused("ls", word)
    history.do("remote", "add", "origin", world.remote)
    history.do("push")
    ben = cloned(world, history)
    assert ben.do("cat", f"data@{old[:9]}:a.txt").out == b"first\n"


def test_what_a_folder_of_datasets_holds_is_said(history: User) -> None:
    end = "is no digest (7 hex digits or more), ref, pointer file or dataset; datasets in it are "
    assert history.refused("ls", ".") == f"hitsave: .: {end}data, new.csv"
    assert history.refused("ls", "HEAD:s").endswith("has no file s.hitsave; datasets in it are HEAD:s/here")
    assert history.refused("cat", "s") == f"hitsave: s: {end}s/here"


def test_a_version_of_a_dataset_is_checked_out(history: User) -> None:
    first, second = (history.do("rev-parse", f"{rev}:data").text for rev in ("HEAD~2", "HEAD"))
    history.refused("checkout", "data@0123456")
    history.refused("checkout", f"data@{first[:8]}", "s/here")
    assert history.do("checkout", f"data@{first[:8]}").said.startswith("data: 1 file written, 0 files removed, at ")
    assert (history.workspace / "data/a.txt").read_bytes() == b"first\n"
    assert history.do("rev-parse", "data").text == first
    assert history.do("diff", "HEAD~2").lines == ["added    new.csv", "removed  old.csv"]
    history.write({"data/a.txt": b"unsaved"}, "")
    assert "a.txt" in history.refused("checkout", f"data@{second[:8]}")
    [done] = history.do("checkout", "--force", "--json", f"data@{second[:8]}").json["checked_out"]
    assert (done["digest"], done["written"]) == (second.strip(), 1)
    assert (history.workspace / "data/a.txt").read_bytes() == b"changed"


def test_a_version_of_a_single_file_is_checked_out(history: User) -> None:
    first = history.do("rev-parse", "HEAD~2:old.csv").text.strip()
    assert history.do("checkout", f"old.csv@{first}").said.startswith("old.csv: 1 file written")
    assert (history.workspace / "old.csv").read_bytes() == b"1"
    assert history.do("status", "--json", "old.csv").json[0]["digest"] == first


def test_what_is_no_dataset_is_answered_with_what_was_meant(history: User) -> None:
    digest = history.do("rev-parse", "data").text.strip()
    assert f"'hitsave snapshot --restore {digest[:9]} PATH'" in history.refused("checkout", digest[:9])
    assert f"'hitsave checkout data@{digest[:9]}' takes versions" in history.refused("pull", f"data@{digest[:9]}")
