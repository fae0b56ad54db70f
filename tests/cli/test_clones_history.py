"""Who made which version, and when: the same in every clone, whenever somebody fetched it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cli.test_diff import cloned, commit
from tests.cli.test_log import told
from tests.cli.world import User, World


@pytest.fixture
def ann(world: World) -> User:
    """Somebody who has pushed three versions of a dataset, each of a commit of its own."""
    ann = replace(world.user(remote=True), variables={"LOGNAME": "ann"})
    for number in range(3):
        ann.write({"a": b"%d" % number, f"only/{number}": b"%d" % number})
        ann.add()
        commit(ann, f"version {number}")
    ann.do("push")
    return ann


@pytest.fixture
def ben(world: World, ann: User) -> User:
    """Somebody else, who has been at each of the versions, the newest first."""
    ben = replace(cloned(world, ann), variables={"LOGNAME": "ben"})
    ben.do("pull")
    for revision in ("HEAD~1", "HEAD~2", "HEAD"):
        ben.do("checkout", revision)
    return ben


def origins(user: User) -> list[tuple[str, int, str, str]]:
    return [(each["digest"], each["time"], each["by"], each["added_at_commit"]) for each in told(user)]


def test_a_clone_tells_who_made_a_version_and_when(ann: User, ben: User) -> None:
    assert origins(ben) == origins(ann)
    assert {by.partition("@")[0] for _, _, by, _ in origins(ben)} == {"ann"}
    ben.variables["HITSAVE_NO_CLOUD"] = "1"
    assert origins(ben) == origins(ann)


def test_policies_keep_the_newest_versions_in_a_clone_too(ann: User, ben: User) -> None:
    newest, middle, oldest = (digest for digest, *_ in origins(ann))
    assert ben.do("forget", "--keep-last", "2").lines == [f"datasets/project/data@{oldest}"]
    assert ben.do("forget", "--keep-last", "1").lines == [f"datasets/project/data@{middle}"]
    assert [each["digest"] for each in told(ben) if each["current"]] == [newest]


def test_what_was_forgotten_is_as_old_when_it_is_owned_again(ann: User, ben: User) -> None:
    for user in (ann, ben):
        before = origins(user)
        oldest = before[-1][0]
        user.do("forget", f"data@{oldest[:12]}")
        user.variables["HITSAVE_NO_CLOUD"] = "1"  # All of it is here.
        user.do("checkout", "HEAD~2")
        assert origins(user) == before
        assert told(user)[-1]["owned"] is True


def test_a_part_of_a_version_is_as_old_as_the_whole(ann: User, world: World) -> None:
    ben = replace(cloned(world, ann), variables={"LOGNAME": "ben"})
    ben.do("pull", "--include", "/a", "data")
    ben.do("fetch", "data")
    ben.variables["HITSAVE_NO_CLOUD"] = "1"
    assert origins(ben)[0] == origins(ann)[0]


def test_a_version_that_was_added_here_stays_who_added_it(ann: User, ben: User) -> None:
    ben.write({"a": b"ben's"})
    made = ben.add()
    ben.do("push")
    first = origins(ben)[0]
    assert (first[0], first[2].partition("@")[0]) == (made, "ben")
    assert origins(ann)[0] == first


def test_what_is_all_here_is_as_old_as_its_commit(ann: User, world: World) -> None:
    """No remote is asked for what came by its digest before."""
    first = told(ann)[-1]["digest"]
    ben = replace(cloned(world, ann), variables={"LOGNAME": "ben"})
    ben.do("snapshot", "--restore", first, "out")
    ben.variables["HITSAVE_NO_CLOUD"] = "1"
    ben.do("checkout", "HEAD~2")
    (version,) = (each for each in told(ben) if each["digest"] == first)
    assert (version["owned"], version["by"]) == (True, "tester")
    assert version["time"] == version["commits"][-1]["time"]
