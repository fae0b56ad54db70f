"""What cannot be read of a pack of the cache comes from the remote again, or the line says what mends it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.test_fsck import halve, write, zero
from tests.cli.world import User, World
from tests.faults.operations import noise

CONTENT = noise(7, 5000)


def overwrite(path: Path) -> None:
    raw = path.read_bytes()
    at = raw.index(CONTENT[2000:2064])
    write(path, raw[:at] + b"XXXXXXXX" + raw[at + 8 :])


Damage = Callable[[Path], None]
EACH = pytest.mark.parametrize("damage", [overwrite, halve, zero, Path.unlink])


@pytest.fixture
def ann(world: World) -> User:
    """A user with three datasets, each in a pack of its own."""
    user = world.user(remote=True)
    user.write({"f": CONTENT}, "a")
    for number, name in enumerate("bc"):
        user.write({"f": noise(number, 5000)}, name)
    user.do("add", "a", "b", "c")
    return user


def damage_a(user: User, damage: Damage) -> None:
    """Damage the pack that has the first dataset."""
    packs = [path for path in (user.cache / "packs").iterdir() if CONTENT[2000:2064] in path.read_bytes()]
    for path in packs:
        damage(path)
    assert packs
    shutil.rmtree(user.workspace / "a")


@EACH
@pytest.mark.parametrize("command", [["pull"], ["pull", "a", "--include", "f"]])
def test_it_comes_from_the_remote(ann: User, damage: Damage, command: list[str]) -> None:
    ann.do("push")
    damage_a(ann, damage)
    notes = [line for line in ann.do(*command).said.splitlines() if "cannot be read" in line]
    assert len(notes) == 1, "all of a pack is noticed at once"
    assert "fetching again" in notes[0]
    assert (ann.workspace / "a/f").read_bytes() == CONTENT
    shutil.rmtree(ann.workspace / "a")
    assert "cannot be read" not in ann.do("pull").said
    ann.do("fsck", "--repair")
    ann.do("fsck")


@EACH
def test_without_a_remote_the_line_names_the_cure(ann: User, damage: Damage) -> None:
    ann.do("remote", "remove", "origin")
    damage_a(ann, damage)
    for _ in range(2):  # It does not pass for something that was never here.
        assert "'hitsave fsck --repair'" in ann.refused("checkout", "a")
        told = ann.run("pull", "a")
        assert told.code == 1
        assert "'hitsave fsck --repair'" in told.said


def test_a_remote_that_lacks_it_leaves_the_same_line(ann: User) -> None:
    ann.do("push", "b", "c")
    damage_a(ann, overwrite)
    told = ann.run("pull", "a")
    assert told.code == 1
    assert "corrupt" in told.said
    assert "'hitsave fsck --repair'" in told.said
    ann.write({"f": CONTENT}, "a")
    ann.do("add", "a")
    shutil.rmtree(ann.workspace / "a")
    ann.do("pull", "a")
    assert (ann.workspace / "a/f").read_bytes() == CONTENT
