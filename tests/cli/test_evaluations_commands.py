"""`evals`, `why` and `accept`; and what `forget`, `gc` and `config` have to do with evaluations."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.world import User, World

LIB = """\
from hitsave import experiment, memo

FACTOR = 2

def scale(x):
    return x * FACTOR

@memo
def fit(x, rate=1):
    return scale(x) + rate

@experiment
def trial(name):
    return name * 1000
"""


def python(user: User, program: str) -> str:
    """Run a program of the workspace; what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=user.workspace,
        env=user.environment() | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def edit(user: User, old: str, new: str, name: str = "train.py") -> None:
    path = user.workspace / name
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.fixture
def tom(world: World) -> User:
    """A user whose functions have run, before and after a helper changed."""
    user = world.user(remote=True)
    (user.workspace / "train.py").write_text(LIB)
    python(user, "from train import *\nfit(1)\nfit(2, rate=5)\ntrial('a')")
    edit(user, "x * FACTOR", "x + FACTOR")
    python(user, "from train import *\nfit(1)")
    return user


# -- why


def test_why_tells_what_changed_and_shows_it(tom: User) -> None:
    lines = tom.do("why", "train.fit").lines
    assert lines[0] == "train.fit(x=1, rate=1) ran because function train.scale changed"
    assert " -> " in lines[1]
    assert lines[2:] == [
        "  function train.scale:",
        "      --- old",
        "      +++ new",
        "      @@ -1,2 +1,2 @@",
        "       def scale(x):",
        "      -    return x * FACTOR",
        "      +    return x + FACTOR",
    ]


def test_why_of_earlier_runs(tom: User) -> None:
    lines = tom.do("why", "fit", "--last", "9").lines
    assert [line.partition(" because ")[2] for line in lines if " ran because " in line] == [
        "function train.scale changed",
        "it was not called with these arguments",
        "nothing of it was kept yet",
    ]
    assert "  argument x: 1 -> 2" in lines
    assert "  argument rate: 1 -> 5" in lines


def test_why_for_programs(tom: User) -> None:
    [told] = tom.do("why", "fit", "--json").json
    assert told["cause"] == "code"
    assert told["because"] == "function train.scale changed"
    assert told["differences"] == [
        {
            "kind": "function",
            "name": "train.scale",
            "was": None,
            "old": "def scale(x):\n    return x * FACTOR",
            "new": "def scale(x):\n    return x + FACTOR",
        }
    ]
    assert told["since"] != told["code"]


def test_why_works_where_it_was_pulled_to_without_the_program(world: World, tom: User) -> None:
    tom.do("push")
    ben = world.clone(tom)
    (ben.workspace / "train.py").unlink(missing_ok=True)
    ben.do("pull")
    assert ben.do("why", "fit").lines[2:] == tom.do("why", "fit").lines[2:]
    assert ben.do("why", "fit").lines[0] == tom.do("why", "fit").lines[0]


def test_functions_are_found_by_the_end_of_their_names(tom: User) -> None:
    (tom.workspace / "other.py").write_text(LIB)
    python(tom, "from other import *\nfit(1)")
    assert tom.refused("why", "fit") == "hitsave: fit could be other.fit, train.fit; name one of them"
    assert tom.refused("evals", "fit") == "hitsave: fit could be other.fit, train.fit; name one of them"
    assert tom.do("why", "other.fit").lines[0].startswith("other.fit(")
    assert tom.do("why", "trial").lines[0].startswith("train.trial(")


def test_why_of_what_never_ran(world: World, tom: User) -> None:
    assert (
        tom.refused("why", "train.fitt") == "hitsave: nothing is kept of a function train.fitt; did you mean train.fit?"
    )
    assert tom.refused("why", "it").startswith("hitsave: nothing is kept of a function it; ")
    assert world.user("new").refused("why", "train.fit") == "hitsave: nothing is kept of a function train.fit"
    tom.refused("why", code=2)
    tom.refused("why", "fit", "--last", "0", code=2)


def test_what_arguments_hold_stays_on_its_line(tom: User) -> None:
    python(tom, r"from train import *" + "\n" + r"trial('\x1b[31mred\n')")
    for arguments in (["why", "trial"], ["evals", "trial"]):
        assert "\x1b" not in tom.do(*arguments).text


# -- evals


def test_evals_alone_is_a_line_for_each_function(tom: User) -> None:
    done = tom.do("evals")
    assert [line.split()[2:4] for line in done.lines] == [["train.fit", "3"], ["train.trial", "1"]]
    head, said = done.said.splitlines()
    assert head.split()[2:4] == ["FUNCTION", "EVALUATIONS"]
    assert said.startswith("4 evaluations (1 experiment): computed in ")
    told = tom.do("evals", "--json").json
    assert [(each["function"], each["evaluations"], each["experiments"]) for each in told] == [
        ("train.fit", 3, 0),
        ("train.trial", 1, 1),
    ]


def test_evals_of_a_function_newest_first(tom: User) -> None:
    done = tom.do("evals", "train.fit")
    lines = done.lines
    assert done.said.split() == ["WHEN", "ARGUMENTS", "ELAPSED", "SIZE", "CODE", "BY"]
    assert [line[18:].partition("  ")[0] for line in lines] == ["x=1, rate=1", "x=2, rate=5", "x=1, rate=1"]
    told = tom.do("evals", "fit", "--json").json
    assert [[each["text"] for each in one["arguments"]] for one in told] == [["1", "1"], ["2", "5"], ["1", "1"]]
    assert len({one["code"] for one in told}) == 2
    assert lines[0].split()[-2] == told[0]["code"][:7]


def test_evals_are_chosen_and_sorted(tom: User) -> None:
    def listed(*options: str) -> list[str]:
        return [each["function"].removeprefix("train.") for each in tom.do("evals", "--json", *options).json]

    assert listed("--limit", "0") == ["fit", "trial", "fit", "fit"]
    assert listed("--sort", "size")[0] == "trial"
    assert listed("--sort", "function") == ["fit", "fit", "fit", "trial"]
    assert listed("--limit", "1") == ["fit"]
    assert listed("--experiments") == ["trial"]
    assert listed("--since", "1h") == ["fit", "trial", "fit", "fit"]
    assert listed("--since", "0s") == []
    code = tom.do("evals", "fit", "--json").json[0]["code"]
    assert listed("--code", code[:7]) == ["fit"]
    assert "nothing is kept of code" in tom.refused("evals", "--code", "0" * 64)
    tom.refused("evals", "--since", "soon", code=2)
    tom.refused("evals", "--sort", "colour", code=2)
    assert "experiment" in tom.do("evals", "--experiments").text


def test_evals_of_nothing(world: World) -> None:
    new = world.user()
    done = new.do("evals")
    assert (done.out, done.said) == (b"", "nothing is kept of any function of this project yet\n")
    assert new.do("evals", "--json").json == []
    new.refused("evals", "train.fit")


# -- accept


def ran(user: User, call: str) -> bool:
    """Whether a call has to be computed."""
    return python(user, f"from train import *\nprint({call.replace('(', '.is_cached(', 1)})") == "False\n"


def test_accept_makes_old_results_count(tom: User) -> None:
    assert ran(tom, "fit(2, rate=5)")
    dry = tom.do("accept", "train.fit", "--dry-run")
    assert ran(tom, "fit(2, rate=5)")
    done = tom.do("accept", "fit", "--note", "the same, really")
    old, new = (each["code"][:7] for each in reversed(tom.do("evals", "fit", "--json", "--limit", "2").json))
    assert dry.text == f"train.fit: results of code {old} would count for code {new}\n"
    assert done.text == f"train.fit: results of code {old} count for code {new}\n"
    assert "      -    return x * FACTOR\n      +    return x + FACTOR\n" in done.said
    assert "\n2 evaluations by that; 'hitsave forget " in done.said
    assert not ran(tom, "fit(2, rate=5)")
    assert python(tom, "from train import *\nprint(fit(2, rate=5))") == "9\n"
    again = tom.do("accept", "train.fit")
    assert (again.out, again.said) == (b"", f"train.fit: nothing to accept: code {old} counts already\n")


def test_an_acceptance_is_taken_back(tom: User) -> None:
    said = tom.do("accept", "train.fit").said
    digest = said.partition("'hitsave forget ")[2].partition("'")[0]
    tom.do("forget", digest)
    assert ran(tom, "fit(2, rate=5)")


def test_an_acceptance_goes_to_the_team(world: World, tom: User) -> None:
    tom.do("accept", "train.fit")
    tom.do("push")
    ben = world.clone(tom)
    (ben.workspace / "train.py").write_text((tom.workspace / "train.py").read_text())
    ben.do("pull")
    assert not ran(ben, "fit(2, rate=5)")
    assert python(ben, "from train import *\nprint(fit(2, rate=5))") == "9\n"
    assert ben.do("evals", "fit", "--json").json == tom.do("evals", "fit", "--json").json


def test_an_acceptance_is_found_in_the_remote_by_a_call(world: World, tom: User) -> None:
    tom.do("accept", "train.fit")
    tom.do("push")
    ben = world.clone(tom)
    (ben.workspace / "train.py").write_text((tom.workspace / "train.py").read_text())
    assert python(ben, "from train import *\nprint(fit(2, rate=5))") == "9\n"
    assert len(ben.do("evals", "fit", "--json").json) == 1


def test_accept_of_a_version_that_is_named(tom: User) -> None:
    codes = {each["code"][:7]: each["started"] for each in tom.do("evals", "fit", "--json").json}
    newest, oldest = sorted(codes, key=codes.__getitem__, reverse=True)
    edit(tom, "x + FACTOR", "FACTOR + x")
    assert "has no code 0000000 (there is " in tom.refused("accept", "fit", "--from", "0000000")
    done = tom.do("accept", "fit", "--from", oldest)
    assert done.text.startswith(f"train.fit: results of code {oldest} count for code ")
    assert tom.do("accept", "fit").text.startswith(f"train.fit: results of code {newest} count for code ")
    assert "      +    return FACTOR + x" in done.said


def test_nothing_to_accept(tom: User) -> None:
    done = tom.do("accept", "trial")
    assert (done.out, done.said) == (b"", "train.trial: nothing to accept: no other version of its code is kept\n")
    done = tom.do(
        "accept", "train.unused" if edit(tom, "@experiment", "@memo\ndef unused(): pass\n\n@experiment") is None else ""
    )
    assert (done.out, done.said) == (b"", "train.unused: nothing to accept: no other version of its code is kept\n")


SCRIPT = """\
from hitsave import memo

@memo
def train(rate):
    open("ran", "a").write("x")
    return rate * 2

print(train(0.1))

@memo
def later(rate):
    return rate
"""


def test_accept_runs_nothing_that_a_script_calls(tom: User) -> None:
    (tom.workspace / "script.py").write_text(SCRIPT)
    python(tom, "import script")
    edit(tom, "rate * 2", "2 * rate", "script.py")
    dry = tom.do("accept", "script.train", "--dry-run")
    assert " would count for code " in dry.text
    assert "      +    return 2 * rate" in dry.said
    assert tom.do("accept", "script.train").said.rpartition("\n1 evaluation by that")[1]
    assert python(tom, "import script") == "0.2\n"
    assert (tom.workspace / "ran").read_text() == "x"
    says = "hitsave: script calls a memoised function while it is imported, before later is defined; put such calls"
    assert tom.refused("accept", "script.later").startswith(says)


@pytest.mark.parametrize("call", ["train.fresh(0.1)", "import asyncio; asyncio.run(wait(0.1))"])
def test_accept_runs_nothing_in_any_way(tom: User, call: str) -> None:
    wait = "@memo\nasync def wait(rate):\n    return train(rate)\n\n"
    (tom.workspace / "script.py").write_text(SCRIPT.replace("print(train(0.1))", wait + call))
    python(tom, "import script")
    edit(tom, "rate * 2", "2 * rate", "script.py")
    tom.do("accept", "script.train")
    assert (tom.workspace / "ran").read_text() == "x"


def test_accept_where_a_module_calls_that_is_imported_in_turn(tom: User) -> None:
    package = tom.workspace / "models"
    package.mkdir()
    (package / "__init__.py").write_text("from models.inner import train\n")
    (package / "inner.py").write_text(SCRIPT)
    (package / "other.py").write_text(SCRIPT.replace("print(train(0.1))", "import models.inner"))
    python(tom, "import models.other; models.other.train(1)")
    edit(tom, "rate * 2", "2 * rate", "models/inner.py")
    edit(tom, "rate * 2", "2 * rate", "models/other.py")
    assert " count for code " in tom.do("accept", "models.inner.train").text
    assert " count for code " in tom.do("accept", "models.other.train").text
    assert (tom.workspace / "ran").read_text() == "xx"
    assert "before later is defined" in tom.refused("accept", "models.inner.later")


def test_functions_that_cannot_be_found(tom: User) -> None:
    assert tom.refused("accept", "train.scale") == "hitsave: train has no memoised function scale"
    assert tom.refused("accept", "train.nope") == "hitsave: train has no memoised function nope"
    assert tom.refused("accept", "nope.f").startswith("hitsave: there is no module nope here; ")
    assert tom.refused("accept", "train.make.<locals>.f").startswith(
        "hitsave: train.make.<locals>.f is made by a function; "
    )
    (tom.workspace / "broken.py").write_text("import nowhere\n")
    assert tom.refused("accept", "broken.f") == "hitsave: broken cannot be imported here (No module named 'nowhere')"
    (tom.workspace / "broken.py").write_text("raise SystemExit('no arguments')\n")
    assert tom.refused("accept", "broken.f") == "hitsave: broken cannot be imported here (SystemExit: no arguments)"


@pytest.mark.parametrize(
    ("place", "folder"), [("src/train.py", "."), ("scripts/train.py", "scripts"), ("scripts/train.py", ".")]
)
def test_modules_are_found_where_programs_find_them(world: World, place: str, folder: str) -> None:
    user = world.user()
    path = user.workspace / place
    path.parent.mkdir()
    path.write_text(LIB + "print('imported')\nfit(1)\n")
    subprocess.run([sys.executable, path], env=user.environment(), check=True, capture_output=True)
    edit(user, "x * FACTOR", "x + FACTOR", place)
    done = user.do("accept", "train.fit", folder=user.workspace / folder)
    assert done.text.startswith("train.fit: results of code ")
    assert len(done.lines) == 1


def test_methods_and_what_is_wrapped_again(tom: User) -> None:
    program = """\
import functools
from hitsave import memo

class Model:
    @memo
    def fit(self, x):
        return x

    @memo
    @classmethod
    def make(cls, x):
        return x

def twice(function):
    @functools.wraps(function)
    def wrapper(x):
        return function(x) * 2
    return wrapper

@twice
@memo
def shown(x):
    return x
"""
    (tom.workspace / "model.py").write_text(program)
    python(tom, "from model import *\nModel().fit(1), Model.make(1), shown(1)")
    (tom.workspace / "model.py").write_text(
        program.replace("        return x\n", "        return +x\n").replace("    return x\n", "    return +x\n")
    )
    for name in ("model.Model.fit", "model.Model.make", "model.shown"):
        assert tom.do("accept", name).text.startswith(f"{name}: results of code "), name


# -- forget, gc


def test_forget_of_a_function_leaves_its_experiments(tom: User) -> None:
    listed = tom.do("forget", "train.fit", "--dry-run")
    assert len(listed.lines) == 3
    assert [each["evaluations"] for each in tom.do("evals", "--json").json] == [3, 1]
    assert sorted(tom.do("forget", "train.fit").lines) == sorted(listed.lines)
    assert [each["function"] for each in tom.do("evals", "--json").json] == ["train.trial"]
    tom.do("undo")
    assert [each["evaluations"] for each in tom.do("evals", "--json").json] == [3, 1]
    assert (
        tom.refused("forget", "train.trial")
        == "hitsave: of train.trial there are only experiments; --experiments forgets them"
    )
    tom.do("forget", "train.trial", "--experiments")
    assert [each["function"] for each in tom.do("evals", "--json").json] == ["train.fit"]
    assert sorted(tom.do("forget", "fit", "--dry-run").lines) == sorted(listed.lines)
    tom.refused("forget", "train.nope")


def test_gc_keeps_within_the_limits(tom: User) -> None:
    tom.do("config", "set", "evaluations.count", "1")
    assert tom.do("config", "get", "evaluations.count").text == "1\n"
    listed = tom.do("gc", "--dry-run")
    assert [line.partition("train.")[2] for line in listed.lines] == ["fit: more than 1"] * 2
    assert listed.said.startswith("2 evaluations would be forgotten, ")
    assert [each["evaluations"] for each in tom.do("evals", "--json").json] == [3, 1]
    done = tom.do("gc")
    assert [line.partition("train.")[2] for line in done.lines] == ["fit: more than 1"] * 2
    assert done.said.startswith("2 evaluations forgotten\n")
    assert [each["evaluations"] for each in tom.do("evals", "--json").json] == [1, 1]
    assert tom.do("gc", "--json").json["forgotten"] == []
    tom.do("undo")
    assert [each["evaluations"] for each in tom.do("evals", "--json").json] == [3, 1]
    tom.do("config", "unset", "evaluations.count")
    tom.do("config", "set", "evaluations.age", "0s")
    forgotten = tom.do("gc", "--json").json["forgotten"]
    assert [each["why"] for each in forgotten] == ["older than 0s"] * 3
    assert [each["function"] for each in tom.do("evals", "--json").json] == ["train.trial"]


def test_limits_of_the_store_are_ones_own(tom: User) -> None:
    tom.do("config", "set", "evaluations.size", "10GB")
    assert "[evaluations]" in (tom.config / "config.toml").read_text()
    assert "evaluations.size = 10000000000" in tom.do("config", "list").lines
    assert "must be a size" in tom.refused("config", "set", "evaluations.size", "big")
    assert "did you mean 'evaluations.age'?" in tom.refused("config", "set", "evaluations.ages", "3d")
