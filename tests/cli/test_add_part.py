"""A part of a dataset is added: what was changed in it becomes a version, and the rest stays as it was, unseen."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from tests.cli.world import User, World, assert_same

FILES = {
    **{f"train/{number}.png": b"%d" % number * 999 for number in range(9)},
    **{f"test/{number}.png": b"t%d" % number * 999 for number in range(5)},
    "deep/er/x": b"x",
    "readme.md": b"about\n",
}


@pytest.fixture
def pushed(world: World) -> User:
    ann = world.user(remote=True)
    ann.write(FILES)
    (ann.data / "empty").mkdir()
    ann.add()
    ann.do("push")
    return ann


def digest_of(user: User) -> str:
    return str(user.do("rev-parse", "data").text.strip())


def test_changes_in_a_part_become_a_version_and_the_rest_stays(world: World, pushed: User) -> None:
    ben = world.clone(pushed)
    ben.do("pull", "--include", "/test/")
    for user in (ben, pushed):
        user.write({"test/0.png": b"changed", "test/new.png": b"new", "train/9.png": b"nine", "beside/y": b"y"})
        (user.data / "test/1.png").unlink()
    done = ben.do("add", "data")
    assert "of which 11 were not pulled and stay as they were" in done.said
    assert done.text.split()[0] == pushed.add() == digest_of(ben)
    state = ben.state()
    assert (state["state"], state["changes"], state["not_fetched"]) == ("partial", [], 11)
    assert ben.do("add", "--json", "data").json[0]["not_fetched"] == 11

    ben.do("gc", "--keep", "0")
    ben.do("fsck")
    ben.do("push")
    ben.do("fsck", "--remote", "origin")
    cat = world.clone(ben, "cat")
    cat.do("pull", environ={"HITSAVE_REMOTE": str(world.remote)})
    assert_same(cat.data, pushed.data)
    ben.do("pull")
    assert_same(ben.data, pushed.data)
    assert ben.state()["state"] == "clean"
    assert ben.add() == digest_of(pushed)


def test_a_part_where_the_cache_has_all_of_it(world: World, pushed: User) -> None:
    again = replace(world.clone(pushed), cache=pushed.cache)
    again.do("pull", "--include", "/test/")
    for user in (again, pushed):
        (user.data / "test/1.png").unlink()
        user.write({"train/9.png": b"nine", "readme.md": b"over one that is not here\n"})
    assert again.add() == pushed.add()
    again.do("fsck")
    again.do("push")
    again.do("fsck", "--remote", "origin")


def test_a_pointer_file_that_moved_on_keeps_what_is_new_in_it(world: World, pushed: User) -> None:
    """Its directories are not even here, and are not taken for empty ones."""
    ben = world.clone(pushed)
    ben.do("pull", "--include", "/test/")
    pushed.write({"train/more.png": b"more", "test/more.png": b"more"})
    pushed.add()
    pushed.do("push")
    (ben.workspace / "data.hitsave").write_bytes((pushed.workspace / "data.hitsave").read_bytes())
    ben.write({"test/mine.png": b"mine"})
    pushed.write({"test/mine.png": b"mine"})
    done = ben.do("add", "data")
    assert "which these files were not made from" in done.said
    assert digest_of(ben) == pushed.add()


def test_what_takes_the_place_of_what_is_not_here_is_refused(world: World, pushed: User) -> None:
    ben = world.clone(pushed)
    ben.do("pull", "--include", "/test/")
    before = (ben.workspace / "data.hitsave").read_bytes()
    ben.write({"train": b"a file"})
    assert "train: is a directory in the dataset, of which only a part is here" in ben.refused("add", "data")
    (ben.data / "train").unlink()
    ben.write({"readme.md/inner": b"a directory"})
    assert "readme.md: is a file in the dataset" in ben.refused("add", "data")
    (ben.data / "readme.md/inner").unlink()
    ben.write({"deep/er/x/inner": b"a directory"})
    (ben.data / "readme.md").rmdir()
    assert "deep/er/x: is a file in the dataset" in ben.refused("add", "data")
    assert (ben.workspace / "data.hitsave").read_bytes() == before


def test_out_of_reach_is_not_taken_for_empty(world: World, pushed: User) -> None:
    ben = world.clone(pushed)
    ben.do("pull", "--include", "/test/")
    world.remote.rename(world.root / "away")
    ben.write({"test/new": b"new"})
    ben.do("add", "data")  # Nothing of the rest has to be read for it.
    ben.write({"train/new": b"new"})
    before = (ben.workspace / "data.hitsave").read_bytes()
    assert ben.run("add", "data").code == 1
    assert (ben.workspace / "data.hitsave").read_bytes() == before


def test_a_copy_of_a_part_is_that_part(world: World, pushed: User) -> None:
    ben = world.clone(pushed)
    ben.do("pull", "--include", "/test/")
    copied = replace(ben, workspace=ben.workspace.parent / "copied")
    shutil.copytree(ben.workspace, copied.workspace)
    ben.data.rename(ben.workspace / "other")
    (ben.workspace / "data.hitsave").rename(ben.workspace / "other.hitsave")
    for user, name in ((ben, "other"), (copied, "data")):
        (user.workspace / name / "test/1.png").unlink()
        [state] = user.do("status", "--json", name).json
        assert (state["changes"], state["not_fetched"]) == ([{"kind": "removed", "path": "test/1.png"}], 11), name
        assert "of which 11 were not pulled and stay as they were" in user.do("add", name).said
    (pushed.data / "test/1.png").unlink()
    assert copied.do("rev-parse", "data").text == ben.do("rev-parse", "other").text == pushed.add() + "\n"


@pytest.mark.parametrize("whole", [True, False])
def test_a_part_that_the_cache_knows_nothing_of_is_not_taken_for_all_of_it_in_silence(
    world: World, pushed: User, whole: bool
) -> None:
    ben = world.clone(pushed)
    ben.do("pull", *([] if whole else ["--include", "/test/"]))
    old = digest_of(ben)
    shutil.rmtree(ben.cache)
    if whole:
        ben.write({"test/new.png": b"new"})
    said = ben.do("add", "data").said
    assert (f"5 files, where its pointer file named 16; 'hitsave checkout data@{old[:12]}'" in said) != whole, said
    ben.do("checkout", f"data@{old[:12]}")
    assert_same(ben.data, pushed.data)
