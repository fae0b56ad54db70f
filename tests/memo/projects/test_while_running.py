"""Source that is edited while a program runs it: what old code computed must not be taken for the new code's."""

from __future__ import annotations

import pytest

from tests.memo.projects.harness import Project, ran_as

#: Goes on, one call after another, when the test makes the next file.
STEPPING = """\
import os, sys, time
import work

def wait_for(name):
    open("at-" + name, "w").close()
    while not os.path.exists("go-" + name):
        time.sleep(0.005)

for step in sys.argv[1:]:
    wait_for(step)
    print(work.f(int(step)), flush=True)
"""
WORK = """\
from hitsave import memo
from lib import helper

@memo
def f(x):
    RAN
    return helper(x)
"""
LIB = """\
FACTOR = 2

def helper(x):
    return x * FACTOR
"""
NOW = "import sys\nimport work\nprint(*[work.f(int(x)) for x in sys.argv[1:]])\n"

EDITS = [
    ("lib.py", "x * FACTOR", "x + FACTOR", lambda x: x + 2),
    ("lib.py", "FACTOR = 2", "FACTOR = 3", lambda x: x * 3),
    ("work.py", "return helper(x)", "return helper(x) + 1", lambda x: x * 2 + 1),
]


@pytest.mark.parametrize(("name", "old", "new", "changed"), EDITS, ids=["helper", "constant", "body"])
@pytest.mark.parametrize("steps", [("1", "2"), ("2",)], ids=["after a call", "before any call"])
def test_edited_while_it_runs(
    project: Project, steps: tuple[str, ...], name: str, old: str, new: str, changed: object
) -> None:
    project.write({"main.py": STEPPING, "now.py": NOW, "work.py": WORK, "lib.py": LIB})
    running = project.start("main.py", *steps)
    for step in steps[:-1]:
        project.write({f"go-{step}": ""})
    running.wait_for(project.folder / f"at-{steps[-1]}")
    project.replace(name, old, new)
    project.write({f"go-{steps[-1]}": ""})
    ran_as(running.finish(), ["-"] * len(steps), " ".join(str(int(step) * 2) for step in steps))
    assert callable(changed)
    ran_as(project.run("now.py", *steps), ["-"] * len(steps), " ".join(str(changed(int(step))) for step in steps))
    project.replace(name, new, old)
    outcome = project.run("now.py", *steps)
    assert outcome.output == " ".join(str(int(step) * 2) for step in steps), outcome


def test_lines_move_while_it_runs(project: Project) -> None:
    """The text at the old line numbers is another function's."""
    project.write({"main.py": STEPPING, "now.py": NOW, "work.py": WORK, "lib.py": LIB})
    running = project.start("main.py", "2")
    running.wait_for(project.folder / "at-2")
    moved = "def another(x):\n    return x * 100\n\n\ndef more(x):\n    return x\n\n\n" + LIB.replace(
        "x * FACTOR", "x - FACTOR"
    )
    project.write({"lib.py": moved, "go-2": ""})
    ran_as(running.finish(), ["-"], "4")
    ran_as(project.run("now.py", "2"), ["-"], "0")


def test_a_module_is_loaded_again(project: Project) -> None:
    script = """\
import importlib
import pathlib
import lib
from hitsave import memo

@memo
def f(x):
    RAN
    return lib.helper(x)

print(f(3))
path = pathlib.Path("lib.py")
path.write_text(path.read_text().replace("x * FACTOR", "x + FACTOR  # longer"))
print(f(3), f(4))
importlib.reload(lib)
print(f(3), f(4))
"""
    project.write({"main.py": script, "lib.py": LIB})
    ran_as(project.run(), ["-"] * 4, "6 6 8 5 6")


def test_a_file_is_edited_before_its_functions_are_looked_at(project: Project) -> None:
    """Imported from the old text, read for the first time when the new one lies there; the lines fit both."""
    script = """\
import pathlib
import lib
path = pathlib.Path("lib.py")
path.write_text(path.read_text().replace("x * FACTOR", "x - FACTOR"))
from hitsave import memo

@memo
def f(x):
    RAN
    return lib.helper(x)

print(f(5))
"""
    project.write({"main.py": script, "lib.py": LIB})
    ran_as(project.run(), ["-"], "10")
    project.write(
        {"main.py": script.replace('path.write_text(path.read_text().replace("x * FACTOR", "x - FACTOR"))', "")}
    )
    ran_as(project.run(), ["-"], "3")


def test_the_source_is_gone(project: Project) -> None:
    script = """\
import os
import lib
from hitsave import memo

@memo
def f(x):
    RAN
    return lib.helper(x)

os.rename("lib.py", "away.py")
print(f(3))
os.rename("away.py", "lib.py")
"""
    project.write({"main.py": script, "lib.py": LIB})
    outcome = project.run()
    assert (outcome.code, outcome.output) == (0, "6"), outcome
    project.replace("lib.py", "x * FACTOR", "x - FACTOR")
    outcome = project.run()
    assert (outcome.code, outcome.output) == (0, "1"), outcome


def test_only_compiled_files_are_there(project: Project) -> None:
    """A project whose helpers come as .pyc alone."""
    build = "import os, py_compile\npy_compile.compile('lib.py', cfile='lib.pyc')\nos.unlink('lib.py')\n"
    script = (
        "from hitsave import memo\nimport lib\n\n@memo\ndef f(x):\n    RAN\n    return lib.helper(x)\n\nprint(f(3))\n"
    )
    project.write({"main.py": script, "build.py": build, "lib.py": LIB})
    project.run("build.py")
    ran_as(project.run(), ["-"], "6")
    ran_as(project.run(), [], "6")
    project.write({"lib.py": LIB.replace("x * FACTOR", "x - FACTOR")})
    project.run("build.py")
    ran_as(project.run(), ["-"], "1")
