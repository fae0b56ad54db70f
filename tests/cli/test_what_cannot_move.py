"""What cannot be pushed, pulled or checked out is named, and holds up nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.world import User, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def ann(world: World) -> User:
    ann = world.user(remote=True)
    for name in ("one", "two"):
        ann.write({"a": name.encode()}, name)
        ann.do("add", name)
    return ann


def lose(user: User, name: str, content: bytes) -> str:
    """Add a version of a dataset with a large file, and lose that file."""
    user.write({"large": content}, name)
    digest = user.add(name)
    (lost,) = (path for path in (user.cache / "objects").rglob("*") if path.is_file())
    lost.chmod(0o600)
    lost.unlink()
    return digest


def test_pull_brings_the_others(world: World, ann: User) -> None:
    ann.do("push", "one")
    ben = world.clone(ann)
    digest = ann.do("status", "two", "--json").json[0]["digest"]
    done = ben.run("pull")
    assert done.code == 1
    assert (ben.workspace / "one" / "a").read_bytes() == b"one"
    never = f"two: {digest} was never pushed to origin; run 'hitsave push' where it was added"
    assert done.said.splitlines()[-1] == f"hitsave: {never}"
    assert ben.refused("fetch", "two") == f"hitsave: {never}"
    told = ben.run("pull", "--json")
    assert (told.code, told.json["failed"]) == (1, {str(ben.workspace / "two"): never})


def test_pull_goes_past_changes_that_were_not_added(world: World, ann: User) -> None:
    ann.do("push")
    ben = world.clone(ann)
    ben.write({"a": b"mine"}, "one")
    done = ben.run("pull")
    assert done.code == 1
    assert (ben.workspace / "two" / "a").read_bytes() == b"two"
    assert "unsaved changes would be lost (a)" in done.said.splitlines()[-1]
    assert (ben.workspace / "one" / "a").read_bytes() == b"mine"


def test_push_sends_what_is_healthy(ann: User) -> None:
    digest = lose(ann, "one", b"l" * 200_000)
    (ann.workspace / "one" / "large").unlink()
    ann.add("one")
    done = ann.run("push")
    assert done.code == 1
    assert "2 refs made, to origin" in done.said
    last = done.said.splitlines()[-1]
    name = f"one@{digest[:12]}"
    assert last.startswith(f"hitsave: {name}: was not pushed, since ")
    assert last.endswith(f"'hitsave forget {name}' gives this version up")
    assert [dataset["pushed"] for dataset in ann.do("status", "--json").json] == [True, True]
    assert ann.run("push", "--json").json["failed"] == [last.removeprefix("hitsave: ")]
    ann.do("forget", name)
    assert "everything is there already" in ann.do("push").said


def test_checkout_says_where_the_data_comes_from(world: World, ann: User) -> None:
    digest = ann.do("status", "one", "--json").json[0]["digest"]
    ann.do("push")
    ben = world.clone(ann)
    ben.do("pull", "two")
    (ben.workspace / "two" / "a").unlink()
    done = ben.run("checkout")
    assert done.code == 1
    assert (ben.workspace / "two" / "a").read_bytes() == b"two"
    assert done.said.splitlines()[-1] == f"hitsave: one: {digest} is not here; 'hitsave pull one' fetches it"


def test_a_part_is_not_lost_and_is_not_given_up(world: World, ann: User) -> None:
    ann.write({"b": b"b"}, "one")
    ann.add("one")
    ann.do("push")
    ben = world.clone(ann)
    ben.do("pull", "--include", "a", "one")
    ben.do("remote", "add", "other", world.root / "other")
    short = ben.state("one")["digest"][:12]
    reason = f"hitsave: one@{short}: was not pushed, since only a part of it is here; 'hitsave fetch one' brings the "
    for paths in (["one"], []):
        done = ben.run("push", *paths, "--remote", "other")
        assert (done.code, done.said.splitlines()[0]) == (1, f"{reason}rest first")
        assert "lost" not in done.said
    assert ben.run("push", "--remote", "other", "--json").json["failed"][0].startswith(reason[9:])
    ben.do("push", "one")
    ben.do("fetch", "one")
    ben.do("push", "one", "--remote", "other")


def test_an_older_version_of_which_a_part_is_here(world: World, ann: User) -> None:
    ann.write({"b": b"b"}, "one")
    short = ann.add("one")[:12]
    ann.do("push")
    ben = world.clone(ann)
    ben.do("pull", "--include", "a", "one")
    ann.write({"b": b"newer"}, "one")
    ann.add("one")
    ann.do("push")
    (ben.workspace / "one.hitsave").write_bytes((ann.workspace / "one.hitsave").read_bytes())
    ben.do("pull")
    ben.do("remote", "add", "other", world.root / "other")
    done = ben.run("push", "--remote", "other")
    assert (done.code, done.said.count("only a part")) == (1, 1)
    assert f"one@{short}: was not pushed" in done.said
    assert f"'hitsave snapshot --restore {short} OUT' brings the rest first" in done.said
    ben.do("snapshot", "--restore", short, "out")
    ben.do("push", "--remote", "other")


def test_push_sends_the_others_where_a_pointer_file_is_none(ann: User) -> None:
    (ann.workspace / "three.hitsave").write_text("what is this?\n")
    done = ann.run("push")
    assert done.code == 1
    assert "2 refs made, to origin" in done.said
    assert f"hitsave: {ann.workspace / 'three.hitsave'}: " in done.said
    told = ann.run("push", "--json")
    assert (told.code, len(told.json["failed"])) == (1, 1)
    ann.write({"a": b"more"}, "one")
    ann.add("one")
    done = ann.run("push", "three", "one")
    assert done.code == 1
    assert "1 ref made, to origin" in done.said


def test_what_was_forgotten_and_is_named_comes_back_with_a_word(ann: User) -> None:
    short = ann.state("one")["digest"][:12]
    word = f"hitsave: one@{short}: was forgotten, and is owned again, since its pointer file names it"
    for paths in ([], ["one"]):
        ann.do("forget", f"one@{short}")
        assert ann.do("push", *paths).said.splitlines()[0] == word
        assert word not in ann.do("push", *paths).said


def test_a_push_of_refs_alone_counts_no_objects(ann: User) -> None:
    ann.do("push")
    (ann.workspace / "again.hitsave").write_bytes((ann.workspace / "one.hitsave").read_bytes())
    said = ann.do("push").said
    assert said.startswith("1 ref made, to origin (")
    assert said.endswith("); what it owns was there already\n")


def test_programs_are_always_told_what_failed(world: World, ann: User) -> None:
    assert ann.do("push", "--json").json["failed"] == []
    ben = world.clone(ann)
    told = ben.run("pull", "one/nothing", "--json")
    assert (told.code, told.json["failed"]) == (1, {str(ben.workspace / "one"): "there is no 'nothing' in one"})
