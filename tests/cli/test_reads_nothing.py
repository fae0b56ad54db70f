"""What has not changed is not read again: no file of a dataset is so much as opened."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.cli.world import User, World, settle

_CHILD = """
import json, os, sys
opened = []
beneath = os.fsencode(os.path.realpath(sys.argv[1])) + b"/"

def note(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        path = os.path.abspath(os.fsencode(arguments[0]))
        if path.startswith(beneath) and not os.path.basename(path) == b".hitsaveignore":
            opened.append(os.fsdecode(path[len(beneath):]))

sys.addaudithook(note)
from hitsave.cli.main import run
sys.stdout = sys.stderr
code = run(sys.argv[2:])
print(json.dumps([code, opened]), file=sys.__stdout__)
"""


def opened(user: User, *arguments: str) -> list[str]:
    """The files of `data` that a run of the command opens, the ignore files aside."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, user.data, *arguments],
        cwd=user.workspace,
        env=user.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    code, paths = json.loads(done.stdout)
    assert code == 0, done.stderr
    return list(paths)


@pytest.fixture
def settled(world: World) -> User:
    """A dataset that was added when it had been at rest, in a workspace with a remote."""
    ann = world.user(remote=True)
    ann.write({f"{number % 7}/{number}": b"%d" % number * 100 for number in range(50)})
    ann.write({"large": bytes(300_000), "empty": b""})
    settle()
    assert len(opened(ann, "add", "data")) == 52
    return ann


def test_the_watch_sees_what_is_read(settled: User) -> None:
    settled.write({"3/3": b"changed"})
    assert opened(settled, "status") == ["3/3"]


def test_unchanged_datasets_are_not_read(settled: User) -> None:
    (added,) = settled.do("add", "--json", "data").json
    assert (added["read"], added["new_objects"], added["new_size"]) == (0, 0, 0)
    for arguments in (["add", "data"], ["status"], ["push"], ["push"], ["checkout"], ["pull"], ["gc"]):
        assert opened(settled, *arguments) == [], arguments
    assert opened(settled, "hash-object", "data") == []
    assert opened(settled, "snapshot", "data") == []


def test_only_what_changed_is_read(settled: User) -> None:
    settled.write({"3/3": b"changed", "new/one": b"new"})
    (settled.data / "4/4").unlink()
    os.utime(settled.data / "5/5", ns=(1, 1))
    settle()
    (added,) = settled.do("add", "--json", "data").json
    assert added["read"] == 3  # One changed, one new, one only touched.
    assert added["new_objects"] == 6  # Two files, three directories, the directory above them.
    assert opened(settled, "add", "data") == []


def test_a_directory_that_was_moved_within_is_read_once(settled: User) -> None:
    (settled.data / "3").rename(settled.data / "three")
    settle()
    (added,) = settled.do("add", "--json", "data").json
    assert added["read"] == 7
    assert added["new_objects"] == 1
    assert opened(settled, "add", "data") == []


def test_what_the_cache_lost_is_read_again(settled: User) -> None:
    digest = settled.state()["digest"]
    settled.do("forget", f"data@{digest}")
    settled.do("gc", "--keep", "0")
    (added,) = settled.do("add", "--json", "data").json
    assert added["new_objects"] == 60
    assert settled.state()["in_cache"] is True
    settled.do("fsck")


def test_checked_out_files_are_read_once_at_most(world: World, settled: User) -> None:
    settled.do("push")
    ben = world.clone(settled)
    ben.do("pull")
    settle()
    ben.do("status")
    assert opened(ben, "status") == []
    assert opened(ben, "add", "data") == []
    assert opened(ben, "pull") == []
