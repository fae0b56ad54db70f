"""The whole first day with the command, as a user would live it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.cli.world import User, World, assert_same, git, settle


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, anew=True)


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def sent(user: User, *arguments: str) -> dict[str, int]:
    return dict(user.do("push", "--json", *arguments).json)


def test_the_first_day(world: World) -> None:
    ann = world.user()
    ann.write({f"part/{number}.bin": noise(3000, number) for number in range(40)})
    ann.write({"large.bin": noise(600_000, 99), "readme": b"about\n"})
    settle()

    first = ann.add()
    assert len(first) == 64
    assert ann.state()["state"] == "clean"
    assert git(ann.workspace, "status", "--porcelain", "--untracked-files=all").split() == [
        "??", ".gitignore", "??", "data.hitsave",
    ]  # fmt: skip

    ann.do("remote", "add", "origin", world.remote)
    assert ann.state()["pushed"] is False
    whole = sent(ann)
    assert whole["refs"] == 1
    assert 700_000 < whole["sent"] < 800_000
    assert ann.state()["pushed"] is True
    assert sent(ann) == {**dict.fromkeys(whole, 0), "failed": []}

    ben = world.clone(ann)
    assert ben.state()["state"] == "missing"
    ben.do("pull")
    assert_same(ann.data, ben.data)
    assert ben.state()["state"] == "clean"
    assert ben.state()["in_cache"] is True

    ann.write({"part/7.bin": noise(3000, 1007)})
    changed = ann.state()
    assert changed["state"] == "modified"
    assert changed["changes"] == [{"kind": "changed", "path": "part/7.bin"}]
    settle()
    (added,) = ann.do("add", "--json", "data").json
    second = added["digest"]
    assert second != first
    assert added["read"] == 1
    assert added["new_objects"] == 3  # One file, its directory, and the directory above.
    assert added["new_size"] < 20_000
    change = sent(ann)
    assert change["refs"] == 1
    assert 3000 < change["sent"] < 20_000

    (ben.workspace / "data.hitsave").write_bytes((ann.workspace / "data.hitsave").read_bytes())
    ben.do("pull")
    assert_same(ann.data, ben.data)

    ann.do("snapshot", "--restore", first[:9], "before")
    assert (ann.workspace / "before/part/7.bin").read_bytes() == noise(3000, 7)
    assert ann.do("hash-object", "before").text.strip() == first


def test_forgetting_and_its_way_back(world: World, ann: User) -> None:
    first = ann.add()
    before = world.root / "before"
    ann.do("snapshot", "--restore", first[:10], before)
    ann.write({"a.txt": b"first, changed\n"})
    second = ann.add()
    refs = ann.do("show-ref", "datasets/").lines
    assert sorted(line.split()[0] for line in refs) == sorted([first, second])

    assert ann.do("gc", "--dry-run", "--json").json["objects"] == []
    name = f"data@{first[:12]}"
    assert ann.do("forget", name).lines == [f"datasets/project/data@{first}"]
    dry = ann.do("gc", "--dry-run")
    assert len(dry.lines) == 2  # The old file, and the old tree; `sub` and what is in it have another owner.
    assert all(f"datasets/project/data@{first[:12]}" in line for line in dry.lines)
    assert any("a.txt" in line for line in dry.lines)
    assert ann.do("rev-parse", first[:12]).text.strip() == first

    collected = ann.do("gc", "--json").json
    assert len(collected["objects"]) == 2
    assert "no object" in ann.refused("rev-parse", first[:12])
    assert ann.state()["in_cache"] is True
    ann.do("fsck")

    assert ann.do("undo").lines == [f"datasets/project/data@{first}"]
    ann.do("snapshot", "--restore", first[:12], "again")
    assert_same(before, ann.workspace / "again")
    ann.do("fsck")


def test_verification_finds_nothing_wrong_and_then_what_is(world: World, ann: User) -> None:
    ann.write({"large.bin": noise(300_000, 5)})
    ann.add()
    ann.do("remote", "add", "origin", world.remote)
    ann.do("push")
    report = ann.do("fsck", "--json").json
    assert report["faults"] == []
    assert report["objects"] == 6
    assert ann.do("fsck", "--remote", "origin", "--json").json["faults"] == []
    assert ann.do("fsck", "--remote", "origin", "--sample", "100%", "--json").json["faults"] == []

    pack = max((path for path in (world.remote / "packs").rglob("*") if path.is_file()), key=lambda path: path.name)
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(content)
    report = ann.run("fsck", "--remote", "origin", "--json")
    assert report.code == 1
    assert len(report.json["faults"]) >= 1
    assert pack.stem in str(report.json["faults"])

    ben = world.clone(ann)
    assert "corrupt" in ben.refused("-q", "pull")
    assert not ben.data.exists()
    ann.do("fsck")


def test_gc_with_nothing_kept_and_then_undo_says_so(ann: User) -> None:
    digest = ann.add()
    ann.do("forget", digest)
    done = ann.do("gc", "--keep", "0", "--json").json
    assert done["purged"] > 0
    assert "nothing to undo" in ann.refused("undo")
    assert ann.state()["in_cache"] is False
    assert ann.state()["state"] == "clean"
    assert ann.add() == digest  # Working files bring it back.
    assert ann.state()["in_cache"] is True
    ann.do("fsck")


def test_a_push_that_was_never_finished_is_taken_up_again(world: World, ann: User) -> None:
    ann.add()
    ann.do("remote", "add", "origin", world.remote)
    ann.do("push")
    shipped = sorted(path.relative_to(world.remote) for path in world.remote.rglob("*") if path.is_file())
    assert sent(ann)["sent"] == 0
    assert sorted(path.relative_to(world.remote) for path in world.remote.rglob("*") if path.is_file()) == shipped


def test_nothing_of_another_project_is_pushed(world: World) -> None:
    ann = world.user(remote=True)
    ann.write({"a": b"ours"})
    ann.add()
    other = world.root / "ann" / "secret"
    other.mkdir()
    (other / "hitsave.toml").touch()
    (other / "data").mkdir()
    (other / "data" / "b").write_bytes(b"theirs" * 100)
    ann.do("add", "data", folder=other)
    ann.do("snapshot", "data/b", folder=other)
    done = sent(ann)
    assert done["refs"] == 1
    assert done["objects"] == 2
    everything = b"".join(path.read_bytes() for path in world.remote.rglob("*") if path.is_file())
    assert b"secret" not in everything
