"""A dataset of which a part was pulled goes back, and on, as that part."""

from __future__ import annotations

import pytest

from tests.cli.test_diff import cloned, commit
from tests.cli.world import User, World, git


@pytest.fixture
def ann(world: World) -> User:
    """Whose `data` has two versions, the first one under the tag `v1`."""
    ann = world.user(remote=True)
    ann.write({"train/a": b"a1", "train/gone": b"gone", "test/t": bytes(range(250)) * 1000, "readme": b"r1"})
    ann.add()
    commit(ann, "first")
    git(ann.workspace, "tag", "v1")
    ann.write({"train/a": b"a2", "train/b": b"b2", "test/t": bytes(range(250)) * 1001, "readme": b"r2"})
    (ann.data / "train/gone").unlink()
    ann.add()
    commit(ann, "second")
    ann.do("push")
    return ann


def contents(user: User) -> dict[str, bytes]:
    """The working files."""
    found = (path for path in user.data.rglob("*") if path.is_file())
    return {path.relative_to(user.data).as_posix(): path.read_bytes() for path in found}


def test_there_and_back(world: World, ann: User) -> None:
    ben = cloned(world, ann)
    ben.do("pull", "data/train")
    done = ben.do("checkout", "v1")
    assert contents(ben) == {"train/a": b"a1", "train/gone": b"gone"}
    assert "'hitsave pull data' brings the rest" in done.said
    state = ben.state()
    assert (state["state"], state["changes"], state["in_cache"]) == ("partial", [], False)
    assert sum(path.stat().st_size for path in ben.cache.glob("objects/*/*")) == 0  # Nothing of `test` came.
    ben.do("checkout", "HEAD")
    assert contents(ben) == {"train/a": b"a2", "train/b": b"b2"}
    assert ben.add() == ann.state()["digest"]
    ben.do("pull")
    assert contents(ben) == contents(ann)
    ben.do("checkout", "v1")
    assert ben.state()["state"] == "clean"


def test_several_parts(world: World, ann: User) -> None:
    ben = cloned(world, ann)
    ben.do("pull", "--exclude", "te*")
    ben.do("pull", "data/test", "--remote", "origin")
    ben.do("checkout", "v1")
    assert ben.state()["state"] == "clean"
    eve = cloned(world, ann, "eve")
    eve.do("pull", "data/readme")
    eve.do("pull", "--include", "train/a")
    eve.do("checkout", "v1")
    assert contents(eve) == {"train/a": b"a1", "readme": b"r1"}


def test_what_was_added_besides_goes_and_comes(world: World, ann: User) -> None:
    """A file outside of the part that is here belongs to a version as others do."""
    ben = cloned(world, ann)
    ben.do("pull", "data/train")
    ben.write({"more/x": b"x", "readme": b"r3"})
    ben.add()
    commit(ben, "third")
    ben.do("checkout", "v1")
    assert contents(ben) == {"train/a": b"a1", "train/gone": b"gone", "readme": b"r1"}
    assert ben.state()["changes"] == []
    ben.do("checkout", "HEAD")
    assert {"readme": b"r3"}.items() <= contents(ben).items()
    assert ben.state()["changes"] == []


def test_what_is_not_saved_is_refused(world: World, ann: User) -> None:
    ben = cloned(world, ann)
    ben.do("pull", "data/train")
    ben.write({"train/a": b"precious"})
    before = (ben.workspace / "data.hitsave").read_bytes()
    assert "unsaved changes would be lost (train/a" in ben.refused("checkout", "v1")
    assert contents(ben)["train/a"] == b"precious"
    assert (ben.workspace / "data.hitsave").read_bytes() == before


def test_after_git_has_moved_the_pointer_file(world: World, ann: User) -> None:
    ben = cloned(world, ann)
    ben.do("pull", "data/train")
    assert "as it should be" in ben.do("checkout").said
    git(ben.workspace, "checkout", "-q", "v1")
    assert "'hitsave pull --include /train data' fetches it" in ben.refused("checkout")
    ben.do("fetch", "data/train")
    ben.do("checkout")
    assert contents(ben) == {"train/a": b"a1", "train/gone": b"gone"}
    (ben.data / "train/a").unlink()
    ben.do("checkout", "data")
    assert contents(ben) == {"train/a": b"a1", "train/gone": b"gone"}


def test_directories_in_which_only_directories_are(world: World) -> None:
    ann = world.user(remote=True)
    (ann.data / "c/none").mkdir(parents=True)
    ann.write({"a": b"a"})
    ann.add()
    commit(ann, "first")
    git(ann.workspace, "tag", "v1")
    ann.write({"c/d/e": b"e"})
    ann.add()
    commit(ann, "second")
    ann.do("push")
    ben = cloned(world, ann)
    ben.do("pull", "data/c/d")
    ben.do("checkout", "v1")
    assert contents(ben) == {}
    assert ben.add() == ben.state()["digest"] == ann.do("rev-parse", "v1:data").text.strip()
    ben.do("checkout", "HEAD")
    assert contents(ben) == {"c/d/e": b"e"}
