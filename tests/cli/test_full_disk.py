"""A cache on a disk without a byte left: what is there can be read, and what frees room has a megabyte for itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hitsave.cache.store import Cache
from hitsave.errors import CacheError
from tests.cli.world import User, World
from tests.faults.operations import noise

FULL = "the disk is full; free some MB there, and 'hitsave gc --keep 0' then deletes"


@pytest.fixture
def disk(world: World) -> Iterator[Path]:
    """A file system of eight megabytes."""
    folder = world.root / "disk"
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True, capture_output=True)


def fill(disk: Path, leave: int = 0) -> None:
    with (disk / "filler").open("wb") as file:
        file.write(bytes(shutil.disk_usage(disk).free - leave))
    assert shutil.disk_usage(disk).free == leave


@pytest.fixture
def ann(world: World, disk: Path) -> User:
    """A user whose cache is on that disk, with two datasets, one of which is forgotten."""
    user = replace(world.user(remote=True), cache=disk / "cache", anew=True)
    user.write({"small": b"small", "other": noise(1, 200_000)})
    user.write({"large": noise(2, 1_500_000)}, "big")
    user.do("add", "data", "big")
    user.do("push")
    return user


def test_what_is_there_can_be_read(ann: User, disk: Path) -> None:
    fill(disk)
    assert ann.do("cat", "data:small").out == b"small"
    assert {line.split()[-1] for line in ann.do("du").lines} == {"data", "big"}
    for command in ("status", "ls data", "show-ref", "log", "fsck"):
        ann.do(*command.split())


def test_what_is_written_says_what_helps(ann: User, disk: Path) -> None:
    fill(disk)
    assert FULL in ann.run("forget", "big").said
    assert [line.split()[-1] for line in ann.do("du").lines] == ["big", "data"]


@pytest.mark.parametrize("command", ["gc --keep 0", "gc", "clear-local --yes"])
def test_what_frees_room_can_run(ann: User, disk: Path, command: str) -> None:
    ann.do("forget", "big")
    fill(disk)
    ann.do(*command.split())
    freed = shutil.disk_usage(disk).free
    assert freed > 1_500_000 or command == "gc"
    ann.do("gc", "--keep", "0")
    assert shutil.disk_usage(disk).free > 1_500_000
    ann.do("pull", "data")
    assert (ann.data / "small").read_bytes() == b"small"


@pytest.mark.parametrize("leave", [4096, 409_600])
def test_a_few_kilobytes_are_as_good_as_none(ann: User, disk: Path, leave: int) -> None:
    ann.do("forget", "big")
    fill(disk, leave)
    assert ann.do("cat", "data:small").out == b"small"
    ann.do("gc", "--keep", "0")
    assert shutil.disk_usage(disk).free > 1_500_000


def test_without_the_spare_file_the_line_says_what_helps(ann: User, disk: Path) -> None:
    (ann.cache / "spare").unlink()
    fill(disk)
    for command in ("gc --keep 0", "clear-local --yes"):
        assert FULL in ann.refused(*command.split())
    with (disk / "filler").open("r+b") as file:
        file.truncate(file.seek(0, os.SEEK_END) - 1_000_000)
    ann.do("gc", "--keep", "0")


def test_the_spare_file_comes_with_the_first_megabyte(world: World, disk: Path) -> None:
    user = replace(world.user(), cache=disk / "cache", anew=True)
    user.write({"small": b"small"})
    user.add()
    assert not (user.cache / "spare").exists()
    user.write({"large": noise(2, 1_500_000)})
    user.add()
    assert (user.cache / "spare").stat().st_size == 1 << 20
    assert user.do("fsck").code == 0


def test_a_process_that_began_on_a_full_disk_goes_on_when_there_is_room(ann: User, disk: Path) -> None:
    fill(disk)
    with Cache.open(ann.cache) as cache:
        assert len(cache.refs()) == 2
        with pytest.raises(CacheError, match="disk is full"):
            cache.set_setting("a", "b")
        (disk / "filler").unlink()
        ann.do("forget", "big")
        assert len(cache.refs()) == 1
        cache.set_setting("a", "b")
        assert cache.setting("a") == "b"
