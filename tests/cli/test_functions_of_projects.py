"""Functions of the same name in several projects that share one cache: each project looks at its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cli.test_evaluations_commands import python
from tests.cli.world import User, World

LIB = """\
from hitsave import memo

@memo
def fit(x):
    return x + len("one")
"""


@pytest.fixture
def one(world: World) -> User:
    """A user who has run `train.fit` in the projects `one` and `two`, and has another that is empty."""
    user = world.user()
    for name in ("one", "two", "empty"):
        (user.workspace.parent / name).mkdir()
        (user.workspace.parent / name / "pyproject.toml").touch()
    one, two = at(user, "one"), at(user, "two")
    (one.workspace / "train.py").write_text(LIB)
    (two.workspace / "train.py").write_text(LIB.replace('"one"', '"another"'))
    for project in (one, two):
        python(project, "from train import fit\nfit(1)")
    return one


def at(user: User, name: str) -> User:
    return replace(user, workspace=user.workspace.parent / name)


def kept(user: User, *options: str) -> list[tuple[str | None, int]]:
    return [(each["project"], each["evaluations"]) for each in user.do("evals", *options, "--json").json]


def test_a_project_lists_its_own(one: User) -> None:
    assert kept(one) == [("one", 1)]
    assert kept(at(one, "empty")) == []
    assert sorted(kept(at(one, "empty"), "--all")) == [("one", 1), ("two", 1)]
    assert [line.split()[2:4] for line in at(one, "empty").do("evals", "--all").lines] == [
        ["two", "train.fit"],
        ["one", "train.fit"],
    ]
    assert len(one.do("evals", "train.fit").lines) == 1
    listed = one.do("evals", "train.fit", "--all")
    assert listed.said.split()[:3] == ["WHEN", "PROJECT", "ARGUMENTS"]
    assert [line.split()[2] for line in listed.lines] == ["two", "one"]
    paths = [each["path"] for each in one.do("du", "--all", "--json").json]
    assert sorted(paths) == ["evaluations/one/train.fit", "evaluations/two/train.fit"]


def test_a_first_run_is_compared_with_none_of_another_project(one: User) -> None:
    [line, *_] = at(one, "two").do("why", "fit").lines
    assert line == "train.fit(x=1) ran because nothing of it was kept yet"
    refused = at(one, "empty").refused("why", "fit")
    assert refused.endswith("nothing is kept of a function fit of this project; --all looks at those of others, too")
    assert len(at(one, "empty").do("why", "fit", "--all", "--last", "5", "--json").json) == 2
    program = "from train import fit\nprint(len(fit.evaluations()), fit.explain(2).cause.name)"
    assert python(at(one, "two"), program) == "1 ARGUMENTS\n"


def test_forget_drops_what_is_of_this_project(one: User) -> None:
    empty = at(one, "empty")
    assert "of this project; --all forgets" in empty.refused("forget", "train.fit")
    assert "no version of it" in empty.refused("forget", "train.fit", "--keep-last", "1")
    assert "of this project; --all looks" in empty.refused("forget", "fit", "--keep-last", "1")
    assert len(at(one, "two").do("forget", "fit", "--keep-last", "1", "--json").json["versions"]) == 1
    assert len(empty.do("forget", "fit", "--keep-last", "1", "--all", "--dry-run", "--json").json["versions"]) == 2
    assert len(at(one, "two").do("forget", "train.fit").lines) == 1
    assert (kept(at(one, "two")), kept(one)) == ([], [("one", 1)])
    at(one, "two").do("undo")
    assert len(empty.do("forget", "train.fit", "--all", "--dry-run").lines) == 2
    empty.do("forget", "train.fit", "--all")
    assert kept(one, "--all") == []


def test_accept_chooses_among_versions_of_this_project(one: User) -> None:
    assert "no other version" in one.do("accept", "train.fit").said
    (one.workspace / "train.py").write_text(LIB.replace("x + len", "1 * x + len"))
    [code] = {each["code"][:7] for each in one.do("evals", "fit", "--json").json}
    assert one.do("accept", "train.fit").text.startswith(f"train.fit: results of code {code} count for code ")


def test_a_hit_is_a_hit_whose_ever_it_is(one: User) -> None:
    (at(one, "empty").workspace / "train.py").write_text(LIB)
    program = "from train import fit\nprint(fit.is_cached(1), fit(1))"
    assert python(at(one, "empty"), program) == "True 4\n"
    assert kept(at(one, "empty")) == [("empty", 1)]


def test_another_checkout_of_a_project_sees_the_same(one: User) -> None:
    other = at(one, "elsewhere")
    other.workspace.mkdir()
    (other.workspace / "pyproject.toml").write_text('[project]\nname = "one"\n')
    assert kept(other) == [("one", 1)]


def test_a_script_outside_of_any_project_sees_its_own(one: User) -> None:
    alone = at(one, "alone")
    alone.workspace.mkdir()
    (alone.workspace / "job.py").write_text(LIB.replace("memo\n", "memo\n", 1) + "\nfit(1)\n")
    python(alone, "import job")
    assert [each["function"] for each in alone.do("evals", "--json").json] == ["job.fit"]
    assert alone.do("why", "fit").lines[0].startswith("job.fit(x=1) ran because ")
