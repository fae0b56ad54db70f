"""`--json`: one JSON value on stdout and nothing else, of every command that a program might read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.test_evaluations_commands import edit, python
from tests.cli.test_evaluations_commands import tom as tom
from tests.cli.world import User, World, git

#: What is to be run before, and what is asked; what the answer is to have, at its top or in its first item.
CASES: list[tuple[list[list[str]], list[str], set[str]]] = [
    ([], ["hash-object", "data"], {"path", "digest"}),
    ([], ["snapshot", "data"], {"digest", "kind", "files", "size", "sent"}),
    ([], ["snapshot", "--public", "--yes", "data"], {"digest", "sent", "link"}),
    ([["snapshot", "--public", "--yes", "data"]], ["snapshot", "--unpublish", "data"], {"digest", "public"}),
    ([["snapshot", "data"]], ["snapshot", "--restore", "snapshots/{data}", "new"], {"path", "files", "size"}),
    ([["add", "data"]], ["checkout"], {"checked_out"}),
    ([["add", "data"], ["forget", "data@{data}"]], ["undo"], {"operation", "refs", "objects"}),
    (
        [["add", "data"], ["push"], ["forget", "data@{data}", "--remote"]],
        ["undo", "--remote"],
        {"operation", "refs"},
    ),
    ([], ["resolve"], set()),
    ([], ["accept", "train.fit", "--dry-run"], {"function", "from", "code", "accepted", "evaluations"}),
    ([], ["accept", "train.fit"], {"function", "from", "code", "accepted", "evaluations"}),
    ([["accept", "train.fit"]], ["accept", "train.fit"], {"function", "from"}),
    ([], ["install"], {"merge_driver", "hook"}),
    ([["install"]], ["install", "--uninstall", "--hook"], {"merge_driver", "hook"}),
    ([], ["remote", "add", "second", "../second"], {"name", "url", "file", "writable"}),
    ([["remote", "add", "second", "../second"]], ["remote", "remove", "second"], {"name", "files"}),
]


@pytest.mark.parametrize(("before", "asked", "keys"), CASES, ids=[" ".join(case[1]) for case in CASES])
def test_a_program_can_read_it(tom: User, before: list[list[str]], asked: list[str], keys: set[str]) -> None:
    tom.write({"a": b"1", "b": b"2"})
    digest = tom.do("hash-object", "data").text.strip()
    for arguments in before:
        tom.do(*(each.format(data=digest) for each in arguments))
    told: Any = tom.do(*(each.format(data=digest) for each in asked), "--json").json
    if isinstance(told, list):
        told = told[0] if told else {}
    assert keys <= set(told)


def test_what_is_checked_out_is_told_to_programs(tom: User) -> None:
    tom.write({"a": b"1"})
    digest = tom.add()
    git(tom.workspace, "add", "data.hitsave")
    git(tom.workspace, "commit", "-qm", "one")
    expected = {"path": str(tom.data), "digest": digest, "written": 0, "removed": 0, "received": 0}
    assert tom.do("checkout", "--json").json == {"checked_out": [expected], "failed": {}}
    (tom.data / "b").touch()
    tom.add()
    expected["removed"] = 1
    assert tom.do("checkout", "HEAD", "--json").json == {"checked_out": [expected], "failed": {}}


def test_what_is_accepted_is_told_to_programs(tom: User) -> None:
    would = tom.do("accept", "fit", "--dry-run", "--json").json
    assert (would["function"], would["accepted"], would["evaluations"]) == ("train.fit", None, 0)
    done = tom.do("accept", "fit", "--json").json
    assert (done["from"], done["evaluations"]) == (would["from"], 2)
    tom.do("forget", done["accepted"])
    edit(tom, "x + FACTOR", "FACTOR + x + 0")
    python(tom, "from train import *\nfit(1)")
    assert tom.do("accept", "fit", "--json").json["from"] == done["code"]


def test_a_hook_of_ones_own_is_told_and_an_error(tom: User) -> None:
    hook = tom.workspace / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\n")
    ran = tom.run("install", "--hook", "--json")
    assert (ran.code, ran.json["hook"]["state"], ran.json["merge_driver"]) == (1, "foreign", None)


def test_what_goes_wrong_with_one_dataset_leaves_no_key_out(ann: User) -> None:
    for name in ("good", "new", "bad", "torn"):
        ann.write({"a": b"1"}, name)
        ann.add(name)
    (ann.workspace / "bad.hitsave").write_bytes(b"nonsense\n")
    lines = (ann.workspace / "torn.hitsave").read_text().splitlines(keepends=True)
    sides = [
        lines[0],
        "<<<<<<< HEAD\n",
        lines[1],
        "=======\n",
        lines[1].replace("a", "b"),
        ">>>>>>> other\n",
        *lines[2:],
    ]
    (ann.workspace / "torn.hitsave").write_text("".join(sides))
    (ann.workspace / "new/b").touch()
    told = ann.run("status", "--json")
    by_name = {each["path"].rpartition("/")[2]: each for each in told.json}
    assert told.code == 1
    assert len({tuple(sorted(each)) for each in by_name.values()}) == 1
    assert [by_name[name]["state"] for name in ("good", "new", "bad", "torn")] == [
        "clean",
        "modified",
        "error",
        "conflict",
    ]
    assert {key for key, value in by_name["bad"].items() if value is not None} == {"path", "state", "error"}
    told = ann.run("diff", "--json")
    assert told.code == 1
    assert len({tuple(sorted(each)) for each in told.json}) == 1
    assert [each["error"] is None for each in told.json].count(False) == 2


def test_a_rename_has_no_keys_of_its_own(ann: User) -> None:
    ann.write({"old": bytes(range(256)) * 9, "other": b"1"})
    ann.add()
    (ann.data / "old").rename(ann.data / "new")
    ann.write({"other": b"2"})
    changes = ann.do("diff", "--json").json[0]["changes"]
    assert [(each["kind"], each["old_path"], each["alike"]) for each in changes] == [
        ("renamed", "old", 100),
        ("changed", None, None),
    ]
    assert [set(each) for each in changes] == [set(changes[0])] * 2


def test_what_failed_is_always_told(world: World) -> None:
    ann = world.user(remote=True)
    ann.write({"a": b"1"})
    ann.add()
    ann.do("push")
    for command in (["pull"], ["fetch"], ["checkout"]):
        assert ann.do(*command, "--json").json["failed"] == {}
    ann.do("forget", "data@" + ann.state()["digest"], "--remote")
    told = ann.do("undo", "--remote", "--json").json
    assert set(told) == {"operation", "refs", "objects"}
    assert set(ann.do("fsck", "--json").json) == set(ann.do("fsck", "--repair", "--json").json)
