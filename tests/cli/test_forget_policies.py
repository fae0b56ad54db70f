"""Forgetting by policy, with the command."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import Any

import pytest

from hitsave.cli.failures import WRONG_USAGE
from hitsave.cli.main import run
from tests.cli.world import User, World, git

DAY = 86400


def add_version(user: User, path: str, content: str, days_ago: float) -> str:
    """Add a version of a dataset as if some days ago; its digest."""
    user.write({"file": content.encode() * 100}, path)
    digest = user.add(path)
    with closing(sqlite3.connect(user.cache / "cache.db")) as database, database:
        created = int(time.time() - days_ago * DAY)
        changed = database.execute("UPDATE refs SET created = ? WHERE name LIKE ?", (created, f"%@{digest}"))
        assert changed.rowcount == 1
    return digest


def commit(user: User) -> None:
    git(user.workspace, "add", "--all")
    git(user.workspace, "commit", "--quiet", "--message", "x")


def owned(user: User) -> set[str]:
    """The datasets that the cache owns, by their digests."""
    return {line.split()[0] for line in user.do("show-ref", "datasets/").lines}


def verdicts(user: User, *arguments: str, **how: Any) -> dict[str, tuple[bool, str]]:
    """What a dry run tells of each version."""
    told = user.do("forget", "--dry-run", "--json", *arguments, **how).json
    assert told["dry_run"] is True
    going = [each["name"] for each in told["versions"] if not each["stays"]]
    assert told["forgotten"] == going
    return {each["digest"]: (each["stays"], each["why"]) for each in told["versions"]}


def test_policies_choose_among_versions(world: World) -> None:
    ann = world.user()
    first = add_version(ann, "data", "first", 50)
    commit(ann)
    second = add_version(ann, "data", "second", 40)
    third = add_version(ann, "data", "third", 30)
    git(ann.workspace, "add", "data.hitsave")
    git(ann.workspace, "stash", "--quiet")
    fourth = add_version(ann, "data", "fourth", 20)
    other = add_version(ann, "folder/more", "other", 90)
    now = add_version(ann, "folder/more", "now", 80)
    strange = world.root / "ann" / "strange"
    strange.mkdir()
    (strange / "hitsave.toml").touch()
    (strange / "data").write_bytes(b"theirs")
    ann.do("add", "data", folder=strange)
    everything = owned(ann)
    assert len(everything) == 7

    assert verdicts(ann, "--keep-last", "2", "data") == {
        first: (False, "not among the last 2"),
        second: (False, "not among the last 2"),
        third: (True, "last 2"),
        fourth: (True, "a pointer file names it, last 2"),
    }
    assert verdicts(ann, "--keep-last", "1", "folder")[other] == (False, "not among the last 1")
    assert set(verdicts(ann, "--keep-last", "1", "more.hitsave", folder=ann.workspace / "folder")) == {other, now}
    kept = verdicts(ann, "--keep-git", "--keep-within", "45d")
    assert kept[third] == (True, "within 45d, named by stash@{0}")
    assert kept[first] == (True, f"named by {git(ann.workspace, 'branch', '--show-current').strip()}")
    assert kept[second] == (True, "within 45d")
    assert kept[other] == (False, "older than 45d, not named in git")
    assert len(kept) == 6

    dry = ann.do("forget", "--keep-git", "--dry-run")
    assert dry.lines[0] == "data"
    assert [line.split()[0] for line in dry.lines[1:5]] == ["stays", "stays", "goes", "stays"]
    assert second[:12] in dry.lines[3]
    assert "2 refs would be forgotten, 4 stay; 'hitsave gc' would then free" in dry.said
    assert owned(ann) == everything

    done = ann.do("forget", "--keep-git")
    assert done.lines == [f"datasets/project/data@{second}", f"datasets/project/folder/more@{other}"]
    assert "2 refs forgotten, 4 stay" in done.said
    assert owned(ann) == everything - {second, other}
    ann.do("undo")
    assert owned(ann) == everything
    assert "nothing to forget, 6 stay" in ann.do("forget", "--keep-last", "9").said

    # One that no pointer file names any more is known by its refs alone.
    os.unlink(ann.workspace / "folder" / "more.hitsave")
    assert verdicts(ann, "--keep-within", "85d", "folder") == {
        now: (True, "within 85d"),
        other: (False, "older than 85d"),
    }
    # A pointer file that was moved has no ref of its own yet.
    (ann.workspace / "data.hitsave").rename(ann.workspace / "moved.hitsave")
    assert verdicts(ann, "--keep-within", "0", "data")[fourth] == (True, "a pointer file names it")


def test_what_a_dry_run_says_is_freed_is_what_a_collection_frees(world: World) -> None:
    ann = world.user()
    ann.write({"own": os.urandom(300_000), "shared": os.urandom(200_000)})
    ann.add()
    ann.write({"own": os.urandom(250_000)})
    ann.add()
    freed = ann.do("forget", "--keep-within", "0", "--dry-run", "--json").json["freed"]
    assert 300_000 <= freed < 301_000
    ann.do("forget", "--keep-within", "0")
    assert 300_000 <= ann.do("gc", "--json").json["freed"] < 301_000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--keep-last", "0"], "'--keep-last': 0"),
        (["--keep-within", "soon"], "'soon' is no time"),
        ([], "give a policy"),
        (["data", "--snapshots"], "--snapshots goes with a policy"),
        (["f", "--experiments", "--keep-last", "1"], "no policy forgets experiments"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_opened(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["forget", *arguments]) == WRONG_USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_what_makes_no_sense_is_refused(world: World) -> None:
    ann = world.user(git=False)
    first = add_version(ann, "data", "first", 5)
    add_version(ann, "data", "second", 1)
    assert "no git repository" in ann.refused("forget", "--keep-git", "--dry-run")
    assert "without a policy" in ann.refused("forget", f"data@{first[:12]}", "--keep-last", "1")
    assert "without a policy" in ann.refused("forget", first, "--keep-last", "1")
    assert "no version of it" in ann.refused("forget", "nothing", "--keep-last", "1")
    assert "no version of it" in ann.refused("forget", "/", "--keep-last", "1")
    git(ann.workspace, "init", "--quiet")
    (ann.workspace / ".git" / "refs" / "heads" / "broken").touch()
    assert "refs/heads/broken" in ann.refused("forget", "--keep-git")
    assert len(owned(ann)) == 2


def test_a_remote_and_snapshots(world: World) -> None:
    ann = world.user(remote=True)
    first = add_version(ann, "data", "first", 50)
    second = add_version(ann, "data", "second", 40)
    ann.do("push")
    ben = world.clone(ann)
    assert verdicts(ben, "--remote", "origin", "--keep-within", "45d") == {
        first: (False, "older than 45d"),
        second: (True, "a pointer file names it, within 45d"),
    }
    done = ben.do("forget", "--keep-last", "1", "--remote")
    assert done.lines == [f"datasets/project/data@{first}"]
    assert "undo --remote" in done.said
    assert len(ann.do("show-ref", "--remote").lines) == 1
    assert owned(ann) == {first, second}

    taken = ann.do("snapshot", "data/file").text.strip()
    assert taken not in verdicts(ann, "--keep-within", "0")
    assert verdicts(ann, "--keep-within", "1d", "--snapshots", "data/file") == {taken: (True, "within 1d")}
    assert taken in verdicts(ann, "--keep-last", "1", "--snapshots")


def test_evaluations_by_number_and_never_experiments(world: World) -> None:
    ann = world.user()
    (ann.workspace / "train.py").write_text(
        "import hitsave\n\n\n@hitsave.memo\ndef fit(x):\n    return x\n\n\n"
        "@hitsave.experiment\ndef tried(x):\n    return x\n"
    )
    script = "import train\nfor x in range(4):\n    train.fit(x), train.tried(x)\n"
    subprocess.run([sys.executable, "-c", script], cwd=ann.workspace, env=ann.environment(), check=True)
    told = ann.do("forget", "train.fit", "--keep-last", "3", "--dry-run")
    assert told.lines[0] == "train.fit"
    assert [line.split()[0] for line in told.lines[1:]] == ["stays"] * 3 + ["goes"]
    oldest = ann.do("evals", "train.fit", "--json").json[-1]["digest"]
    assert ann.do("forget", "fit", "--keep-last", "3", "--dry-run").lines == told.lines
    assert "nothing is kept of a function" not in ann.refused("forget", "it", "--keep-last", "3")
    (gone,) = ann.do("forget", "train.fit", "--keep-last", "3").lines
    assert gone.endswith(oldest)
    assert verdicts(ann, "train.tried", "--keep-last", "1") == {}
    assert "leave out --keep-git" in ann.refused("forget", "train.fit", "--keep-git")
    assert len(ann.do("evals", "--json", "--limit", "0").json) == 7


def test_versions_of_one_second_have_an_order(world: World) -> None:
    ann = world.user()
    digests = []
    for number in range(4):
        ann.write({"a": b"%d" % number})
        digests.append(ann.add())
    shown = [version["digest"] for version in ann.do("log", "data", "--json").json[0]["versions"]]
    assert shown == digests[::-1]
    ann.do("forget", "--keep-last", "2")
    shown = [version["digest"] for version in ann.do("log", "data", "--json").json[0]["versions"]]
    assert shown == digests[:1:-1]
