"""`git merge` merges datasets by their files, without fetching one; what it cannot merge is never lost."""

from __future__ import annotations

import pytest

from tests.cli.test_diff import commit
from tests.cli.test_git_hook import run_git
from tests.cli.world import Ran, User, World, git

FIRST = {"a": b"a\n", "b": b"b\n", "sub/c": b"c\n", "large": bytes(range(250)) * 1000}


def branch(user: User, name: str, changes: dict[str, bytes | None], start: str = "start") -> str:
    """Commit a version of `data` on a new branch; its digest."""
    git(user.workspace, "checkout", "--quiet", "-b", name, start)
    user.do("checkout", "data")
    user.write({path: content for path, content in changes.items() if content is not None})
    for path, content in changes.items():
        if content is None:
            (user.data / path).unlink()
    digest = user.add()
    commit(user, name)
    return digest


@pytest.fixture
def ann(world: World) -> User:
    """A dataset in one version, tagged `start`, in a repository that has been set up."""
    made = world.user(remote=True)
    made.do("install", "--merge-driver")
    made.write(FIRST)
    made.add()
    commit(made, "first")
    git(made.workspace, "tag", "start")
    return made


def elsewhere(world: World, user: User) -> User:
    """Somebody with all of the history in git, and an empty cache."""
    ben = world.user("ben", remote=True)
    git(ben.workspace, "fetch", "--quiet", "--update-head-ok", str(user.workspace), "+refs/*:refs/*")
    git(ben.workspace, "checkout", "--quiet", "--force", "ours")
    ben.do("install", "--merge-driver")
    return ben


def merge(user: User, name: str, *options: str, **environ: str) -> Ran:
    """Merge a branch into the one that is checked out."""
    user.variables.update(environ)
    done = run_git(user, "merge", "--no-edit", *options, name)
    for variable in environ:
        del user.variables[variable]
    return done


def contents(user: User) -> dict[str, bytes]:
    """The working files."""
    return {
        path.relative_to(user.data).as_posix(): path.read_bytes() for path in user.data.rglob("*") if path.is_file()
    }


def test_what_each_side_changed_is_taken_without_the_files(world: World, ann: User) -> None:
    branch(ann, "theirs", {"a": b"theirs\n", "new/d": b"d\n", "large": b"small\n"})
    branch(ann, "ours", {"b": b"ours\n", "sub/c": None, "both": b"same\n"})
    ann.do("push")
    ben = elsewhere(world, ann)
    done = merge(ben, "theirs")
    assert done.code == 0, done.said
    assert "data.hitsave: merged, 5 files" in done.said
    assert not ben.data.exists()
    ben.do("gc", "--keep", "0")
    ben.do("fsck")
    assert "1 ref made" in ben.do("push", "data").said
    ben.do("fsck", "--remote")
    ben.do("pull")
    assert contents(ben) == {"a": b"theirs\n", "b": b"ours\n", "both": b"same\n", "large": b"small\n", "new/d": b"d\n"}
    assert merge(ann, "theirs").code == 0
    assert ann.state()["in_cache"]
    assert ann.state()["digest"] == ben.state()["digest"]


def test_a_file_that_both_sides_changed_is_a_conflict(ann: User) -> None:
    theirs = branch(ann, "theirs", {"a": b"theirs\n", "new": b"new\n"})
    ours = branch(ann, "ours", {"a": b"ours\n", "b": None})
    done = merge(ann, "theirs")
    assert done.code == 1
    assert "both sides changed data/a; 'hitsave resolve --ours data'" in done.said
    for command in ("status", "checkout", "pull"):
        said = ann.run(command).said
        assert f"data.hitsave: holds a merge conflict (ours is {ours[:12]}, theirs {theirs[:12]})" in said
    assert "holds a merge conflict" in ann.refused("add", "data")
    assert ann.run("resolve").code == 1
    assert ann.run("resolve", "--json").json == [{"path": str(ann.data), "digest": None, "conflicts": ["a"]}]
    assert "holds a merge conflict" in ann.run("status").said
    assert "one of --ours and --theirs" in ann.refused("resolve", "--ours", "--theirs", code=2)
    assert "our version of 1 path; 'git add data.hitsave'" in ann.do("resolve", "--ours").said
    ann.do("pull")
    assert contents(ann) == {"a": b"ours\n", "large": FIRST["large"], "new": b"new\n", "sub/c": b"c\n"}
    ann.do("resolve", "--theirs", "data")
    ann.do("checkout")
    assert (ann.data / "a").read_bytes() == b"theirs\n"
    commit(ann, "merged")
    assert "no pointer file is in conflict" in ann.do("resolve").said
    assert "git holds no merge conflict for it" in ann.refused("resolve", "data")


def test_git_without_the_driver_leaves_a_conflict_that_can_be_resolved(ann: User) -> None:
    branch(ann, "theirs", {"a": b"theirs\n"})
    branch(ann, "ours", {"b": b"ours\n"})
    ann.do("install", "--uninstall", "--merge-driver")
    done = merge(ann, "theirs")
    assert done.code == 1
    assert "hitsave" not in done.said.replace("data.hitsave", "")
    assert "holds a merge conflict (ours is" in ann.run("status").said
    ann.do("resolve")
    ann.do("checkout")
    assert (ann.data / "a").read_bytes() + (ann.data / "b").read_bytes() == b"theirs\nours\n"


def test_what_is_out_of_reach_is_left_in_conflict_and_merged_later(world: World, ann: User) -> None:
    branch(ann, "theirs", {"a": b"theirs\n"})
    branch(ann, "ours", {"b": b"ours\n"})
    ann.do("push")
    ben = elsewhere(world, ann)
    done = merge(ben, "theirs", HITSAVE_NO_CLOUD="1")
    assert done.code == 1
    assert "left in conflict; 'hitsave resolve data' tries it again" in done.said
    assert (ben.workspace / "data.hitsave").read_text().startswith("<<<<<<< ours\nhitsave 1\ndigest ")
    ben.do("resolve")
    ben.do("pull")
    assert (ben.data / "a").read_bytes() + (ben.data / "b").read_bytes() == b"theirs\nours\n"


def test_datasets_that_both_sides_added_or_one_removed(ann: User) -> None:
    for name in ("theirs", "ours"):
        git(ann.workspace, "checkout", "--quiet", "-b", name, "start")
        ann.write({name: name.encode(), "same": b"same\n"}, "other")
        (ann.workspace / "other" / ("ours" if name == "theirs" else "theirs")).unlink(missing_ok=True)
        ann.add("other")
        if name == "ours":
            git(ann.workspace, "rm", "--quiet", "data.hitsave")
        commit(ann, name)
    assert merge(ann, "theirs").code == 0
    assert ann.do("ls", "other").lines == ["ours", "same", "theirs"]
    assert not (ann.workspace / "data.hitsave").exists()

    branch(ann, "changed", {"a": b"changed\n"})
    git(ann.workspace, "checkout", "--quiet", "ours")
    assert merge(ann, "changed").code == 1
    assert "one side has removed it; 'git add' keeps it" in ann.refused("resolve")


def test_crossed_merges_have_several_ancestors(ann: User) -> None:
    """Git merges the ancestors first; what is in conflict between them is settled on both sides."""
    branch(ann, "left", {"a": b"left\n"})
    branch(ann, "right", {"a": b"right\n", "b": b"right\n"})
    for name, other in (("left", "right"), ("right", "left")):
        git(ann.workspace, "checkout", "--quiet", "-b", f"{name}-both", name)
        assert merge(ann, other).code == 1
        ann.do("resolve", "--ours" if name == "left" else "--theirs")
        ann.do("checkout", "data")
        ann.write({name: b"later\n"})
        ann.add()
        commit(ann, f"{name} with {other}")
    done = merge(ann, "left-both")
    assert done.code == 0, done.said
    ann.do("checkout", "data")
    assert contents(ann) == {**FIRST, "a": b"left\n", "b": b"right\n", "left": b"later\n", "right": b"later\n"}


def test_the_driver_alone_keeps_both_sides_of_what_it_cannot_read(ann: User) -> None:
    places = {name: ann.workspace / name for name in ("base", "ours", "theirs")}
    for name, place in places.items():
        place.write_bytes(name.encode())
    done = ann.run("merge-driver", *places.values(), "data.hitsave")
    assert done.code == 1
    assert places["ours"].read_bytes() == b"<<<<<<< ours\nours\n=======\ntheirs\n>>>>>>> theirs\n"
