"""What a memoised function offers beside being called, and that it still looks like the function."""

from __future__ import annotations

import pytest

from tests.memo.projects.harness import Project, ran_as

SIMPLE = """\
import sys
from hitsave import memo

FACTOR = 2

def helper(x):
    return x * FACTOR

@memo
def f(x, k=1):
    \"\"\"Scales.\"\"\"
    RAN
    return helper(x) * k

"""


def test_is_cached_runs_nothing(project: Project) -> None:
    project.write({"main.py": SIMPLE + "print(f.is_cached(3), f.is_cached(3, k=1), sys.argv[1:] and f(3))\n"})
    ran_as(project.run(), [], "False False []")
    ran_as(project.run("main.py", "call"), ["-"], "False False 6")
    ran_as(project.run(), [], "True True []")
    project.replace("main.py", "x * FACTOR", "x + FACTOR")
    ran_as(project.run(), [], "False False []")
    project.replace("main.py", "x + FACTOR", "x * FACTOR  # again")
    ran_as(project.run(), [], "True True []")


def test_forget_one_call(project: Project) -> None:
    script = "print(f(3), f(4))\nf.forget(3)\nprint(f.is_cached(3), f.is_cached(4), f(3), f(4))\n"
    project.write({"main.py": SIMPLE + script})
    ran_as(project.run(), ["-"] * 3, "6 8 False True 6 8")


def test_forget_reaches_other_processes(project: Project) -> None:
    project.write({"main.py": SIMPLE + "print(f(3))\n", "drop.py": "from main import f\nf.forget(3)\n"})
    ran_as(project.run(), ["-"], "6")
    ran_as(project.run("drop.py"), [], "6")
    ran_as(project.run(), ["-"], "6")


def test_a_running_process_notices_what_another_forgot(project: Project) -> None:
    script = """\
import os, time
print(f(3), f(3), flush=True)
open("ready", "w").close()
while os.path.exists("ready"):
    time.sleep(0.01)
print(f(3))
"""
    project.write({"main.py": SIMPLE + script})
    running = project.start()
    running.wait_for(project.folder / "ready")
    forgetting = SIMPLE + "f.forget(3)\n"
    dropped = project.run("-c", forgetting.replace("RAN", "pass"))
    assert dropped.code == 0, dropped
    (project.folder / "ready").unlink()
    outcome = running.finish()
    assert outcome.output == "6 6 6", outcome


def test_fresh_runs_again_and_its_result_counts_from_then_on(project: Project) -> None:
    script = """\
import os
from hitsave import memo

@memo
def f(x):
    RAN
    return len(open(os.environ["TRACE"]).readlines()) * 100 + x

print(f(1), f(1), f.fresh(1), f(1))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-", "-"], "101 101 201 201")
    project.write({"main.py": script.replace("f.fresh(1), ", "")})
    ran_as(project.run(), [], "201 201 201")


def test_a_fresh_result_counts_also_when_the_clock_was_set_back(project: Project) -> None:
    script = """\
import os, sqlite3
from hitsave import memo

@memo
def f(x):
    RAN
    return len(open(os.environ["TRACE"]).readlines())

print(f(1))
database = sqlite3.connect(os.path.join(os.environ["HITSAVE_LOCAL_CACHE_DIR"], "cache.db"))
database.execute("UPDATE refs SET created = created + 1000000")
database.commit()
print(f.fresh(1))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-", "-"], "1 2")
    project.write({"main.py": script.partition("print")[0] + "print(f(1))\n"})
    ran_as(project.run(), [], "2")


@pytest.mark.parametrize(
    ("old", "new", "named", "shown"),
    [
        ("return x * FACTOR", "return x + FACTOR", "helper", ["x * FACTOR", "x + FACTOR"]),
        ("FACTOR = 2", "FACTOR = 3", "FACTOR", ["2", "3"]),
        ("helper(x) * k", "helper(x) * k + 1", "f", ["helper(x) * k + 1"]),
    ],
)
def test_explain_names_what_changed(project: Project, old: str, new: str, named: str, shown: list[str]) -> None:
    project.write({"main.py": SIMPLE + "f(3) if sys.argv[1:] else print(f.explain(3))\n"})
    first = project.run()
    assert first.code == 0, first
    assert first.ran == (), first
    ran_as(project.run("main.py", "call"), ["-"], "")
    hit = project.run()
    assert hit.ran == (), hit
    assert named == "f" or named not in hit.output, hit
    project.replace("main.py", old, new)
    missed = project.run()
    assert missed.ran == (), missed
    assert all(text in missed.output for text in [named, *shown]), missed


def test_explain_names_the_argument_that_differs(project: Project) -> None:
    project.write({"main.py": SIMPLE + "f(3, k=5)\nprint(f.explain(3, k=71))\n"})
    outcome = project.run()
    assert "k" in outcome.output, outcome
    assert "71" in outcome.output, outcome


def test_evaluations_are_listed(project: Project) -> None:
    project.write({"main.py": SIMPLE + "f(3), f(4), f(3)\nprint(len(list(f.evaluations())))\n"})
    ran_as(project.run(), ["-", "-"], "2")


def test_it_looks_like_the_function(project: Project) -> None:
    script = """\
import inspect
print(f.__name__, f.__qualname__, f.__module__, f.__doc__, inspect.signature(f), f.__wrapped__(3), callable(f))
"""
    project.write({"main.py": SIMPLE + script})
    ran_as(project.run(), ["-"], "f f __main__ Scales. (x, k=1) 6 True")


def test_an_asynchronous_function_looks_like_one(project: Project) -> None:
    script = """\
import asyncio, inspect
from hitsave import memo

@memo
async def f(x):
    RAN
    return x * 2

print(inspect.iscoroutinefunction(f), asyncio.iscoroutine(c := f(3)), asyncio.run(c), f.is_cached(3))
"""
    project.write({"main.py": script})
    outcome = project.run()
    assert outcome.output == "True True 6 True", outcome


def test_asynchronous_methods(project: Project) -> None:
    script = """\
import asyncio
from hitsave import memo

class C:
    @memo
    async def m(self, x):
        RAN
        return x * 2

    @memo
    @classmethod
    async def c(cls, x):
        RAN
        return x * 3

async def main():
    print(await C().m(3), await C().m(3), await C.c(3), await C().c(3), await C().m.fresh(3))

asyncio.run(main())
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-"] * 3, "6 6 9 9 6")


def test_it_pickles_by_reference(project: Project) -> None:
    script = """\
import copy, pickle
from hitsave import memo
from lib import g

@memo
def f(x):
    RAN
    return x * 2

class Model:
    @memo
    def run(self, x):
        RAN
        return x * 3

print(pickle.loads(pickle.dumps(f)) is f, pickle.loads(pickle.dumps(g)) is g, copy.deepcopy(f) is f)
print(pickle.loads(pickle.dumps(Model().run))(3), len(pickle.dumps(f)) < 200)
"""
    project.write({"main.py": script, "lib.py": "from hitsave import memo\n\n@memo\ndef g(x):\n    return x\n"})
    ran_as(project.run(), ["-"], "True True True 9 True")


def test_wrong_arguments_are_a_type_error(project: Project) -> None:
    script = """\
for call in (lambda: f(), lambda: f(1, 2, 3), lambda: f(1, y=2), lambda: f(1, x=1)):
    try:
        call()
    except TypeError as error:
        print(type(error).__name__, end=" ")
"""
    project.write({"main.py": SIMPLE + script})
    outcome = project.run()
    assert (outcome.ran, outcome.code) == ((), 0), outcome
    assert outcome.output == "TypeError TypeError TypeError TypeError", outcome


def test_parameters_may_have_any_name(project: Project) -> None:
    script = """\
from hitsave import memo

@memo
def f(self, key, function, args, kwargs, call, fresh=0, **more):
    RAN
    return [self, key, function, args, kwargs, call, fresh, more]

print(f(self=1, key=2, function=3, args=4, kwargs=5, call=6, fresh=7, instance=8, ignore=9))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-"], "[1, 2, 3, 4, 5, 6, 7, {'instance': 8, 'ignore': 9}]")


def test_methods_answer_too(project: Project) -> None:
    script = """\
from hitsave import memo

class Model:
    def __init__(self, k):
        self.k = k

    @memo
    def run(self, x):
        RAN
        return x * self.k

model = Model(2)
print(model.run.is_cached(3), model.run(3), model.run.is_cached(3), Model(5).run.is_cached(3), model.run.forget(3) or 0)
print(model.run.is_cached(3), model.run.fresh(3), Model.run.is_cached(Model(2), 3))
"""
    project.write({"main.py": script})
    outcome = project.run()
    assert outcome.ran == ("-", "-"), outcome
    assert outcome.output.startswith("False 6 True False"), outcome
    assert outcome.output.endswith("False 6 True"), outcome


@pytest.mark.parametrize(
    "line",
    [
        "from hitsave import memo, experiment",
        "from hitsave import experiment, memo",
        "import hitsave\nfrom hitsave import experiment, FileSnapshot, memo\nmemo = hitsave.memo",
        "from hitsave import *",
        "from hitsave import experiment\nimport hitsave\nmemo = hitsave.memo",
        "import hitsave.memoisation.decorators\nfrom hitsave import experiment, memo",
    ],
)
def test_the_names_are_there_in_every_order(project: Project, line: str) -> None:
    script = """
@memo
def f(x):
    RAN f
    return x

@experiment
def g(x):
    RAN g
    return x

print(f(1), g(2))
"""
    again = f"import main\n{line}\nprint(callable(memo), callable(experiment))\n"
    project.write({"main.py": line + script, "two.py": again})
    ran_as(project.run(), ["f", "g"], "1 2")
    ran_as(project.run("two.py"), [], "1 2 True True")


def test_two_projects_with_the_same_names(project: Project) -> None:
    """One cache for all of a user's projects: `main.f` is in each of them."""
    for name, factor in (("first", 2), ("second", 5)):
        project.write(
            {
                f"{name}/main.py": "from lib import helper\n"
                + SIMPLE.replace("def helper", "def unused")
                + "print(f(3))\n"
            }
        )
        project.write({f"{name}/lib.py": f"def helper(x):\n    return x * {factor}\n"})
    ran_as(project.run(cwd=project.folder / "first"), ["-"], "6")
    ran_as(project.run(cwd=project.folder / "second"), ["-"], "15")
    ran_as(project.run(cwd=project.folder / "first"), [], "6")
    ran_as(project.run(cwd=project.folder / "second"), [], "15")


def test_a_hit_runs_no_code_of_the_user(project: Project) -> None:
    """Not even to see whether the code is what it was: helpers are read, never called."""
    script = """\
import os
from hitsave import memo

def helper(x):
    RAN helper
    return x * 2

@memo
def f(x):
    RAN f
    return helper(x)

print(f(3))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["f", "helper"], "6")
    ran_as(project.run(), [], "6")
