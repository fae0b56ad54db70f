"""A cache whose database is lost: the line says what is left, and what it tells to do helps."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.world import User, World
from tests.faults.operations import noise

FILES = {"small": b"small", "large": noise(3, 200_000)}


@pytest.fixture
def ann(world: World) -> User:
    """A user who has pushed one dataset and not the other."""
    user = world.user(remote=True)
    user.write(FILES)
    user.add()
    user.do("push")
    user.write({"own": b"own"}, "more")
    user.add("more")
    return user


def zero_beginning(path: Path) -> None:
    path.write_bytes(bytes(20_000) + path.read_bytes()[20_000:])


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        zero_beginning,
        halve,
        lambda path: path.write_bytes(noise(1, 9000)),
        lambda path: path.write_bytes(b""),
    ],
)
def test_what_the_line_says_helps(ann: User, damage: Callable[[Path], object]) -> None:
    damage(ann.cache / "cache.db")
    for command in ("status", "pull", "fsck --repair", "gc"):
        told = ann.refused(*command.split())
        assert str(ann.cache / "cache.db") in told
        assert "though the cache holds objects, and 'hitsave fsck --repair' cannot tell whose they are" in told
        assert f"move {ann.cache} aside and run 'hitsave pull', and 'hitsave add' for working files" in told
    shutil.move(ann.cache, ann.cache.with_name("old"))
    shutil.rmtree(ann.data)
    assert ann.run("pull").code == 1  # What was never pushed.
    assert {path.name: path.read_bytes() for path in ann.data.iterdir()} == FILES
    ann.add("more")
    shutil.rmtree(ann.workspace / "more")
    ann.do("pull")
    assert (ann.workspace / "more/own").read_bytes() == b"own"


def test_without_objects_there_is_nothing_to_mourn(world: World) -> None:
    user = world.user()
    user.cache.mkdir()
    (user.cache / "cache.db").write_bytes(b"junk" * 500)
    told = user.refused("status")
    assert "is damaged (file is not a database)" in told
    assert f"move {user.cache} aside to begin with an empty cache" in told
