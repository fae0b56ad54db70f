"""A result that another project of the cache computed: who calls for it owns it from then on, too."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.test_evaluations_commands import edit, python
from tests.cli.test_functions_of_projects import at, kept
from tests.cli.world import User, World

LIB = """\
from pathlib import Path
from hitsave import FileSnapshot, memo

@memo
def fit(x):
    with open("../ran", "a") as file:
        file.write(Path().absolute().name + " ")
    return [x] * 100_000
"""
CALL = "from train import fit\nprint(sum(fit(1)), sum(fit(1)))"


@pytest.fixture
def one(world: World) -> User:
    """A user who has run `train.fit` in the project `one`, of which `two` is a copy with another name."""
    user = world.user()
    for name in ("one", "two", "three"):
        folder = user.workspace.parent / name
        folder.mkdir()
        (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')
        (folder / "train.py").write_text(LIB)
    one = at(user, "one")
    assert (python(one, CALL), ran(one)) == ("100000 100000\n", ["one"])
    return one


def ran(user: User) -> list[str]:
    """In which projects the body has run."""
    return (user.workspace.parent / "ran").read_text().split()


def names(user: User) -> list[tuple[str, str]]:
    """The refs of evaluations with the projects that own them."""
    refs = user.run("show-ref", "--json", "evaluations/").json  # Its exit code says whether there are any.
    return sorted((each["path"].partition("/")[0], each["name"]) for each in refs)


def owners(user: User) -> list[str]:
    return [owner for owner, _ in names(user)]


def test_a_hit_makes_it_this_projects_too(one: User) -> None:
    two = at(one, "two")
    assert python(two, CALL) == "100000 100000\n"
    assert ran(one) == ["one"]
    assert (kept(two), kept(one)) == ([("two", 1)], [("one", 1)])
    assert owners(one) == ["one", "two"]
    before = names(one)
    for project in (one, two, two):
        python(project, CALL)
    assert (names(one), ran(one)) == (before, ["one"])
    assert python(two, "from train import fit\nprint(len(fit.evaluations()))") == "1\n"


def test_only_what_was_called_for(one: User) -> None:
    python(one, "from train import fit\nfit(2)")
    two = at(one, "two")
    assert python(two, "from train import fit\nprint(fit.is_cached(1), fit.explain(2).hit)") == "True True\n"
    assert kept(two) == []
    python(two, CALL)
    assert (kept(two), kept(one)) == ([("two", 1)], [("one", 2)])


def test_why_says_whose_it_was(one: User) -> None:
    two = at(one, "two")
    python(two, CALL)
    assert two.do("why", "fit").lines[0] == "train.fit(x=1) did not run: another project had the same result"
    assert one.do("why", "fit").lines[0].startswith("train.fit(x=1) ran because ")
    assert len(two.do("evals", "fit").lines) == 1


def test_each_forgets_its_own(one: User) -> None:
    two, three = at(one, "two"), at(one, "three")
    for user in (two, three):
        python(user, CALL)
    assert owners(one) == ["one", "three", "two"]
    one.do("forget", "train.fit")
    one.do("gc", "--keep", "0d")
    assert (python(two, CALL), ran(one)) == ("100000 100000\n", ["one"])
    two.do("forget", "train.fit")
    two.do("gc", "--keep", "0d")
    assert (python(three, CALL), ran(one)) == ("100000 100000\n", ["one"])
    three.do("forget", "train.fit")
    three.do("gc", "--keep", "0d")
    assert owners(one) == []
    python(three, CALL)
    assert ran(one) == ["one", "three"]


def test_who_forgets_a_result_wants_it_computed_again(one: User) -> None:
    two = at(one, "two")
    python(two, CALL)
    two.do("forget", "train.fit")
    assert python(two, "from train import fit\nprint(fit.is_cached(1))") == "False\n"
    two.do("undo")
    python(two, CALL)
    assert ran(one) == ["one"]
    two.do("forget", "train.fit")
    python(two, CALL)
    assert ran(one) == ["one", "two"]
    assert (kept(two), kept(one)) == ([("two", 1)], [("one", 1)])
    python(one, CALL)
    assert ran(one) == ["one", "two"]


@pytest.mark.parametrize("called", [True, False])
def test_forget_in_a_program_leaves_others_theirs(one: User, called: bool) -> None:
    two = at(one, "two")
    if called:
        python(two, CALL)
    program = "from train import fit\nprint(fit.forget(1), fit.is_cached(1), fit.forget(1), sum(fit(1)))"
    assert python(two, program) == "1 False 0 100000\n"
    assert ran(one) == ["one", "two"]
    python(one, CALL)
    assert ran(one) == ["one", "two"]
    assert (kept(two), kept(one)) == ([("two", 1)], [("one", 1)])


def test_each_goes_on_with_its_own_when_the_other_runs_afresh(one: User) -> None:
    two = at(one, "two")
    python(two, CALL)
    python(one, "from train import fit\nfit.fresh(1)")
    before = names(one)
    python(two, CALL)
    assert names(one) == before
    assert ran(one) == ["one", "one"]


def test_push_takes_it_along_and_nothing_of_the_other(one: User, world: World) -> None:
    (one.workspace / "other.py").write_text(LIB.replace("def fit", "def other"))
    python(one, "from other import other\nother(1)")
    two = at(one, "two")
    for user in (one, two):
        edit(user, "[x] * 100_000", "[0 + x] * 100_000")
        python(user, CALL)
    assert ran(one) == ["one"] * 3
    two.do("remote", "add", "origin", world.remote)
    two.do("push")
    fresh = replace(world.user("cas"), workspace=two.workspace)
    assert kept(fresh) == []
    fresh.do("pull")
    assert [owner for owner, _ in names(fresh)] == ["two"]
    assert python(fresh, CALL) == "100000 100000\n"
    assert ran(one) == ["one"] * 3
    fresh.do("fsck", "--remote")
    assert any(b"[x] * 100_000" in content for content in contents(one))
    assert not any(b"[x] * 100_000" in content for content in contents(fresh))


def contents(user: User) -> list[bytes]:
    """What the evaluations of a cache need."""
    found = []
    for _, name in names(user):
        shown = user.do("cat-file", name.rpartition("@")[2]).json
        digests = [shown[part]["digest"] for part in ("manifest", "reason", "display", "result") if part in shown]
        found += [user.do("cat-file", digest).out for digest in digests]
    return found


def test_from_a_remote_that_both_share(one: User, world: World) -> None:
    one.do("remote", "add", "origin", world.remote)
    one.do("push")
    two = replace(at(one, "two"), cache=Path(world.root, "another cache"))
    two.do("remote", "add", "origin", world.remote)
    assert python(two, CALL) == "100000 100000\n"
    assert ran(one) == ["one"]
    assert kept(two) == [("two", 1)]
    two.do("push")
    one.do("forget", "--remote", "--", *[f"evaluations/{name.removeprefix('evaluations/')}" for _, name in names(one)])
    one.do("gc", "--remote", "--keep", "0d")
    third = replace(two, cache=Path(world.root, "a third cache"))
    assert python(third, CALL) == "100000 100000\n"
    assert (ran(one), owners(third)) == (["one"], ["two"])


def test_a_renamed_project_keeps_what_it_has(one: User) -> None:
    (one.workspace / "pyproject.toml").write_text('[project]\nname = "newer"\n')
    python(one, CALL)
    assert ran(one) == ["one"]
    assert kept(one) == [("newer", 1)]
    assert owners(one) == ["newer"]


def test_what_is_nobodys_stays_so(one: User) -> None:
    for name in ("one", "two"):
        path = at(one, name).workspace / "train.py"
        path.write_text(path.read_text().replace("@memo", "@memo(remote='off')"))
    python(one, "from train import fit\nfit(5)")
    python(at(one, "two"), "from train import fit\nfit(5)")
    assert owners(one) == ["", "one"]


def test_an_acceptance_is_the_word_of_one_project(one: User) -> None:
    two = at(one, "two")
    python(two, CALL)
    for user in (one, two):
        edit(user, "[x] * 100_000", "100_000 * [x]")
    one.do("accept", "train.fit")
    python(one, CALL)
    assert ran(one) == ["one"]
    python(two, CALL)
    assert ran(one) == ["one", "two"]


def test_accept_of_a_version_of_another_project(one: User) -> None:
    two = at(one, "two")
    edit(two, "[x] * 100_000", "100_000 * [x]")
    assert "--all" in two.do("accept", "train.fit").said
    assert two.do("accept", "train.fit", "--all").text.startswith("train.fit: results of code ")
    assert (python(two, CALL), ran(one)) == ("100000 100000\n", ["one"])
    assert kept(two) == [("two", 1)]
    one.do("forget", "train.fit")
    one.do("gc", "--keep", "0d")
    assert (python(two, CALL), ran(one)) == ("100000 100000\n", ["one"])


def test_what_is_not_here_is_looked_for_elsewhere_by_a_word(one: User) -> None:
    two = at(one, "two")
    assert "--all" in two.do("evals").said
    assert "--all" in two.do("evals", "--limit", "5").said
    assert "--all" in two.refused("why", "fit")
    edit(two, "[x] * 100_000", "100_000 * [x]")
    told = python(two, "from train import fit\nprint(fit.explain(1))")
    assert "another project" in told
    assert "100_000 * [x]" in told
    python(two, CALL)
    assert two.do("why", "fit").lines == [
        "train.fit(x=1) ran because nothing of it was kept yet",
        *two.do("why", "fit").lines[1:2],
    ]


def test_what_cannot_be_written_is_used_all_the_same(one: User) -> None:
    two = at(one, "two")
    with sqlite3.connect(two.cache / "cache.db") as database:
        database.execute("CREATE TRIGGER full BEFORE INSERT ON refs BEGIN SELECT RAISE(FAIL, 'the disk is full'); END")
    program = f"import warnings\nwith warnings.catch_warnings(record=True) as caught:\n    {CALL}\nprint(len(caught))"
    assert python(two, program.replace("\nprint(sum", "; print(sum")) == "100000 100000\n1\n"
    assert (ran(one), kept(two)) == (["one"], [])


def test_a_result_that_is_not_here_stays_the_others(one: User, world: World) -> None:
    one.do("remote", "add", "origin", world.remote)
    one.do("push")
    one = replace(one, cache=Path(world.root, "another cache"))
    one.do("pull")
    two = at(one, "two")
    assert python(two, CALL) == "100000 100000\n"
    assert (ran(one), owners(one)) == (["one", "two"], ["one", "two"])
    python(one, CALL)
    assert ran(one) == ["one", "two"]


def test_it_is_sent_where_new_results_are(one: User, world: World) -> None:
    for name in ("one", "two"):
        path = at(one, name).workspace / "train.py"
        path.write_text(path.read_text().replace("@memo", "@memo(remote='readwrite', keep={'count': 2})"))
    python(one, "from train import fit\nfit(1), fit(2)")
    two = at(one, "two")
    two.do("remote", "add", "origin", world.remote)
    assert python(two, CALL) == "100000 100000\n"
    fresh = replace(world.user("cas"), workspace=two.workspace)
    assert python(fresh, CALL) == "100000 100000\n"
    assert (len(ran(one)), owners(fresh)) == (2, ["two"])
    python(two, "from train import fit\nfit(2), fit(3)")
    assert (kept(two), kept(one), len(ran(one))) == ([("two", 2)], [("one", 2)], 3)
