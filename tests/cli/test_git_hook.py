"""`git push` pushes the data first: of the commits that are pushed, and of nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_diff import commit
from tests.cli.world import Ran, User, World, git, git_environment


def run_git(user: User, *arguments: str | Path, folder: Path | None = None, path: str | None = None) -> Ran:
    """Run git as a user who has hitsave, and give what it did."""
    environment = {**user.environment(), **git_environment()}
    if path is not None:
        environment["PATH"] = path
    done = subprocess.run(
        ["git", *arguments], cwd=folder or user.workspace, env=environment, capture_output=True, check=False
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode(errors="replace")
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def code(world: World) -> Path:
    """A bare repository that git pushes to."""
    place = world.root / "code.git"
    git(world.root, "init", "--quiet", "--bare", "code.git")
    return place


@pytest.fixture
def pushing(world: World, code: Path) -> User:
    """A user whose pushes go through the hook; a dataset is committed in one version."""
    ann = world.user(remote=True)
    git(ann.workspace, "remote", "add", "origin", str(code))
    ann.do("install", "--hook")
    ann.write({"a": b"one\n"})
    ann.add()
    commit(ann, "first")
    return ann


def there(user: User) -> list[str]:
    """The names of the refs in the remote."""
    return [line.split()[1] for line in user.run("show-ref", "--remote").lines]


def branches(code: Path) -> list[str]:
    """The branches that were pushed."""
    return git(code, "for-each-ref", "--format=%(refname:short)").split()


def test_data_goes_before_the_commits_that_name_it(pushing: User, code: Path) -> None:
    pushing.write({"a": b"two\n"})
    second = pushing.add()
    commit(pushing, "second")
    pushing.write({"a": b"not committed\n"})
    third = pushing.add()
    pushing.write({"b": b"other\n"}, "other")
    pushing.add("other")
    state = pushing.state()
    assert (state["pushed"], state["committed_data"]) == (False, "only here")
    assert "data.hitsave as committed: the data is nowhere but here; 'hitsave push'" in pushing.do("status").said

    done = run_git(pushing, "push", "origin", "HEAD:main")
    assert done.code == 0, done.said
    assert "2 refs made" in done.said
    assert branches(code) == ["main"]
    assert len(there(pushing)) == 2
    assert any(name.endswith(second) for name in there(pushing))
    assert not any(third in name for name in there(pushing))
    assert pushing.state()["committed_data"] is None

    again = run_git(pushing, "push", "origin", "HEAD:again")
    assert again.code == 0
    assert "ref" not in again.said.replace("-> again", "")
    assert run_git(pushing, "push", "origin", ":again").code == 0
    assert branches(code) == ["main"]
    assert len(there(pushing)) == 2


def test_data_that_nobody_has_stops_git(pushing: User, code: Path) -> None:
    pointer = pushing.workspace / "data.hitsave"
    digest = pushing.state()["digest"]
    lost = "0" * 64
    pointer.write_text(pointer.read_text().replace(digest, lost))
    second = commit(pushing, "second")
    assert pushing.state()["committed_data"] == "nowhere"
    assert "neither here nor in the remote" in pushing.do("status").said
    done = run_git(pushing, "push", "origin", "HEAD:main")
    assert done.code != 0
    assert f"data.hitsave in commit {second[:12]} names {lost}" in done.said
    assert "git push --no-verify" in done.said
    assert branches(code) == []
    assert run_git(pushing, "push", "--no-verify", "origin", "HEAD:main").code == 0
    assert branches(code) == ["main"]
    assert there(pushing) == []


def test_data_that_only_the_remote_has_is_owned_there_and_not_fetched(world: World, pushing: User, code: Path) -> None:
    assert run_git(pushing, "push", "origin", "HEAD:main").code == 0
    ben = world.user("ben", remote=True)
    git(ben.workspace, "remote", "add", "origin", str(code))
    ben.do("install", "--hook")
    (ben.workspace / "renamed.hitsave").write_bytes((pushing.workspace / "data.hitsave").read_bytes())
    commit(ben, "the same data at another path")
    done = run_git(ben, "push", "origin", "HEAD:other")
    assert done.code == 0, done.said
    assert "data: 1 ref made; what it owns was there already" in done.said
    assert sorted(name.partition("@")[0].rpartition("/")[2] for name in there(ben)) == ["data", "renamed"]
    assert not ben.do("show-ref").out


def test_without_a_remote_git_goes_on(world: World, code: Path) -> None:
    ann = world.user()
    git(ann.workspace, "remote", "add", "origin", str(code))
    ann.do("install", "--hook")
    commit_nothing = run_git(ann, "commit", "--allow-empty", "--quiet", "--message", "no data")
    assert commit_nothing.code == 0
    assert "hitsave" not in run_git(ann, "push", "origin", "HEAD:main").said
    ann.write({"a": b"one\n"})
    ann.add()
    commit(ann, "first")
    done = run_git(ann, "push", "origin", "HEAD:main")
    assert done.code == 0
    assert "no remote is set" in done.said


def test_each_workspace_in_a_repository_pushes_to_its_own_remote(world: World, pushing: User, code: Path) -> None:
    inner = pushing.workspace / "inner"
    inner.mkdir()
    (inner / "hitsave.toml").write_text(f'project = "inner"\n[remotes]\norigin = "{world.root / "other-remote"}"\n')
    pushing.write({"x": b"inner\n"}, "inner/data")
    pushing.do("add", "data", folder=inner)
    commit(pushing, "inner")
    done = run_git(pushing, "push", "origin", "HEAD:main", folder=inner)
    assert done.code == 0, done.said
    assert [name.partition("@")[0] for name in there(pushing)] == ["datasets/code/data"]
    listed = pushing.do("show-ref", "--remote", folder=inner).lines
    assert [line.split()[1].partition("@")[0] for line in listed] == ["datasets/inner/data"]


def test_a_package_belongs_to_the_repository_around_it(world: World, pushing: User, code: Path) -> None:
    package = pushing.workspace / "package"
    package.mkdir()
    (package / "pyproject.toml").write_text('[project]\nname = "package"\n')
    pushing.write({"x": b"x"}, "package/data")
    pushing.do("add", "package/data")
    commit(pushing, "from above")
    assert run_git(pushing, "push", "origin", "HEAD:main", folder=package).code == 0
    assert sorted(name.partition("@")[0] for name in there(pushing)) == [
        "datasets/code/data",
        "datasets/code/package/data",
    ]
    pushing.do("config", "set", "--global", "remotes.mine", str(world.root / "mine"))
    pushing.write({"x": b"within"}, "package/data")
    pushing.do("add", "data", folder=package)
    commit(pushing, "from within")
    assert run_git(pushing, "push", "origin", "HEAD:main").code == 0
    listed = pushing.do("show-ref", "--remote", "mine").lines
    assert [line.split()[1].partition("@")[0] for line in listed] == ["datasets/package/data"]
    assert len(there(pushing)) == 2


def test_without_hitsave_the_hook_says_so(pushing: User, code: Path) -> None:
    found = shutil.which("git")
    assert found is not None
    path = os.pathsep.join((os.path.dirname(found), "/usr/bin", "/bin"))
    if shutil.which("hitsave", path=path):
        pytest.skip("hitsave is installed beside git")
    assert git(pushing.workspace, "config", "hitsave.python") == f"{sys.executable}\n"
    git(pushing.workspace, "config", "hitsave.python", "/nowhere/python")
    done = run_git(pushing, "push", "origin", "HEAD:main", path=path)
    assert done.code != 0
    assert "hitsave: is not on the PATH" in done.said
    assert "git push --no-verify" in done.said
    git(pushing.workspace, "rm", "--quiet", "--cached", "data.hitsave")
    assert run_git(pushing, "push", "origin", "HEAD:main", path=path).code == 0


def test_a_hook_of_the_users_own_stays_and_can_call_ours(pushing: User, code: Path) -> None:
    hook = pushing.workspace / ".git/hooks/pre-push"
    own = "cat > seen\n"
    hook.write_text(f"#!/bin/sh\n{own}")
    done = pushing.run("install")
    assert done.code == 1
    assert "put these lines at its beginning" in done.said
    assert hook.read_text() == f"#!/bin/sh\n{own}"
    assert git(pushing.workspace, "check-attr", "merge", "x.hitsave").endswith(": hitsave\n")
    hook.write_text(f'#!/bin/sh\nhitsave() {{ {sys.executable} -m hitsave "$@"; }}\n{done.text}{own}')
    assert "calls hitsave already" in pushing.do("install", "--hook").said
    pushed = run_git(pushing, "push", "origin", "HEAD:main")
    assert pushed.code == 0, pushed.said
    assert len(there(pushing)) == 1
    assert (pushing.workspace / "seen").read_text().split()[:1] == ["HEAD"]
    pushing.do("install", "--uninstall")
    assert hook.exists()


def test_install_where_hooks_lie_and_take_out_again(world: World) -> None:
    ann = world.user()
    git(ann.workspace, "commit", "--quiet", "--allow-empty", "--message", "first")
    before = git(ann.workspace, "config", "--local", "--list")
    (ann.workspace / "sub").mkdir()
    ann.do("install", folder=ann.workspace / "sub")
    hook = ann.workspace / ".git/hooks/pre-push"
    assert os.access(hook, os.X_OK)
    assert "is there already" in ann.do("install").said
    assert "is set already" in ann.do("install").said
    hook.write_text(hook.read_text() + "# of an older version\n")
    assert "written" in ann.do("install", "--hook").said
    assert "older" not in hook.read_text()
    ann.do("install", "--uninstall")
    assert not hook.exists()
    assert git(ann.workspace, "config", "--local", "--list") == before
    assert git(ann.workspace, "status", "--short") == ""
    assert "none was set" in ann.do("install", "--uninstall").said

    git(ann.workspace, "worktree", "add", "--quiet", "-b", "other", str(world.root / "tree"))
    ann.do("install", "--hook", folder=world.root / "tree")
    assert hook.exists()
    git(ann.workspace, "config", "core.hooksPath", "shared/hooks")
    ann.do("install", "--hook", folder=ann.workspace / "sub")
    assert (ann.workspace / "shared/hooks/pre-push").read_bytes() == hook.read_bytes()
    ann.do("install", "--uninstall", "--hook")
    assert hook.exists()
    assert "not a git repository" in world.user("ben", git=False).refused("install")
