"""What an evaluation shows of itself: arguments as they were given, and results, of real libraries."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.memo.projects.harness import Project, ran_as


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project."""
    made = Project(tmp_path)
    made.folder.mkdir()
    (made.folder / "hitsave.toml").touch()
    return made


CHANGES = """\
from hitsave import memo

@memo
def drain(items, limit=3):
    RAN
    found = []
    while items:
        found.append(items.pop())
    return found

print(drain([1, 2, 3]))
"""


def test_an_argument_that_the_body_changes_is_shown_as_it_was_given(project: Project) -> None:
    project.write({"main.py": CHANGES})
    ran_as(project.run(), ["-"], "[3, 2, 1]")
    shown = project.run("-m", "hitsave", "evals", "main.drain")
    assert "items=[1, 2, 3], limit=3" in shown.output, shown


UNFRIENDLY = """\
from hitsave import memo

class Unfriendly:
    def __init__(self, value):
        self.value = value

    @property
    def shape(self):
        raise RuntimeError("not now")

    def __repr__(self):
        raise RuntimeError("not here")

    def __reduce__(self):
        return Unfriendly, (self.value,)

@memo
def same(given):
    RAN
    return given

print(same(Unfriendly(3)).value)
"""


def test_a_value_whose_own_code_fails_is_kept_all_the_same(project: Project) -> None:
    project.write({"main.py": UNFRIENDLY})
    ran_as(project.run(), ["-"], "3")
    ran_as(project.run(), [], "3")
    shown = project.run("-m", "hitsave", "evals", "main.same")
    assert "given=a __main__.Unfriendly" in shown.output or "given=a main.Unfriendly" in shown.output, shown
