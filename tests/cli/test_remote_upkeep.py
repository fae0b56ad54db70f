"""Looking after a remote with the command: forget, gc and undo with --remote."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from tests.cli.world import User, World, assert_same, settle


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def two_versions(world: World) -> tuple[User, str, str]:
    ann = world.user(remote=True)
    ann.write({"same": noise(3000, 1), "large": noise(700_000, 2)})
    settle()
    first = ann.add()
    ann.do("push")
    ann.write({"large": noise(700_000, 3)})
    settle()
    second = ann.add()
    ann.do("push")
    return ann, first, second


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_what_i_forgot_goes_from_the_remote_too(world: World) -> None:
    ann, first, second = two_versions(world)
    before = size_of(world.remote)
    assert before > 1_400_000
    ann.do("forget", f"data@{first[:12]}")
    assert len(ann.do("show-ref", "--remote").lines) == 2

    told = ann.do("gc", "--remote", "--dry-run", "--keep", "0", "--json").json
    assert told["dry_run"] is True
    assert [name.rpartition("@")[2] for name in told["refs"]] == [first]
    assert told["freed"] > 700_000
    assert size_of(world.remote) == before

    kept = ann.do("gc", "--remote", "origin")
    assert kept.lines[0].endswith(first)
    assert "when older commits expire" in kept.said
    assert size_of(world.remote) > 1_400_000
    back = ann.do("undo", "--remote")
    assert back.lines[0].endswith(first)
    assert "no faults" in ann.do("fsck", "--remote").said

    gone = ann.do("gc", "--remote", "--keep", "0")
    assert gone.lines[0].endswith(first)
    assert size_of(world.remote) < 0.6 * before
    assert "nothing to undo" in ann.refused("undo", "--remote")

    ben = world.clone(ann)
    ben.do("pull")
    assert_same(ann.data, ben.data)
    assert ben.do("rev-parse", second[:10]).lines == [second]


def test_what_others_made_goes_by_name_only(world: World) -> None:
    ann, first, _ = two_versions(world)
    ben = world.clone(ann)
    shutil.rmtree(ben.cache, ignore_errors=True)
    for ref in ann.do("show-ref").lines:
        assert ref
    assert ben.do("gc", "--remote", "--keep", "0", "--json").json["refs"] == []
    assert len(ben.do("show-ref", "--remote").lines) == 2
    dropped = ben.do("forget", first[:12], "--remote")
    assert dropped.lines[0].endswith(first)
    assert "undo --remote" in dropped.said
    assert len(ben.do("show-ref", "--remote").lines) == 1
    assert "no ref" in ben.refused("forget", first[:12], "--remote")
    # Here it still is, and is pushed again by who owns it.
    assert len(ann.do("show-ref").lines) == 2
    assert ann.do("push", "--json").json["refs"] == 1


def test_without_a_remote_there_is_nothing_to_look_after(world: World) -> None:
    ann = world.user()
    for command in (["gc", "--remote"], ["undo", "--remote"], ["show-ref", "--remote"], ["forget", "x", "--remote"]):
        assert "remote" in ann.refused(*command)
