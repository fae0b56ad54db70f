"""What `add` refuses or notes, since it would lose something that nobody meant to drop."""

from __future__ import annotations

import os

from tests.cli.world import User, git


def test_links_that_stand_for_the_files_do_not_empty_a_dataset(ann: User) -> None:
    """As another tool leaves them after an import."""
    digest = ann.add()
    (ann.data / "sub/b.txt").unlink()
    (ann.data / "sub/c.bin").unlink()
    (ann.data / "a.txt").rename(ann.workspace / "annexed")
    (ann.data / "a.txt").symlink_to("../annexed")
    before = (ann.workspace / "data.hitsave").read_bytes()
    done = ann.run("add", "data")
    assert done.code == 1
    assert "names 3 files, and only symbolic links are here" in done.said
    assert "'hitsave config set symlinks follow'" in done.said
    assert "'hitsave pull data'" in done.said
    assert (ann.workspace / "data.hitsave").read_bytes() == before
    assert ann.do("show-ref").text.count("datasets/") == 1
    ann.do("config", "set", "symlinks", "follow")
    assert ann.add() != digest


def test_a_dataset_may_be_emptied_on_purpose(ann: User) -> None:
    ann.add()
    for name in ("a.txt", "sub/b.txt", "sub/c.bin"):
        (ann.data / name).unlink()
    assert "0 files" in ann.do("add", "data").said


def test_what_git_keeps_as_well_is_noted_with_the_way_out(ann: User) -> None:
    ann.write({"model one.bin": b"1"}, "")
    git(ann.workspace, "add", "data", "model one.bin")
    done = ann.do("add", "data", "model one.bin")
    assert "data: git keeps it, too, until you run: git rm -r --cached data\n" in done.said
    assert "too, until you run: git rm --cached 'model one.bin'\n" in done.said
    git(ann.workspace, "rm", "-r", "-q", "--cached", "data", "model one.bin")
    ann.write({"a.txt": b"other", "more/x": b"x"})
    git(ann.workspace, "add", ".")
    assert "git" not in ann.do("add", "data").said
    assert os.fspath(ann.data / "a.txt") not in git(ann.workspace, "ls-files")


def test_a_folder_does_not_swallow_a_dataset(ann: User) -> None:
    ann.write({"in/x": b"x", "beside": b"y"}, "top")
    ann.add("top/in")
    said = ann.refused("add", "top")
    assert "holds the dataset" in said
    assert "top/in.hitsave first" in said
    assert not (ann.workspace / "top.hitsave").exists()
    assert len(ann.do("status", "--json").json) == 1


def test_a_repository_that_is_kept_with_its_settings_is_noted_with_the_way_out(ann: User) -> None:
    ann.write({".git/config": b"[user]\n", "f": b"f"})
    assert "'.git' in data/.hitsaveignore leaves that out" in ann.do("add", "data").said
    assert "leaves that out" not in ann.do("add", "data").said
    ann.write({".hitsaveignore": b".git\n"})
    (ann.workspace / "data.hitsave").unlink()
    assert "leaves that out" not in ann.do("add", "data").said
    assert ".git/" not in ann.do("ls", "data").lines
