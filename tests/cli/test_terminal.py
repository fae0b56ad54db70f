"""Colour where a terminal wants it and never otherwise; `--quiet` and `--verbose`, wherever they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.world import User, World, git

_ESCAPE = b"\x1b["


@pytest.fixture(scope="module")
def ann(tmp_path_factory: pytest.TempPathFactory) -> User:
    """A user with two versions of a dataset, and changes that were not added. Nobody changes anything of hers."""
    user = World(tmp_path_factory.mktemp("terminal")).user()
    user.write({"a.txt": b"first\n", "sub/b.txt": b"second\n"})
    user.add()
    git(user.workspace, "add", ".")
    git(user.workspace, "commit", "--quiet", "-m", "first")
    user.write({"a.txt": b"changed\n", "new": b"1"})
    return user


def on_terminal(user: User, *arguments: str, **variables: str) -> bytes:
    """What a command shows on a terminal."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen(
            [sys.executable, "-m", "hitsave", *arguments],
            cwd=user.workspace,
            env=user.environment({"TERM": "xterm", **variables}),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
        )
        os.close(theirs)
        shown = b""
        try:
            while piece := screen.read(1 << 16):
                shown += piece
        except OSError:  # Linux: the other end was closed.
            pass
    assert process.wait(60) == 0
    return shown


@pytest.mark.parametrize("command", ["diff", "diff --content", "log", "ls data"])
def test_colour_on_a_terminal_alone(ann: User, command: str) -> None:
    arguments = command.split()
    plain = ann.do(*arguments).out
    assert _ESCAPE not in plain
    shown = on_terminal(ann, *arguments)
    assert _ESCAPE in shown
    assert shown == ann.do(*arguments, environ={"FORCE_COLOR": "1"}).out.replace(b"\n", b"\r\n")


def test_what_turns_colour_off_and_on(ann: User) -> None:
    for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}, {"CLICOLOR": "0"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}):
        assert _ESCAPE not in on_terminal(ann, "diff", **variables)
    for variables in ({"CLICOLOR_FORCE": "1"}, {"FORCE_COLOR": "3"}, {"FORCE_COLOR": "1", "TERM": "dumb"}):
        assert _ESCAPE in ann.do("diff", environ=variables).out
    for variables in ({"CLICOLOR_FORCE": "0"}, {"FORCE_COLOR": ""}):
        assert _ESCAPE not in ann.do("diff", environ=variables).out
    for command in (["diff"], ["log"], ["ls", "data"]):
        assert _ESCAPE not in ann.do(*command, "--json", environ={"FORCE_COLOR": "1"}).out


@pytest.mark.parametrize("place", ["before", "after"])
def test_quiet_and_verbose_stand_before_or_after_the_command(ann: User, tmp_path: Path, place: str) -> None:
    def arguments(option: str, *command: str) -> list[str]:
        return [option, *command] if place == "before" else [*command, option]

    here = {"HITSAVE_REMOTE": os.fspath(tmp_path / "remote")}
    done = ann.do(*arguments("-v", "push"), environ=here)
    url = here["HITSAVE_REMOTE"]
    lines = done.said.splitlines()
    assert lines[0] == f"hitsave: asking {url}"
    assert f"hitsave: workspace {ann.workspace} (project project), cache {ann.cache}" in lines
    (counts,) = [line for line in lines if line.startswith(f"hitsave: {url}: ")]
    assert int(counts.split()[2]) > 3
    assert counts.endswith(" sent, 0 B received")
    assert " 0 B sent" not in counts
    assert "asking" not in ann.do("push", environ=here).said
    assert ann.do(*arguments("--quiet", "push"), environ=here).said == ""
    assert ann.do(*arguments("-q", "remote", "list")).out == ann.do("remote", "list").out


@pytest.mark.parametrize(
    ("arguments", "plain"), [(["cat", "0000000"], False), (["push", "nothing"], True), (["config", "get", "x"], True)]
)
def test_verbose_shows_where_an_error_came_from(ann: User, arguments: list[str], plain: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hitsave", *arguments, "-v"],
        cwd=ann.workspace,
        env=ann.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert ("Traceback" in done.stderr) is not plain
    assert done.stderr.splitlines()[-1] == ann.refused(*arguments)
