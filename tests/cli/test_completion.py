"""What shells are told of commands, datasets, digests, refs, remotes, functions and settings; and three real shells."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.cache import glance
from hitsave.cache.store import Cache
from hitsave.cli.completing.shells import answer
from hitsave.cli.main import COMMANDS, SECTIONS, hitsave
from hitsave.objects.digest import blob_digest
from tests.cli.terminals import Shell
from tests.cli.test_startup import DEAR
from tests.cli.world import User, World

Words = Callable[..., list[str]]


@pytest.fixture(scope="module")
def ann(tmp_path_factory: pytest.TempPathFactory) -> User:
    """A user with two datasets, two remotes, and the evaluations of two functions. Nobody changes anything of hers."""
    user = World(tmp_path_factory.mktemp("completion")).user()
    user.write({"a.txt": b"1", "train/b.txt": b"2", "train/c d.txt": b"3"})
    user.write({"x": b"4"}, "more/my images")
    user.write({"y": b"5"}, "plain")
    user.add()
    user.add("more/my images")
    for name in ("origin", "backup"):
        user.do("remote", "add", name, user.workspace.parent / name)
    program = "from hitsave import memo\n@memo\ndef fit(x): return x\n@memo\ndef forecast(x): return x\n"
    (user.workspace / "train.py").write_text(program)
    run = [sys.executable, "-c", "import train; train.fit(1); train.forecast(2)"]
    subprocess.run(run, cwd=user.workspace, env=user.environment(), check=True)
    return user


@pytest.fixture(scope="module")
def digest(ann: User) -> str:
    return ann.do("rev-parse", "data").text.strip()


@pytest.fixture
def words(ann: User, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Words:
    """The words that can stand where the last one of a line begins as it does."""

    def ask(*line: str, user: User = ann) -> list[str]:
        monkeypatch.chdir(user.workspace)
        for name, value in user.environment().items():
            monkeypatch.setenv(name, value)
        answer(hitsave, "zsh", line)
        told = capsys.readouterr()
        assert told.err == ""
        return [line.split("\t")[1] for line in told.out.splitlines()]

    return ask


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("pu", ["push", "pull"]),
        ("remote re", ["remove"]),
        ("--verb", ["--verbose"]),
        ("push --re", ["--remote"]),
        ("push --remote ", ["origin", "backup"]),
        ("push --remote=o", ["--remote=origin"]),
        ("remote remove b", ["backup"]),
        ("push ", ["data", "more/", "plain/"]),
        ("push more/", ["more/my images"]),
        ("push data.h", ["data.hitsave"]),
        ("push data/", []),
        ("-C more checkout ", ["my images"]),
        ("ls data/", ["data/a.txt", "data/train/"]),
        ("cat data/train/", ["data/train/b.txt", "data/train/c d.txt"]),
        ("cat nothing/", []),
        ("diff HEAD:da", ["HEAD:data"]),
        ("show-ref ", ["evaluations/", "datasets/"]),
        ("show-ref snap", []),
        ("why ", ["train.fit", "train.forecast"]),
        ("forget tr", ["train.fit", "train.forecast"]),
        ("forget --remote b", ["backup"]),
        ("evals train.fo", ["train.forecast"]),
        ("accept fo", ["forecast"]),
        ("config get evaluations.s", ["evaluations.size"]),
        ("config unset remotes.", ["remotes.origin", "remotes.backup"]),
        ("config set symlinks ", ["ignore", "store", "follow"]),
        ("completion ", ["bash", "zsh", "fish"]),
        ("nothing here ", []),
        ("-C nowhere push ", []),
    ],
)
def test_words(words: Words, line: str, found: list[str]) -> None:
    assert sorted(words(*line.split(" "))) == sorted(found)


def test_digests_refs_and_paths_in_trees(ann: User, words: Words, digest: str) -> None:
    assert words("ls", digest[:3]) == [digest[:12]]
    assert words("ls", digest[:20]) == [digest]
    assert words("cat", f"{digest[:8]}:") == [f"{digest[:8]}:a.txt", f"{digest[:8]}:train/"]
    assert words("cat", f"{digest[:8]}:train/c") == [f"{digest[:8]}:train/c d.txt"]
    assert words("rev-parse", "datasets/project/d") == [f"datasets/project/data@{digest}"]
    assert words("snapshot", "--restore", digest[:9]) == [digest[:12]]
    inner = ann.do("rev-parse", "data/train").text.strip()
    assert words("ls", inner[:6]) == []  # No ref holds it, and a few digits could stand for too much.
    assert words("ls", inner[:7]) == [inner[:12]]


def test_no_cache_is_made_and_nothing_is_said(world: World, words: Words) -> None:
    user = world.user("ben")
    assert sorted(words("", user=user)) == sorted(COMMANDS.keys() & " ".join(SECTIONS.values()).split())
    for name in COMMANDS:
        for last in ("", "abcdef0", "abcdef0:x", "datasets/", "--remote="):
            words(name, last, user=user)
    assert not user.cache.exists()
    (user.workspace / "hitsave.toml").write_text("links = [")
    assert words("push", "--remote", "", user=user) == []


def test_a_command_is_completed_before_anything_is_loaded(ann: User) -> None:
    script = (
        "import json, sys, os; from hitsave.cli.main import main; main(); "
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "pu"],
        cwd=ann.workspace,
        env=ann.environment({"_HITSAVE_COMPLETE": "fish"}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split("\t")[1] for line in done.stdout.splitlines()] == ["push", "pull"]
    loaded = set(json.loads(done.stderr))
    assert not loaded.intersection(DEAR)
    assert not {name for name in loaded if name.startswith(("hitsave.cli.commands.", "hitsave.cache"))}


# -- many names


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[glance.Glance]:
    """A cache with thirty thousand refs."""
    with Cache.open(tmp_path / "cache") as cache, cache.database.writing() as connection:
        rows = ((f"train.fit/{key.hex()}@{key.hex()}", key) for key in (blob_digest(b"%d" % n) for n in range(30_000)))
        connection.executemany("INSERT INTO refs VALUES ('evaluations', ?, ?, 3, 0, '', '', '', 0)", rows)
    found = glance.Glance(tmp_path / "cache")
    yield found
    found._database.close()


def test_of_many_refs_a_few_lookups_tell_how_they_go_on(crowded: glance.Glance) -> None:
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    crowded._database.connection.set_progress_handler(count, 100)
    digits = [f"evaluations/train.fit/{digit:x}" for digit in range(16)]
    assert [found.text for found in crowded.refs("evaluations/", 100)] == digits
    assert [found.text for found in crowded.refs("evaluations/train.fit/a", 100)] == [
        f"evaluations/train.fit/a{digit:x}" for digit in range(16)
    ]
    found = crowded.refs("evaluations/train.fit/abc", 100)
    assert found
    assert all(each.whole and each.text.startswith("evaluations/train.fit/abc") for each in found)
    assert crowded.owned("a", 100) == {}
    assert all(str(each).startswith("abc") for each in crowded.owned("abc", 100))
    assert steps < 200  # In hundreds of SQLite's instructions; going through all rows once takes 1200.


@given(st.sets(st.text("abc/", min_size=1, max_size=6), max_size=40), st.text("abc/", max_size=3), st.integers(4, 8))
def test_what_is_offered_of_names_stands_for_each_of_them(names: set[str], prefix: str, most: int) -> None:
    def between(low: str, high: str, limit: int) -> list[str]:
        return [name for name in sorted(names) if low <= name < high][:limit]

    found = glance._bounded(between, prefix, most)
    meant = {name for name in names if name.startswith(prefix)}
    assert len(found) <= max(most, 5)
    for name in meant:
        assert [each for each in found if (name == each.text if each.whole else name.startswith(each.text))]
    assert all(each.text in meant for each in found if each.whole)
    assert all(any(name.startswith(each.text) for name in meant) for each in found)


# -- real shells


@pytest.fixture(scope="module")
def environment(ann: User, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where shells find a `hitsave`, which is this one."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "hitsave"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hitsave "$@"\n')
    script.chmod(0o755)
    environment = ann.environment()
    return {**environment, "PATH": f"{folder}{os.pathsep}{environment['PATH']}"}


def _needs(shell: str) -> None:
    if sys.platform == "win32" or shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_in_a_terminal(ann: User, environment: dict[str, str], digest: str, shell: str) -> None:
    _needs(shell)
    with Shell(shell, ann.workspace, environment) as terminal:
        assert terminal.completed("hitsave pus") == "hitsave push "
        assert terminal.completed("true; hitsave push --remote=or") == "true; hitsave push --remote=origin "
        assert terminal.completed("hitsave push mo") == "hitsave push more/"
        assert terminal.completed("hitsave push more/my\\ im").startswith("hitsave push more/my\\ images")
        assert terminal.completed(f"hitsave ls {digest[:8]}") == f"hitsave ls {digest[:12]} "
        assert terminal.completed(f"hitsave ls {digest[:8]}:t") == f"hitsave ls {digest[:8]}:train/"
        assert terminal.completed(f"hitsave cat {digest[:8]}:train/c") in (
            f"hitsave cat {digest[:8]}:train/c\\ d.txt",
            f"hitsave cat {digest[:8]}:train/c\\ d.txt ",
        )
        assert terminal.completed("hitsave add pl") == "hitsave add plain/"
        assert terminal.completed("hitsave nothing ") == "hitsave nothing "


def test_fish(ann: User, environment: dict[str, str], digest: str) -> None:
    _needs("fish")
    lines = ("hitsave pus", "hitsave push more/my\\ i", f"hitsave ls {digest[:8]}:", "hitsave add pl", "hitsave no x")
    script = "hitsave completion fish | source; for line in $argv; complete -C $line; echo ==; end"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script, *lines],
        cwd=ann.workspace,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    answers = [
        [line.split("\t")[0] for line in block.splitlines()] for block in done.stdout.removesuffix("==\n").split("==\n")
    ]
    start = digest[:8]
    assert answers == [["push"], ["more/my images"], [f"{start}:a.txt", f"{start}:train/"], ["plain/"], []]
