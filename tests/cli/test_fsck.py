"""Damage in a cache or in a remote: `fsck` finds it, `fsck --repair` mends it, and says what it cannot mend."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.world import User, World, assert_same
from tests.faults.operations import noise

FILES = {
    **{f"small/{number}.json": b'{"number": %d}\n' % number * 20 for number in range(30)},
    "large.bin": noise(5, 700_000),
    "text.txt": b"text\n" * 300,
}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    write(path, bytes(content))


def halve(path: Path) -> None:
    write(path, path.read_bytes()[: path.stat().st_size // 2])


def zero(path: Path) -> None:
    write(path, bytes(path.stat().st_size))


def write(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    found = path.stat()
    path.write_bytes(content)
    # As a disk that rots does: nothing but the content changes.
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


Damage = Callable[[Path], None]


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def ann(world: World) -> User:
    """A user who has pushed a dataset, and sees no other copy of it but in cache and remote."""
    user = world.user(remote=True)
    user.write(FILES)
    user.add()
    user.do("push")
    return user


def check_pull(world: World, user: User, name: str) -> None:
    other = world.clone(user, name)
    other.do("pull")
    assert_same(user.data, other.data)


# -- remotes


@pytest.mark.parametrize(("part", "damage"), [("packs", flip), ("indexes", halve), ("refs", Path.unlink)])
def test_a_damaged_remote_is_repaired_from_the_cache(world: World, ann: User, part: str, damage: Damage) -> None:
    damaged = files(world.remote / part)
    assert damaged
    for path in damaged:
        damage(path)
    found = ann.run("fsck", "--remote")
    assert found.code == 1
    assert all(any(path.name in line for line in found.lines) for path in damaged)
    done = ann.do("fsck", "--remote", "origin", "--repair")
    assert done.lines == []
    assert all(path.name in done.said for path in damaged)
    assert "repaired" in done.said
    ann.do("fsck", "--remote")
    assert "no faults" in ann.do("fsck", "--remote", "--repair").said
    check_pull(world, ann, "ben")


def test_a_remote_is_repaired_from_another_one(world: World, ann: User) -> None:
    ann.do("remote", "add", "second", world.root / "second")
    ann.do("push", "--remote", "second")
    for path in files(world.remote / "packs"):
        zero(path)
    shutil.rmtree(ann.cache)
    ann.do("remote", "add", "away", world.root / "away")  # Nothing was ever pushed there.
    told = ann.do("fsck", "--remote", "origin", "--repair", "--json").json
    assert told["faults"] == []
    assert len(told["repaired"]) >= 2
    assert ann.do("fsck", "--remote", "origin", "--json").json["faults"] == []
    check_pull(world, ann, "ben")


def test_what_nobody_has_of_a_remote_is_listed_with_its_owner(world: World, ann: User) -> None:
    for path in files(world.remote / "packs"):
        zero(path)
    shutil.rmtree(ann.cache)
    before = {path: path.read_bytes() for path in files(world.remote)}
    done = ann.run("fsck", "--remote", "--repair", "--json")
    assert done.code == 1
    assert done.json["faults"]
    assert all("datasets/project/data@" in fault["owners"][0] for fault in done.json["faults"])
    assert {path: path.read_bytes() for path in before} == before
    after = files(world.remote)
    assert ann.run("fsck", "--remote", "--repair").code == 1
    assert files(world.remote) == after
    assert "no object" in ann.refused("gc", "--remote", "--keep", "0")
    assert files(world.remote) == after


# -- the cache


@pytest.mark.parametrize(("part", "damage"), [("packs", halve), ("indexes", zero), ("objects", flip)])
def test_a_damaged_cache_is_repaired_from_the_remote(world: World, ann: User, part: str, damage: Damage) -> None:
    damaged = files(ann.cache / part)
    assert damaged
    for path in damaged:
        damage(path)
    before = [(path, path.read_bytes()) for path in files(ann.cache) if path.suffix != ".db"]
    found = ann.run("fsck")
    assert found.code == 1
    assert all(any(path.name in line for line in found.lines) for path in damaged)
    assert [(path, path.read_bytes()) for path, _ in before] == before
    done = ann.do("fsck", "--repair")
    assert done.lines == []
    assert all(path.name in done.said for path in damaged)
    assert "no faults" in ann.do("fsck").said
    shutil.rmtree(ann.data)
    shutil.move(world.remote, world.root / "moved")
    ann.do("checkout")
    shutil.move(world.root / "moved", world.remote)
    check_pull(world, ann, "ben")
    assert all("quarantine" not in path.parts or path.suffix != ".pack" for path in files(ann.cache))


def test_what_no_remote_has_of_a_cache_is_listed_and_kept(world: World, ann: User) -> None:
    ann.write({"one": noise(7, 3000), "two": noise(8, 300_000)}, "more")
    ann.add("more")
    lost = noise(7, 3000)[100:200]
    packs = [path for path in files(ann.cache / "packs") if lost in path.read_bytes()]
    large = [path for path in files(ann.cache / "objects") if path.stat().st_size == 300_000]
    assert len(packs) == len(large) == 1
    content = packs[0].read_bytes().replace(lost, bytes(100))
    for path in packs:
        write(path, content)
    for path in large:
        zero(path)
    done = ann.run("fsck", "--repair", "--json")
    assert done.code == 1
    digests = {fault["digest"] for fault in done.json["faults"]}
    hashed = ann.do("hash-object", ann.workspace / "more/one", ann.workspace / "more/two").lines
    assert digests == {line.split()[0] for line in hashed}
    assert all(fault["owners"] == [done.json["faults"][0]["owners"][0]] for fault in done.json["faults"])
    assert "datasets/project/more@" in done.json["faults"][0]["owners"][0]
    kept = [path.read_bytes() for path in files(ann.cache / "quarantine")]
    assert content in kept
    assert bytes(300_000) in kept
    # The other dataset is whole, and so is this one when its files are added again.
    assert ann.state("data")["in_cache"] is True
    assert ann.run("fsck").code == 1
    ann.add("more")
    ann.do("fsck")


def test_a_part_that_was_pulled_is_brought_back_and_no_more(world: World, ann: User) -> None:
    ben = world.clone(ann)
    ben.do("pull", "--include", "small/*")
    for path in files(ben.cache / "packs"):
        zero(path)
    assert ben.run("fsck").code == 1
    ben.do("fsck", "--repair")
    ben.do("fsck")
    assert not files(ben.cache / "objects")
    ben.do("pull")
    assert_same(ann.data, ben.data)


def test_repair_without_a_remote_saves_what_can_be_read(world: World) -> None:
    user = world.user()
    user.write({"one": noise(7, 3000), "two": noise(8, 3000)})
    digest = user.add()
    (pack,) = files(user.cache / "packs")
    lost = noise(7, 3000)[100:200]
    write(pack, pack.read_bytes().replace(lost, bytes(100)))
    done = user.run("fsck", "--repair")
    assert done.code == 1
    assert len(done.lines) == 1
    assert digest in done.lines[0]
    assert user.do("cat-file", user.do("hash-object", user.data / "two").text.split()[0]).out == noise(8, 3000)


def test_wrong_usage(ann: User) -> None:
    assert "leave --sample out" in ann.refused("fsck", "--remote", "--sample", "5%", "--repair", code=2)


def test_nothing_to_repair(ann: User) -> None:
    assert "no faults" in ann.do("fsck", "--repair").said
    assert ann.do("fsck", "--remote", "--repair", "--json").json["faults"] == []


def test_an_object_of_several_owners_is_one_fault_with_its_path(world: World) -> None:
    user = world.user()
    user.write({"a/1.bin": noise(3, 200_000), "b": b"b"})
    for number in range(3):
        user.write({"b": b"%d" % number})
        user.add()
    user.do("snapshot", "data/a")
    (lost,) = files(user.cache / "objects")
    lost.unlink()
    found = user.run("fsck")
    assert len(found.lines) == 1
    assert found.lines[0].count("data/a/1.bin") == 1
    assert "and 1 more" in found.lines[0]
    assert "1 fault\n" in found.said
    assert "'hitsave add'" in found.said.splitlines()[-1]
    (fault,) = user.run("fsck", "--json").json["faults"]
    assert (fault["path"], len(fault["owners"])) == ("data/a/1.bin", 4)
    assert user.run("fsck", "--repair").said.endswith(
        "\n'hitsave add' of an intact working file brings its content back\n"
    )
    user.add()
    assert "no faults" in user.do("fsck").said


def test_a_file_that_was_changed_in_the_cache_comes_back_by_add(world: World) -> None:
    user = world.user()
    user.write({"large": noise(3, 200_000)})
    user.add()
    (path,) = files(user.cache / "objects")
    path.chmod(0o644)
    path.write_bytes(b"other")
    (user.data / "large").rename(user.workspace / "kept")
    assert "'hitsave add' of the intact file mends that" in user.refused("checkout")
    (user.workspace / "kept").rename(user.data / "large")
    user.add()
    assert "no faults" in user.do("fsck").said


def test_a_tree_that_is_lost_is_one_fault(world: World) -> None:
    user = world.user()
    for number in range(2):
        user.write({"a/1": b"1", f"{number}": b"%d" % number})
        user.add()
    for pack in files(user.cache / "packs"):
        zero(pack)
    found = user.run("fsck", "--repair", "--json")
    assert found.code == 1
    assert len({fault["digest"] for fault in found.json["faults"]}) == len(found.json["faults"])
    user.add()
    assert user.run("fsck").lines != []
