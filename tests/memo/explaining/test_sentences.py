"""Why, in a sentence, and of real functions."""

from __future__ import annotations

import pytest

from hitsave.memoisation.explaining.differences import Difference
from hitsave.memoisation.explaining.explanation import Cause, Explanation
from tests.memo.projects.harness import Project

F = Difference("function", "pkg.f", "a", "b")
G = Difference("function", "pkg.g", "a", "b")
N = Difference("value", "pkg.N", "1", "2")
NAME = Difference("name", "pkg.g", "pkg.g2", "lib.g")


@pytest.mark.parametrize(
    ("cause", "differences", "sentence"),
    [
        (Cause.CODE, (G,), "function pkg.g changed"),
        (Cause.CODE, (F, G), "its own code and function pkg.g changed"),
        (Cause.CODE, (G, NAME), "function pkg.g changed"),
        (Cause.CODE, (NAME,), "pkg.g stands for lib.g, not pkg.g2"),
        (Cause.CODE, (G, N), "function pkg.g changed and value pkg.N is 2, was 1"),
        (
            Cause.CODE,
            (F, G, N, N),
            "its own code and function pkg.g changed, value pkg.N is 2, was 1 and value pkg.N is 2, was 1",
        ),
        (
            Cause.CODE,
            (F, G, N, N, N),
            "its own code and function pkg.g changed, value pkg.N is 2, was 1 and 2 more things differ",
        ),
        (Cause.CODE, (), "what it depends on has changed"),
        (
            Cause.BOTH,
            (G, Difference("argument", "x", "1", "2")),
            "function pkg.g changed, and it was not called with these arguments",
        ),
        (Cause.FIRST, (), "nothing of it was kept yet"),
    ],
)
def test_sentences(cause: Cause, differences: tuple[Difference, ...], sentence: str) -> None:
    assert Explanation("pkg.f", cause, differences=differences).sentence == sentence


def test_an_explanation_is_true_where_it_is_a_hit() -> None:
    assert Explanation("pkg.f", Cause.HIT)
    assert not Explanation("pkg.f", Cause.FIRST)
    assert str(Explanation("pkg.f", Cause.HIT)) == "pkg.f: its result is kept"


LIB = """\
from hitsave import memo
N = 1
def g(x):
    return x + N
@memo
def f(x, y=0):
    RAN
    return g(x) + y
"""


def explained(project: Project, call: str) -> list[str]:
    """The lines of an explanation, without what they begin with."""
    outcome = project.run("-c", f"from lib import f\nprint(repr(str(f.explain({call}))))")
    assert outcome.code == 0, outcome
    text: str = eval(outcome.output)
    return [line.strip() for line in text.splitlines()]


def called(project: Project, call: str) -> None:
    assert project.run("-c", f"from lib import f\nf({call})").ran == ("-",)


def test_from_the_first_call_to_the_last(project: Project) -> None:
    project.write({"lib.py": LIB})
    assert explained(project, "1") == ["lib.f would run because nothing of it was kept yet"]
    called(project, "1")
    called(project, "5, 5")
    assert explained(project, "1") == ["lib.f: its result is kept"]
    assert explained(project, "5, 6") == [
        "lib.f would run because it was not called with these arguments",
        "argument y: 5 -> 6",
    ]
    project.replace("lib.py", "N = 1", "N = 7")
    assert explained(project, "1") == ["lib.f would run because value lib.N is 7, was 1", "value lib.N: 1 -> 7"]
    assert (
        explained(project, "5, 7")[0]
        == "lib.f would run because value lib.N is 7, was 1, and it was not called with these arguments"
    )
    called(project, "1")
    assert explained(project, "5, 5") == ["lib.f would run because value lib.N is 7, was 1", "value lib.N: 1 -> 7"]
    assert explained(project, "5, 6") == [
        "lib.f would run because it was not called with these arguments",
        "argument x: 1 -> 5",
        "argument y: 0 -> 6",
    ]


def test_new_calls_of_known_code_keep_no_reason_and_a_change_keeps_one(project: Project) -> None:
    project.write({"lib.py": LIB, "main.py": "from lib import f\nprint(sum(map(f, range(20))))\n"})
    count = """\
import os, sqlite3
database = sqlite3.connect(os.path.join(os.environ["HITSAVE_LOCAL_CACHE_DIR"], "cache.db"))
print(sum(b'"differences":' in row[0] for row in database.execute("SELECT content FROM inbox")))
"""
    assert project.run().output == "210"
    assert project.run("-c", count).output == "1"
    project.replace("lib.py", "x + N", "x - N")
    assert project.run().output == "170"
    assert project.run("-c", count).output == "2"
