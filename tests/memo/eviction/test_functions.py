"""Functions that keep no more than they are told to."""

from __future__ import annotations

import pytest

from tests.memo.projects.harness import Project, ran_as

PROGRAM = """\
import sys, time, warnings
from hitsave import experiment, memo

@memo(keep={"count": 3})
def f(x):
    RAN f
    time.sleep(0.1 if x == 0 else 0)
    return x

@experiment
def g(x):
    RAN g
    return x

with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    for x in range(int(sys.argv[1])):
        f(x), g(x)
print(len(f.evaluations()), len(g.evaluations()), f.is_cached(0), f.is_cached(x))
for each in told:
    print(each.message)
"""


def test_the_dearest_and_the_newest_stay_and_it_is_told(project: Project) -> None:
    project.write({"main.py": PROGRAM})
    ran_as(project.run("main.py", "3"), ["f"] * 3 + ["g"] * 3, "3 3 True True")
    outcome = project.run("main.py", "6")
    assert outcome.output.startswith("3 6 True True main.f: 1 kept result was forgotten, since keep= sets a limit"), (
        outcome
    )
    assert outcome.output.count("forgotten") == 1, outcome


def test_undo_brings_the_last_one_back(project: Project) -> None:
    project.write({"main.py": PROGRAM})
    assert project.run("main.py", "4").output.startswith("3 4 ")
    undone = project.run("-m", "hitsave", "undo")
    assert undone.output.startswith("evaluations/main.f/"), undone
    kept = project.run("-m", "hitsave", "show-ref", "evaluations/main.f/")
    assert kept.output.count("evaluations/main.f/") == 4, kept


def test_large_results_go_as_soon_as_there_are_more(project: Project) -> None:
    script = """\
from hitsave import memo

@memo(keep={"size": "250kB", "age": "30d"})
def f(x):
    RAN
    return bytes([x]) * 100_000

for x in range(5):
    f(x)
rows = f.evaluations()
print(len(rows), sum(row.size for row in rows) <= 250_000, f.is_cached(4))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-"] * 5, "2 True True")


@pytest.mark.parametrize("keep", ["{'counts': 3}", "{'count': 0}", "{'age': 30}", "{'size': 'much'}"])
def test_what_makes_no_sense_is_refused_at_once(project: Project, keep: str) -> None:
    outcome = project.run("-c", f"import hitsave\n@hitsave.memo(keep={keep})\ndef f(): pass\n")
    assert "ValueError: keep: " in outcome.errors, outcome
