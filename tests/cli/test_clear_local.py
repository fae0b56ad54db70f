"""`clear-local`: room on this machine, and nothing lost that is nowhere else."""

from __future__ import annotations

import shutil

import pytest

from hitsave.cli.failures import WRONG_USAGE
from tests.cli.world import User, World, assert_same


@pytest.fixture
def pushed(world: World) -> User:
    """`data`, which was pushed, and `later`, which was not."""
    ann = world.user(remote=True)
    ann.write({"a": b"a", "sub/large": bytes(range(250)) * 4000})
    ann.add()
    ann.do("push")
    ann.write({"b": b"b"}, "later")
    ann.add("later")
    return ann


def refs(user: User, *arguments: str) -> list[str]:
    """The names of refs."""
    return [line.split()[1].partition("@")[0] for line in user.do("show-ref", *arguments).text.splitlines()]


def test_what_is_in_the_remote_goes_and_comes_back(world: World, pushed: User) -> None:
    copy = world.root / "copy"
    shutil.copytree(pushed.data, copy)
    (name,) = [ref for ref in refs(pushed) if ref.endswith("/data")]
    assert pushed.do("clear-local", "--dry-run", "--json").json["refs"][0].startswith(name)
    assert len(refs(pushed)) == 2
    done = pushed.do("clear-local", "--yes")
    assert "1 ref removed from this machine, 1.0 MB deleted" in done.said
    assert "1 ref kept, which no remote of this workspace has" in done.said
    assert name not in refs(pushed)
    assert pushed.state()["in_cache"] is False
    assert pushed.state("later")["in_cache"] is True
    assert sum(path.stat().st_size for path in pushed.cache.glob("objects/*/*")) == 0
    pushed.do("fsck")
    shutil.rmtree(pushed.data)
    pushed.do("pull")
    assert_same(copy, pushed.data)


def test_what_was_cleared_is_not_dropped_from_the_remote(pushed: User) -> None:
    pushed.do("clear-local", "--yes", "--force")
    assert refs(pushed) == []
    before = refs(pushed, "--remote")
    pushed.do("gc", "--remote", "--keep", "0")
    assert refs(pushed, "--remote") == before != []


def test_it_asks_first(pushed: User) -> None:
    said = pushed.refused("clear-local", code=WRONG_USAGE)
    assert "--yes says that it is meant" in said
    assert len(refs(pushed)) == 2


def test_without_a_remote_all_is_kept(world: World) -> None:
    ann = world.user()
    ann.write({"a": b"a"})
    ann.add()
    done = ann.do("clear-local", "--yes", "--json").json
    assert (done["refs"], len(done["kept"])) == ([], 1)
    assert ann.state()["in_cache"] is True


def test_no_remote_is_asked_where_none_is_to_be_touched(pushed: User) -> None:
    said = pushed.refused("clear-local", "--yes", environ={"HITSAVE_NO_CLOUD": "1"})
    assert said == "hitsave: HITSAVE_NO_CLOUD is set, so no remote was asked what it has; nothing was removed"
    assert len(refs(pushed)) == 2
    pushed.do("clear-local", "--yes", "--force", environ={"HITSAVE_NO_CLOUD": "1"})
    assert refs(pushed) == []


def test_a_remote_that_cannot_be_asked_may_have_it(world: World, pushed: User) -> None:
    world.remote.rename(world.root / "away")
    done = pushed.do("clear-local", "--yes")
    assert "2 refs kept, which no remote has that could be asked" in done.said


def test_other_projects_are_left_alone(world: World, pushed: User) -> None:
    """They may have no remote, or another one."""
    other = User(world.root / "dogs", pushed.cache, pushed.config)
    other.workspace.mkdir()
    (other.workspace / "hitsave.toml").write_text(f'[remotes]\norigin = "{world.remote}"\n')
    other.write({"a": b"dog"})
    other.add()
    other.do("push")
    other.do("remote", "remove", "origin")
    assert len(refs(pushed)) == 3
    done = pushed.do("clear-local", "--yes", "--force")
    assert "1 ref of other projects left alone; --all takes them, too" in done.said
    assert refs(pushed) == ["datasets/dogs/data"]
    shutil.rmtree(other.data)
    other.do("checkout")
    assert pushed.do("clear-local", "--dry-run", "--json").json["others"][0].startswith("datasets/dogs/data@")
    pushed.do("clear-local", "--yes", "--all")
    assert refs(pushed) == []
