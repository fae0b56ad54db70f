"""The hooks that say, after git checked out or merged, which datasets have other versions now."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.cli.test_diff import cloned, commit
from tests.cli.test_git_hook import run_git
from tests.cli.world import User, World, git


@pytest.fixture
def two(world: World) -> User:
    """Two datasets and two branches: `side` has another version of `data`, and a dataset `new`; the hooks are there."""
    ann = world.user(remote=True)
    ann.write({"a/1": b"1", "b/1": b"1"})
    ann.write({"x": b"x"}, "other")
    ann.add()
    ann.add("other")
    commit(ann, "first")
    git(ann.workspace, "checkout", "--quiet", "-b", "side")
    ann.write({"a/2": b"2"})
    ann.write({"n": b"n"}, "new")
    ann.add()
    ann.add("new")
    commit(ann, "side")
    git(ann.workspace, "checkout", "--quiet", "-")
    ann.do("checkout")
    shutil.rmtree(ann.workspace / "new")
    ann.do("push")
    told = ann.do("install", "--notify", "--json").json
    assert (told["merge_driver"], told["hook"]) == (None, None)
    assert set(told["notify"]) == {"post-checkout", "post-merge", "post-rewrite"}
    return ann


def notices(user: User, *arguments: str) -> list[str]:
    """What hitsave says in a run of git, which succeeds."""
    done = run_git(user, *arguments)
    assert done.code == 0, done.said
    return [line for line in done.said.splitlines() if "hitsave" in line]


BOTH = "git brought other versions of data, new; their files come by: hitsave checkout data new"
ONE = "git brought other versions of data; their files come by: hitsave checkout data"


def test_a_checkout_says_what_moved_until_it_is_checked_out(two: User) -> None:
    assert notices(two, "checkout", "side") == [BOTH]
    two.do("checkout")
    assert notices(two, "checkout", "-b", "same") == []
    assert notices(two, "checkout", "HEAD~1") == [ONE]
    # Whoever goes back without having looked has the files that belong there.
    assert notices(two, "checkout", "side") == []
    (two.workspace / "text").write_text("code alone\n")
    git(two.workspace, "add", "text")
    git(two.workspace, "commit", "--quiet", "--message", "code")
    assert notices(two, "checkout", "HEAD~1") == []


def test_merges_and_rebases_say_it_as_well(two: User) -> None:
    main = git(two.workspace, "branch", "--show-current").strip()
    assert notices(two, "merge", "--no-edit", "side") == [BOTH]
    two.do("checkout")
    git(two.workspace, "reset", "--quiet", "--hard", "HEAD~1")
    two.do("checkout")
    (two.workspace / "text").write_text("code\n")
    git(two.workspace, "add", "text")
    git(two.workspace, "commit", "--quiet", "--message", "code")
    assert notices(two, "rebase", "side") == [ONE]
    git(two.workspace, "commit", "--quiet", "--amend", "--message", "again")
    assert git(two.workspace, "branch", "--show-current").strip() == main


def test_what_has_to_be_fetched_and_what_is_a_part(world: World, two: User) -> None:
    ben = cloned(world, two)
    git(ben.workspace, "fetch", "--quiet", str(two.workspace), "side:side")
    ben.do("install", "--notify")
    ben.do("pull", "other")
    ben.do("pull", "--include", "a/*", "data")
    said = notices(ben, "checkout", "side")
    assert said == ["git brought other versions of data, new; 'hitsave status' says how their files come"]
    git(ben.workspace, "checkout", "--quiet", "-")
    git(ben.workspace, "checkout", "--quiet", "-b", "without", "side")
    git(ben.workspace, "rm", "--quiet", "--cached", "new.hitsave")
    git(ben.workspace, "commit", "--quiet", "--message", "without")
    git(ben.workspace, "clean", "-fdq")
    git(ben.workspace, "checkout", "--quiet", "HEAD~2")
    line = "git brought other versions of data; their files come by: hitsave pull --include 'a/*' data"
    assert notices(ben, "checkout", "without") == [line]
    ben.do("pull", "--include", "a/*", "data")
    assert (ben.data / "a/2").exists()


def test_git_goes_on_whatever_happens(two: User, tmp_path: Path) -> None:
    found = shutil.which("git")
    assert found is not None
    config = git(two.workspace, "config", "hitsave.python")
    git(two.workspace, "config", "hitsave.python", "/nowhere/python")
    path = os.pathsep.join((os.path.dirname(found), "/usr/bin", "/bin"))
    if not shutil.which("hitsave", path=path):
        done = run_git(two, "checkout", "side", path=path)
        assert (done.code, "hitsave" in done.said) == (0, False)
        git(two.workspace, "checkout", "--quiet", "-")
    git(two.workspace, "config", "hitsave.python", config.strip())
    two.cache.rename(tmp_path / "away")
    two.cache.write_bytes(b"no folder")
    (line,) = notices(two, "checkout", "side")
    assert line.startswith("hitsave: which datasets moved is not known: ")


def test_hooks_of_ones_own_stay_and_can_call_ours(two: User) -> None:
    two.do("install", "--uninstall")
    hook = two.workspace / ".git/hooks/post-checkout"
    assert sorted(path.suffix for path in hook.parent.iterdir() if path.suffix != ".sample") == []
    hook.write_text("#!/bin/sh\necho mine >&2\n")
    hook.chmod(0o755)
    done = two.run("install", "--notify")
    assert done.code == 1
    assert "post-checkout is a hook of your own; put these lines at its beginning" in done.said
    hook.write_text(f"#!/bin/sh\n{done.text}echo mine >&2\n")
    assert "post-checkout hook: .git/hooks/post-checkout calls hitsave already" in two.do("install", "--notify").said
    done = run_git(two, "checkout", "side")
    assert done.said.splitlines()[-2:] == [BOTH, "mine"]
    told = two.do("install", "--uninstall", "--json").json
    assert json.dumps(told["notify"]).count("removed") == 2
    assert hook.exists()
