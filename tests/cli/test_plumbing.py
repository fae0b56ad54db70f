"""What programs read: JSON that parses, listings as git makes them, and one line for each thing."""

from __future__ import annotations

import json

import pytest

from tests.cli.world import User, World


@pytest.fixture
def pushed(world: World, ann: User) -> User:
    ann.add()
    ann.do("snapshot", "data/a.txt")
    ann.do("remote", "add", "origin", world.remote)
    ann.do("push")
    return ann


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "data"],
        ["status"],
        ["push"],
        ["pull"],
        ["fetch"],
        ["gc"],
        ["gc", "--dry-run"],
        ["fsck"],
        ["fsck", "--remote", "origin"],
        ["show-ref"],
        ["show-ref", "datasets/"],
        ["ls-tree", "data"],
        ["ls-tree", "-r", "data"],
        ["remote", "list"],
        ["config", "list"],
    ],
)
def test_json_parses_and_nothing_else_is_on_stdout(pushed: User, arguments: list[str]) -> None:
    done = pushed.do(*arguments, "--json")
    assert json.loads(done.text) is not None
    assert isinstance(done.json, (list, dict))


def test_listings(pushed: User) -> None:
    digest = pushed.state()["digest"]
    assert [line.split("\t")[1] for line in pushed.do("ls-tree", "data").lines] == ["a.txt", "sub"]
    assert [line.split()[:2] for line in pushed.do("ls-tree", "data").lines] == [["100644", "blob"], ["040000", "tree"]]
    assert [line.split("\t")[1] for line in pushed.do("ls-tree", "-r", digest[:8]).lines] == [
        "a.txt",
        "sub/b.txt",
        "sub/c.bin",
    ]
    assert pushed.do("cat-file", "data").text == pushed.do("ls-tree", "data").text
    assert pushed.do("cat-file", "data/sub/c.bin").out == bytes(range(256)) * 4
    assert pushed.do("cat-file", "-s", "data/sub").lines == [str(7 + 1024)]
    assert pushed.do("cat-file", "-t", "data/sub").lines == ["tree"]
    assert pushed.do("rev-parse", "data.hitsave", "./data", "data/../data", digest[:7]).lines == [digest] * 4
    assert pushed.do("rev-parse", f"datasets/project/data@{digest}").lines == [digest]
    assert pushed.do("rev-parse", ".", folder=pushed.data).lines == [digest]


def test_show_ref(pushed: User) -> None:
    lines = pushed.do("show-ref").lines
    assert len(lines) == 2
    assert [line.split()[1].split("/")[0] for line in lines] == ["datasets", "snapshots"]
    assert pushed.do("show-ref", "datasets/project/data").lines == lines[:1]
    assert pushed.run("show-ref", "public/").code == 1
    (told,) = pushed.do("show-ref", "--json", "snapshots/").json
    assert told["kind"] == "blob"
    assert told["path"] == "project/data/a.txt"
    assert told["created"] > 0
    assert "@" in told["by"]


def test_an_empty_cache_has_nothing_to_show(world: World) -> None:
    ann = world.user()
    assert ann.do("show-ref").out == b""
    assert ann.do("show-ref", "--json").json == []
    assert ann.do("status", "--json").json == []
    assert "no datasets here; 'hitsave add PATH' makes one" in ann.do("status").said
    assert ann.do("gc", "--json").json["objects"] == []
    assert ann.do("fsck", "--json").json["faults"] == []
    assert ann.do("remote", "list", "--json").json == []


def test_snapshots(world: World, pushed: User) -> None:
    done = pushed.do("snapshot", "data")
    digest = done.text.strip()
    assert digest == pushed.state()["digest"]
    assert "3 files, 1.0 kB: " in done.said
    public = pushed.do("snapshot", "--public", "--yes", "data/sub").text.strip()
    assert f"{public} public/{public}" in pushed.do("show-ref").lines
    ben = world.user("ben")
    ben.do("remote", "add", "origin", world.remote)
    ben.do("snapshot", "--restore", public[:9], "deep/er/out")
    assert (ben.workspace / "deep/er/out/b.txt").read_bytes() == b"second\n"
    single = pushed.do("snapshot", "data/a.txt").text.strip()
    ben.do("snapshot", "--restore", single[:9], "a-file")
    assert (ben.workspace / "a-file").read_bytes() == b"first\n"
    assert ben.do("snapshot", "a-file", environ={"HITSAVE_NO_CLOUD": "1"}).text.strip() == single
    assert ben.do("gc", "--json").json["objects"] == []


def test_restoring_by_every_name(world: World, pushed: User) -> None:
    digest = pushed.state()["digest"]
    for number, name in enumerate(["data", "data.hitsave", digest[:8], f"datasets/project/data@{digest}"]):
        pushed.do("snapshot", "--restore", name, f"out{number}")
        assert (pushed.workspace / f"out{number}/a.txt").read_bytes() == b"first\n"
    pushed.do("snapshot", "--restore", f"{digest[:8]}:sub/b.txt", "b")
    pushed.do("snapshot", "--restore", "data/sub", "s")
    assert (pushed.workspace / "b").read_bytes() == (pushed.workspace / "s/b.txt").read_bytes() == b"second\n"
