"""What datasets take: measured against what a collection frees."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.cli.world import User, World

KIB = 1024


def noise(seed: int, size: int = 200 * KIB) -> bytes:
    return random.Random(seed).randbytes(size)


def told(user: User, *arguments: str) -> dict[str, dict[str, Any]]:
    """What `du` says, by path."""
    return {item["path"]: item for item in user.do("du", "--json", *arguments).json}


@pytest.fixture
def kept(world: World) -> User:
    """`data` in two versions, and `twin`, which shares a file with both of them."""
    ann = world.user()
    ann.write({"all": noise(1), "old": noise(2), "text": b"word " * 2000})
    ann.add()
    ann.write({"new": noise(3)})
    (ann.data / "old").unlink()
    ann.add()
    ann.write({"all": noise(1), "own": noise(4)}, "twin")
    ann.add("twin")
    return ann


def test_what_is_shared_and_what_is_not(kept: User) -> None:
    found = told(kept, "--versions")
    data, twin = found["data"], found["twin"]
    assert data["apparent"] == 4 * 200 * KIB + 2 * 10_000
    assert 600 * KIB < data["stored"] < 600 * KIB + 2000  # The text is compressed; trees are small.
    assert data["shared"] == 200 * KIB
    assert data["freed"] == data["stored"] - data["shared"]
    assert (data["files"], data["count"], twin["count"]) == (3, 2, 1)
    assert twin["shared"] == 200 * KIB
    assert 200 * KIB < twin["freed"] < 200 * KIB + 500
    for version in data["versions"]:
        assert 400 * KIB < version["stored"] < 400 * KIB + 1500
        assert 200 * KIB < version["freed"] < 200 * KIB + 500  # One file of its own, and its tree.
    assert [version["apparent"] for version in data["versions"]] == [2 * 200 * KIB + 10_000] * 2


def test_what_would_be_freed_is_what_a_collection_frees(kept: User) -> None:
    before = {path.name for path in (kept.cache / "objects").rglob("*") if path.is_file()}
    version = told(kept, "--versions")["data"]["versions"][0]
    kept.do("forget", f"data@{version['digest']}")
    kept.do("gc", "--keep", "0")
    after = {path.name for path in (kept.cache / "objects").rglob("*") if path.is_file()}
    assert len(before - after) == 1  # 200 KiB, as was said.
    left = told(kept)["data"]
    assert left["count"] == 1
    assert 200 * KIB < left["freed"] < 200 * KIB + 1500


def test_lines_and_paths(kept: User) -> None:
    done = kept.do("du")
    assert [line.split()[-1] for line in done.lines] == ["data", "twin"]
    assert done.said.split() == ["apparent", "stored", "shared", "freed", "versions"]
    assert [line.split()[-1] for line in kept.do("du", "twin.hitsave").lines] == ["twin"]
    assert [line.split()[-1].partition("@")[0] for line in kept.do("du", "--versions", "data").lines] == ["data"] * 3
    below = [line.split()[-1] for line in kept.do("du", folder=kept.data).lines]
    assert below == [".", "../twin"]
    kept.write({"x": b"1"}, "data@0")  # No version of `data`, though its name begins so.
    kept.add("data@0")
    assert told(kept, "data")["data"]["count"] == 2
    kept.do("forget", "data@0@" + kept.state("data@0")["digest"])
    (kept.workspace / "twin.hitsave").unlink()
    assert set(told(kept)) == {"data", "twin"}  # Nobody has forgotten it.
    assert "no version of it is here" in kept.refused("du", "nothing")
    assert "name no paths" in kept.refused("du", "--all", "data", code=2)


def test_everything_by_its_owner(kept: User) -> None:
    kept.do("snapshot", "data/new")
    found = told(kept, "--all")
    assert set(found) == {"datasets/project/data", "datasets/project/twin", "snapshots"}
    assert found["snapshots"]["shared"] == found["snapshots"]["stored"] == 200 * KIB
    assert found["datasets/project/data"]["shared"] == 400 * KIB


def test_what_was_fetched_in_part_counts_as_far_as_it_is_here(world: World, kept: User) -> None:
    kept.do("remote", "add", "origin", world.remote)
    kept.do("push")
    ben = world.clone(kept)
    assert told(ben) == {}
    ben.do("pull", "--include", "text", "data")
    data = told(ben)["data"]
    assert data["apparent"] == 2 * 200 * KIB + 10_000
    assert data["stored"] < 2000
