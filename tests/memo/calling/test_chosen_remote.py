"""HITSAVE_REMOTE in a call: the name of a remote is that remote, and what is nothing at all is said."""

from __future__ import annotations

import os

from tests.memo.projects.harness import Project

SCRIPT = """\
from hitsave import memo

@memo(remote="readwrite")
def f(x):
    RAN
    return x + 1

@memo
def g(x):
    return x

print(f(1), g(1), g(2))
"""


def test_a_name_of_the_settings_is_that_remote(project: Project) -> None:
    remote = project.root / "remote"
    project.write({"main.py": SCRIPT, "hitsave.toml": f"[remotes]\norigin = '{remote.as_posix()}'\n"})
    (project.folder / "origin").mkdir()  # A folder of that name is meant by ./origin.
    named = {"HITSAVE_REMOTE": "origin", "HITSAVE_NO_CLOUD": "0"}
    assert project.run(environ=named).ran == ("-",)
    again = project.run(environ={**named, "HITSAVE_LOCAL_CACHE_DIR": os.fspath(project.root / "another")})
    assert (again.ran, again.output, again.errors) == ((), "2 1 2", "")
    assert not any((project.folder / "origin").iterdir())


def test_what_is_no_remote_is_said_once(project: Project) -> None:
    project.write({"main.py": SCRIPT, "hitsave.toml": "[remotes]\norigin = '/nowhere/at/all'\n"})
    outcome = project.run(environ={"HITSAVE_REMOTE": "orign", "HITSAVE_NO_CLOUD": "0"})
    assert (outcome.code, outcome.output) == (0, "2 1 2")
    assert outcome.errors.count("HITSAVE_REMOTE is 'orign'") == 1, outcome
    assert "(there: origin)" in outcome.errors
