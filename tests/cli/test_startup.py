"""Starting up imports only what the command needs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.world import User, World

_CHILD = """
import json, sys
from hitsave.cli.main import run
sys.stdout = sys.stderr
code = run(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]), file=sys.__stdout__)
"""
DEAR = (
    "sqlite3",
    "blake3",
    "zstandard",
    "pygit2",
    "tqdm",
    "tomlkit",
    "pathspec",
    "tomllib",
    "platformdirs",
    "asyncio",
    "urllib3",
)


def imported(user: User, *arguments: str) -> set[str]:
    """The modules that a run of the command loads."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, *arguments],
        cwd=user.workspace,
        env=user.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    code, modules = json.loads(done.stdout)
    assert code in (0, 2), done.stderr
    return set(modules)


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["-h"], ["unknown"], []])
def test_what_needs_no_repository_loads_none(world: World, arguments: list[str]) -> None:
    modules = imported(world.user(), *arguments)
    assert not modules.intersection(DEAR)
    own = {name for name in modules if name.startswith("hitsave")}
    assert not {name for name in own if name.startswith(("hitsave.cache", "hitsave.cli.commands."))}
    assert "hitsave.repository" not in own
    assert "hitsave.config" not in own


@pytest.mark.parametrize("command", ["add", "status", "push", "pull", "gc", "fsck", "snapshot", "remote", "config"])
def test_help_of_a_command_loads_no_repository(world: World, command: str) -> None:
    modules = imported(world.user(), command, "--help")
    assert not modules.intersection(DEAR)
    assert "hitsave.repository" not in modules
    assert {name for name in modules if name.startswith("hitsave.cli.commands.")} == {f"hitsave.cli.commands.{command}"}


@pytest.mark.parametrize("command", [["status"], ["add", "data"]])
def test_what_has_not_changed_neither_asks_git_nor_draws(ann: User, command: list[str]) -> None:
    ann.add()
    modules = imported(ann, *command)
    assert not modules.intersection(("pygit2", "tqdm", "tomlkit", "asyncio"))


def test_a_change_of_settings_opens_no_cache(ann: User) -> None:
    modules = imported(ann, "config", "set", "links", "copy")
    assert not modules.intersection(("sqlite3", "blake3", "zstandard", "pygit2", "hitsave.repository"))
    assert not ann.cache.exists()


def test_importing_the_package_imports_nothing(world: World) -> None:
    script = "import hitsave, sys, json; print(json.dumps(sorted(sys.modules)))"
    user = world.user()
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=user.workspace, env=user.environment(), capture_output=True, check=True
    )
    own = {name for name in json.loads(done.stdout) if name.startswith("hitsave")}
    assert own == {"hitsave", "hitsave._version"}
