"""Back to what datasets were at a commit: pointer files and working files together, and nothing unsaved is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_diff import cloned, commit
from tests.cli.world import User, World, assert_same, git


@pytest.fixture
def history(world: World) -> tuple[User, str, str]:
    """`data` in two versions, and `sub/later`, which came with the second; the digests of `data`."""
    ann = world.user()
    ann.write({"a": b"first\n", "gone": b"gone\n", "large": bytes(range(250)) * 1000})
    first = ann.add()
    commit(ann, "first")
    git(ann.workspace, "tag", "v1")
    ann.write({"a": b"second\n", "new/b": b"new\n"})
    (ann.data / "gone").unlink()
    second = ann.add()
    ann.write({"x": b"1"}, "sub/later")
    ann.add("sub/later")
    commit(ann, "second")
    return ann, first, second


def held(user: User, path: str = "data") -> tuple[str, str]:
    """The digest that the pointer file names, and that of the working files."""
    return user.state(path)["digest"], user.do("hash-object", path).text.strip()


def test_there_and_back(history: tuple[User, str, str]) -> None:
    ann, first, second = history
    done = ann.do("checkout", "HEAD~1")
    assert f"data: 2 files written, 1 file removed, at {first[:12]}" in done.said
    assert held(ann) == (first, first)
    assert (ann.workspace / "sub/later.hitsave").exists()  # It was not there yet, and is left alone.
    assert git(ann.workspace, "status", "--short").split() == ["M", "data.hitsave"]
    for words in (["HEAD", "data"], ["v1", "data.hitsave"], ["HEAD:data"], ["v1:data.hitsave"], ["master"]):
        ann.run("checkout", *words)
        assert held(ann)[0] == held(ann)[1] == (first if "v1" in words[0] else second), words
    assert "as it should be" in ann.do("checkout", "HEAD", folder=ann.data).said
    ann.do("fsck")


def test_unsaved_changes_are_refused(history: tuple[User, str, str]) -> None:
    ann, first, second = history
    ann.write({"a": b"precious\n"})
    said = ann.refused("checkout", "v1")
    assert "unsaved changes would be lost (a" in said
    assert ann.state()["digest"] == second
    assert (ann.data / "a").read_bytes() == b"precious\n"
    ann.do("checkout", "--force", "v1")
    assert held(ann) == (first, first)


def test_what_was_only_added_comes_back_by_its_digest(history: tuple[User, str, str]) -> None:
    """A version that no commit names stays owned."""
    ann, first, _ = history
    ann.write({"a": b"added, not committed\n"})
    third = ann.add()
    ann.do("checkout", "v1")
    assert held(ann) == (first, first)
    ann.do("gc", "--keep", "0")
    ann.do("snapshot", "--restore", third, "rescued")
    assert (ann.workspace / "rescued/a").read_bytes() == b"added, not committed\n"


def test_what_is_missing_is_fetched(world: World, history: tuple[User, str, str]) -> None:
    ann, first, second = history
    ann.do("remote", "add", "origin", world.remote)
    ann.do("push")
    ben = cloned(world, ann)
    ben.do("pull", "data")
    ben.do("checkout", "v1", "data")
    assert held(ben) == (first, first)
    eve = cloned(world, ann, "eve")
    assert "received" in eve.do("checkout", "v1").said
    assert held(eve) == (first, first)
    assert eve.state()["in_cache"] is True
    assert git(eve.workspace, "status", "--short", "--", "data").strip() == ""  # Kept out of git.
    eve.do("checkout", "HEAD")
    assert held(eve) == (second, second)
    assert_same(ann.data, eve.data)
    dan = cloned(world, ann, "dan")
    dan.do("checkout", "v1", "--exclude", "large")
    assert sorted(path.name for path in dan.data.iterdir()) == ["a", "gone"]
    assert dan.state()["state"] == "partial"


def test_a_folder_and_a_dataset_that_went_away(history: tuple[User, str, str]) -> None:
    ann, _, _ = history
    git(ann.workspace, "rm", "--quiet", "sub/later.hitsave")
    (ann.workspace / "sub/later/x").unlink()
    (ann.workspace / "sub/later").rmdir()
    ann.do("checkout", "HEAD", "sub")
    assert (ann.workspace / "sub/later/x").read_bytes() == b"1"
    assert ann.state("sub/later")["state"] == "clean"


def test_what_is_meant(history: tuple[User, str, str]) -> None:
    ann, first, second = history
    git(ann.workspace, "branch", "data", "v1")
    ann.do("checkout", "data")  # The dataset, as ever.
    assert held(ann) == (second, second)
    ann.do("checkout", "data:data")
    assert held(ann) == (first, first)
    assert "there is no such dataset" in ann.refused("checkout", "nowhere")
    assert "has no file" in ann.refused("checkout", "HEAD", "nothing")
    assert "outside of the workspace" in ann.refused("checkout", "HEAD", Path("/tmp"))


def test_only_what_is_kept_nowhere_is_called_unsaved(ann: User) -> None:
    """A file that the other version does not have is in no danger."""
    ann.write({"a.txt": b"a"})
    ann.add()
    commit(ann, "one")
    ann.write({"a.txt": b"changed", "new.txt": b"new"})
    ann.add()
    commit(ann, "two")
    ann.write({"a.txt": b"mine"})
    assert "unsaved changes would be lost (a.txt);" in ann.refused("checkout", "HEAD~1", "data")
