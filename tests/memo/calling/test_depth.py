"""Memoised functions that call themselves: about as often as plain ones can, and without end they fail as those do."""

from __future__ import annotations

import sys

from tests.memo.projects.harness import Project

#: In 3.12, calls of objects count for a fixed limit of their own, which nothing raises.
DEPTH = 400 if sys.version_info[:2] == (3, 12) else 900
FUNCTION = """\
import sys, threading
from hitsave import memo

@memo
def d(n):
    return 0 if n == 0 else 1 + d(n - 1)

class C:
    @memo
    def d(self, n):
        return 0 if n == 0 else 1 + self.d(n - 1)

"""


def _run(project: Project, program: str) -> str:
    project.write({"main.py": FUNCTION + program})
    outcome = project.run()
    assert outcome.code == 0, outcome
    return outcome.output


def test_functions_and_methods(project: Project) -> None:
    program = f"print(d({DEPTH}), C().d({DEPTH} * 9 // 10), sys.getrecursionlimit())"
    assert _run(project, program) == f"{DEPTH} {DEPTH * 9 // 10} 1000"


def test_threads(project: Project) -> None:
    program = (
        f"threads = [threading.Thread(target=d, args=({DEPTH},)) for _ in range(2)]\n"
        "for each in threads: each.start()\n"
        "for each in threads: each.join()\n"
        f"print(d.is_cached({DEPTH}), sys.getrecursionlimit())"
    )
    assert _run(project, program) == "True 1000"


def test_without_end(project: Project) -> None:
    program = "try: d(-1)\nexcept RecursionError: print('too deep', sys.getrecursionlimit())"
    assert _run(project, program) == "too deep 1000"


def test_a_limit_that_the_program_sets_holds(project: Project) -> None:
    program = (
        "@memo\ndef f(x):\n    sys.setrecursionlimit(3000)\n    return d(x)\n\n"
        "@memo\ndef g(x):\n    before = sys.getrecursionlimit()\n    sys.setrecursionlimit(9000)\n"
        "    found = d(x)\n    sys.setrecursionlimit(before)\n    return found\n\n"
        "for x in range(5): g(10 + x)\n"
        "print(sys.getrecursionlimit())\nf(3)\nprint(sys.getrecursionlimit())"
    )
    assert _run(project, program) == "1000 3000"
