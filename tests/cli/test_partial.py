"""A part of a dataset: pulled, shown as such, never added by mistake, and completed later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.test_diff import cloned, commit
from tests.cli.world import User, World, assert_same, git


@pytest.fixture
def pushed(world: World) -> User:
    ann = world.user(remote=True)
    ann.write({f"train/{number}.png": b"%d" % number * 999 for number in range(20)})
    ann.write({f"test/{number}.png": b"t%d" % number * 999 for number in range(5)})
    ann.write({"readme.md": b"about\n", "large.bin": bytes(range(251)) * 2000})
    ann.add()
    ann.do("push")
    return ann


def test_a_part_comes_alone_and_the_rest_later(world: World, pushed: User) -> None:
    ben = world.clone(pushed)
    part = ben.do("pull", "--include", "test/", "--include", "*.md", "--json").json
    assert part["checked_out"][0]["written"] == 6
    assert sorted(path.name for path in ben.data.rglob("*.png")) == [f"{number}.png" for number in range(5)]
    assert not (ben.data / "train").exists()
    assert part["fetched"]["size"] < 100_000

    state = ben.state()
    assert state["state"] == "partial"
    assert state["changes"] == []
    assert state["not_fetched"] == 21
    assert state["in_cache"] is False
    assert "21 files not pulled" in ben.do("status").text
    assert ben.add() == pushed.state()["digest"]
    done = ben.run("-q", "push")
    assert done.code == 0, done.said

    more = ben.do("pull", "--include", "train/1*", "--json").json
    assert more["checked_out"][0]["written"] == 11
    assert (ben.data / "test/4.png").exists()
    assert ben.state()["not_fetched"] == 10

    whole = ben.do("pull", "--json").json
    assert whole["checked_out"][0]["written"] == 10
    assert_same(pushed.data, ben.data)
    assert ben.state()["state"] == "clean"
    assert ben.state()["in_cache"] is True
    assert ben.add() == pushed.state()["digest"]
    ben.do("fsck")


def test_a_change_in_a_part_is_a_change_and_is_not_lost(world: World, pushed: User) -> None:
    ben = world.clone(pushed)
    ben.do("pull", "--include", "test/")
    ben.write({"test/0.png": b"mine"})
    state = ben.state()
    assert state["state"] == "modified"
    assert state["changes"] == [{"kind": "changed", "path": "test/0.png"}]
    assert "unsaved changes would be lost (test/0.png)" in ben.refused("pull")
    assert (ben.data / "test/0.png").read_bytes() == b"mine"
    ben.do("pull", "--force")
    assert_same(pushed.data, ben.data)


def test_a_file_that_was_removed_from_a_part_comes_back(world: World, pushed: User) -> None:
    ben = world.clone(pushed)
    ben.do("pull", "--include", "test/")
    (ben.data / "test/0.png").unlink()
    assert ben.state()["changes"] == [{"kind": "removed", "path": "test/0.png"}]
    ben.do("pull", "--include", "test/")
    assert (ben.data / "test/0.png").exists()
    assert not (ben.data / "train").exists()


def test_all_but_a_part(world: World, pushed: User) -> None:
    """Directories that are left out whole are not even looked into."""
    ben = world.clone(pushed)
    part = ben.do("pull", "--exclude", "train/", "--json").json
    assert part["checked_out"][0]["written"] == 7
    assert part["fetched"]["objects"] == 7 + 2  # The root, the tree of test.
    assert not (ben.data / "train").exists()
    state = ben.state()
    assert (state["state"], state["changes"], state["not_fetched"]) == ("partial", [], 20)
    assert ben.do("pull", "--exclude", "train/", "--json").json["fetched"]["objects"] == 0

    both = ben.do("pull", "--include", "*.png", "--exclude", "test/", "--exclude", "1?.png", "--json").json
    assert both["checked_out"][0]["written"] == 10
    assert sorted(path.name for path in (ben.data / "train").iterdir()) == [f"{number}.png" for number in range(10)]
    assert (ben.data / "test/4.png").exists()
    back = ben.do("fetch", "--exclude", "train/*", "--exclude", "!19.png", "--json").json
    assert back["objects"] == 1
    ben.do("pull")
    assert_same(pushed.data, ben.data)


def test_nothing_matches(world: World, pushed: User) -> None:
    ben = world.clone(pushed)
    done = ben.do("pull", "--include", "*.jpg", "--json").json
    assert done["checked_out"][0]["written"] == 0
    said = ben.do("pull", "--include", "*.jpg", "--include", "nope/").said
    assert "data: no file of it matches '*.jpg', 'nope/'" in said
    assert "as it should be" not in said
    assert ben.state()["not_fetched"] == 27
    ben.do("pull")
    assert_same(pushed.data, ben.data)


def test_fetch_alone_leaves_the_workspace_as_it_is(world: World, pushed: User) -> None:
    ben = world.clone(pushed)
    ben.do("fetch", "--include", "test/")
    assert not ben.data.exists()
    assert ben.state()["in_cache"] is False
    done = ben.do("fetch", "--json").json
    assert done["objects"] > 0
    assert ben.do("fetch", "--json").json["objects"] == 0
    assert not ben.data.exists()
    (world.root / "remote").rename(world.root / "away")
    ben.do("checkout")
    assert_same(pushed.data, ben.data)


def test_a_partial_cache_keeps_what_it_has_through_gc(world: World, pushed: User) -> None:
    ben = world.clone(pushed)
    ben.do("pull", "--include", "test/")
    assert ben.do("gc", "--json").json["objects"] == []
    ben.do("fsck")
    assert ben.state()["state"] == "partial"


def test_patterns_are_about_a_single_file_by_its_name(world: World) -> None:
    ann = world.user(remote=True)
    ann.write({"big.bin": b"weights" * 100, "data/07/x": b"x"}, "")
    ann.add("big.bin")
    ann.add()
    ann.do("push")
    ben = world.clone(ann)
    done = ben.do("pull", "--include", "07/")
    assert "big.bin: left alone, since its name matches no pattern" in done.said
    assert not (ben.workspace / "big.bin").exists()
    assert (ben.data / "07/x").exists()
    assert "left alone" in ben.do("fetch", "--include", "07/").said
    assert "left alone" in ben.do("checkout", "--include", "07/").said
    ben.do("pull", "--exclude", "x", "--exclude", "*.bin")
    assert not (ben.workspace / "big.bin").exists()
    done = ben.do("pull", "--include", "*.bin")
    assert "data: no file of it matches '*.bin'" in done.said
    assert (ben.workspace / "big.bin").read_bytes() == b"weights" * 100


def test_a_path_inside_of_a_dataset_is_that_part(world: World, pushed: User) -> None:
    ben = world.clone(pushed)
    ben.do("pull", "data/test", "data.hitsave:train/7.png")
    assert sorted(path.name for path in ben.data.rglob("*.*")) == ["0.png", "1.png", "2.png", "3.png", "4.png", "7.png"]
    (ben.data / "test/2.png").unlink()
    (ben.data / "test/3.png").unlink()
    ben.do("checkout", "data/test/2.png")
    assert ben.state()["changes"] == [{"kind": "removed", "path": "test/3.png"}]
    ben.do("fetch", "test", folder=ben.data)
    assert "test: as it should be" not in ben.do("pull", "test", folder=ben.data).said
    for command in ("pull", "checkout"):
        done = ben.run(command, "data/nope[1]")
        assert (done.code, done.out) == (1, b"")
        assert "there is no 'nope[1]' in data\n" in done.said
        assert "name it without patterns" in ben.refused(command, "data/test", "--include", "*.png")
    for command in ("status", "push", "du", "log"):
        assert "data/test: lies in the dataset data; name that one" in ben.refused(command, "data/test")
    done = ben.do("pull")
    assert "all of it is here now, and '--include' keeps to a part" in done.said
    assert "keeps to a part" not in ben.do("pull").said
    assert_same(pushed.data, ben.data)


def test_directories_in_which_nothing_is_wanted_are_not_looked_into(world: World, pushed: User) -> None:
    """Their trees are not here then, and everything works as if their files alone were not."""
    ben = world.clone(pushed)
    part = ben.do("pull", "--include", "/test/1.png", "--json").json
    assert part["fetched"]["objects"] == 3  # The root, the tree of test, the file.
    assert part["checked_out"][0]["written"] == 1
    assert [path.name for path in ben.data.rglob("*.png")] == ["1.png"]

    state = ben.state()
    assert (state["state"], state["changes"], state["not_fetched"]) == ("partial", [], 26)
    assert "26 files not pulled" in ben.do("status").text
    assert ben.add() == pushed.state()["digest"]
    ben.do("gc")
    ben.do("fsck")
    assert ben.run("-q", "push").code == 0
    assert ben.do("pull", "--include", "/test/1.png", "--json").json["fetched"]["objects"] == 0

    ben.write({"train/mine.png": b"mine"})
    assert ben.state()["changes"] == [{"kind": "added", "path": "train/mine.png"}]
    (ben.data / "train" / "mine.png").unlink()
    (ben.data / "train").rmdir()

    more = ben.do("pull", "--include", "train/1[0-4].png", "--json").json
    assert more["fetched"]["objects"] == 6
    assert more["checked_out"][0]["written"] == 5
    assert (ben.data / "test/1.png").exists()
    assert ben.state()["not_fetched"] == 21
    ben.do("gc")

    ben.do("pull")
    assert_same(pushed.data, ben.data)
    assert ben.state()["state"] == "clean"
    assert ben.add() == pushed.state()["digest"]
    ben.do("fsck")


def test_a_part_that_is_forgotten_and_brought_back(world: World, pushed: User) -> None:
    ben = world.clone(pushed)
    ben.do("pull", "--include", "/test/1.png")
    refs = [line.split()[-1] for line in ben.do("show-ref").lines if "datasets/" in line]
    assert refs
    ben.do("forget", *refs)
    ben.do("gc")
    ben.do("undo")
    assert [line for line in ben.do("show-ref").lines if refs[0] in line]
    ben.do("gc")
    ben.do("fsck")
    ben.do("pull")
    assert_same(pushed.data, ben.data)


def test_a_part_where_the_cache_has_all_of_it(world: World, pushed: User) -> None:
    """In a second clone on one machine nothing has to be fetched, and what was asked for is a part all the same."""
    again = replace(world.clone(pushed), cache=pushed.cache)
    again.do("pull", "--include", "test/")
    again.do("pull", "--include", "*.md")
    state = again.state()
    assert (state["state"], state["changes"], state["not_fetched"]) == ("partial", [], 21)
    assert again.add() == pushed.state()["digest"]
    again.write({"test/0.png": b"mine"})
    (again.data / "test/1.png").unlink()
    assert again.state()["changes"] == [
        {"kind": "changed", "path": "test/0.png"},
        {"kind": "removed", "path": "test/1.png"},
    ]
    told = again.do("diff").said
    assert "21 files not pulled" in told
    assert "train" not in again.do("diff").text
    again.do("pull", "--force")
    assert_same(pushed.data, again.data)
    assert again.state()["state"] == "clean"
    (again.data / "readme.md").unlink()
    assert again.state()["changes"] == [{"kind": "removed", "path": "readme.md"}]
    again.do("add", "data")


def test_after_a_checkout_of_git_status_and_diff_say_what_is_so(world: World, pushed: User) -> None:
    """Of a part, the lists of folders that another version has are not here."""
    commit(pushed, "first")
    old = pushed.state()["digest"]
    pushed.write({"test/5.png": b"five", "train/20.png": b"twenty"})
    new = pushed.add()
    commit(pushed, "second")
    pushed.do("push")
    ben = cloned(world, pushed)
    ben.do("pull", "--include", "test/*", "--include", "*.md")
    git(ben.workspace, "checkout", "--quiet", "HEAD~1")

    state = ben.state()
    assert (state["state"], state["made_from"], state["changes"]) == ("modified", new, None)
    lines = ben.do("status").lines
    assert lines[1:] == [
        f"    made from version {new[:12]}; that of the pointer file comes by: "
        "hitsave pull --include 'test/*' --include '*.md' data",
        "    what differs is not known here; 'hitsave diff data' asks the remote",
    ]
    done = ben.do("diff")
    assert done.lines == ["added    data/test/5.png"]
    assert "21 files not pulled" in done.said

    ben.do("pull", "--include", "test/*", "--include", "*.md", "data")
    state = ben.state()
    assert (state["digest"], state["state"], state["made_from"]) == (old, "partial", None)
    git(ben.workspace, "checkout", "--quiet", "-")
    assert ben.do("diff").lines == ["removed  data/test/5.png"]


def test_what_a_dataset_that_was_changed_was_made_from(world: World, pushed: User) -> None:
    commit(pushed, "first")
    pushed.write({"new": b"new"})
    new = pushed.add()
    commit(pushed, "second")
    git(pushed.workspace, "checkout", "--quiet", "HEAD~1")
    pushed.write({"own": b"own"})
    assert pushed.do("status").lines[1:] == [
        f"    made from version {new[:12]}; that of the pointer file comes by: hitsave checkout data",
        "    added    data/new",
        "    added    data/own",
    ]
    (pushed.data / "own").unlink()
    assert pushed.state()["holds"] == new
    assert "made from" not in pushed.do("status").text


@pytest.fixture
def with_empty(world: World) -> User:
    """A dataset with directories in which nothing is."""
    ann = world.user(remote=True)
    ann.write({"full/a": b"a", "b.txt": b"b"})
    for name in ("empty", "full/none", "deep/er/est", "odd [x]"):
        (ann.data / name).mkdir(parents=True)
    ann.add()
    ann.do("push")
    return ann


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_an_empty_directory_is_a_part(world: World, with_empty: User) -> None:
    ben = world.clone(with_empty)
    ben.do("pull", "data/empty")
    assert listing(ben.data) == ["empty"]
    ben.do("pull", "data/empty")
    ben.do("fetch", "data/deep")
    ben.do("checkout", "data/deep")
    assert listing(ben.data) == ["deep", "deep/er", "deep/er/est", "empty"]
    ben.do("pull", "data/odd [x]", "data/full/none/")
    assert listing(ben.data) == ["deep", "deep/er", "deep/er/est", "empty", "full", "full/none", "odd [x]"]
    assert ben.state()["state"] == "partial"
    assert ben.add() == with_empty.state()["digest"]
    assert "there is no 'nothing' in data" in ben.refused("pull", "data/nothing")
    ben.do("pull")
    assert_same(with_empty.data, ben.data)


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["--include", "full/"], ["full", "full/a", "full/none"]),
        (["--include", "full/**"], ["full", "full/a", "full/none"]),
        (["--include", "empty/"], ["empty"]),
        (["--include", "*.txt"], ["b.txt"]),
        (
            ["--exclude", "*.txt"],
            [*["deep", "deep/er", "deep/er/est"], "empty", "full", "full/a", "full/none", "odd [x]"],
        ),
    ],
)
def test_empty_directories_by_patterns(world: World, with_empty: User, patterns: list[str], found: list[str]) -> None:
    ben = world.clone(with_empty)
    ben.do("pull", *patterns)
    assert listing(ben.data) == found
    ben.do("pull", *patterns)
    assert listing(ben.data) == found
    (ben.data / found[0]).rename(ben.workspace / "aside")
    ben.do("pull", *patterns)
    assert listing(ben.data) == found
