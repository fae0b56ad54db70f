"""What comes back: results that callers change, large ones, those that cannot be kept, and failures."""

from __future__ import annotations

import os

import pytest

from tests.memo.projects.harness import Project, ran_as


def test_a_caller_may_change_what_it_gets(project: Project) -> None:
    script = """\
from hitsave import memo

@memo
def f(n):
    RAN
    return {"values": list(range(n)), "nested": [[1], {"a": {1, 2}}]}

first = f(3)
first["values"].append(99)
first["nested"][0][0] = 99
second = f(3)
second["values"].clear()
second["nested"][1]["a"].add(99)
print(f(3))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-"], "{'values': [0, 1, 2], 'nested': [[1], {'a': {1, 2}}]}")
    ran_as(project.run(), [], "{'values': [0, 1, 2], 'nested': [[1], {'a': {1, 2}}]}")


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_a_caller_may_change_an_array(project: Project, size: int) -> None:
    script = f"""\
import numpy as np
from hitsave import memo

@memo
def f(n):
    RAN
    return np.ones(n), {{"again": np.full((n // 2, 2), 2.0, order="F")}}

for _ in range(3):
    array, more = f({size})
    print(array.sum() + more["again"].sum(), more["again"].flags.f_contiguous)
    array[:] = 7
    more["again"][:] = 7
"""
    project.write({"main.py": script})
    expected = " ".join([f"{float(size * 3)} True"] * 3)
    ran_as(project.run(), ["-"], expected)
    ran_as(project.run(), [], expected)
    ran_as(project.run(), [], expected)


def test_a_large_result_is_kept_once_for_two_calls(project: Project) -> None:
    script = """\
import numpy as np
from hitsave import memo

@memo
def f(name):
    RAN
    return {"name": name, "table": np.arange(500_000)}

print(f("a")["name"], f("b")["name"], int(f("a")["table"].sum()))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-", "-"], "a b 124999750000")
    kept = sum(path.stat().st_size for path in project.cache.rglob("*") if path.is_file())
    assert kept < 7_000_000, f"{kept} bytes are kept of 4,000,000"
    ran_as(project.run(), [], "a b 124999750000")


def test_an_argument_that_the_body_changes(project: Project) -> None:
    script = """\
from hitsave import memo

@memo
def f(values):
    RAN
    values.sort()
    return values[0]

print(f([3, 1, 2]), f([3, 1, 2]), f([1, 2, 3]))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-", "-"], "1 1 1")
    ran_as(project.run(), [], "1 1 1")


def test_none_and_other_empty_results_are_results(project: Project) -> None:
    script = """\
from hitsave import memo

@memo
def f(x):
    RAN
    return x

print([f(x) for x in (None, 0, False, "", (), NotImplemented, ...)])
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-"] * 7, "[None, 0, False, '', (), NotImplemented, Ellipsis]")
    ran_as(project.run(), [], "[None, 0, False, '', (), NotImplemented, Ellipsis]")


def test_an_exception_is_raised_each_time_and_not_kept(project: Project) -> None:
    script = """\
import traceback
from hitsave import memo

class Strange(Exception):
    def __init__(self, a, b):
        super().__init__(a)
        self.b = b

@memo
def f(x):
    RAN
    raise Strange(x, "b")

for _ in range(2):
    try:
        f(3)
    except Strange as error:
        body = traceback.extract_tb(error.__traceback__)[-1]
        print(error.args, error.b, body.name, error.__cause__, error.__context__)
print(f.is_cached(3))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-", "-"], "(3,) b f None None (3,) b f None None False")


def test_what_ends_the_program_ends_it(project: Project) -> None:
    script = """\
import sys
from hitsave import memo

@memo
def f(x):
    RAN
    sys.exit(5)

f(3)
"""
    project.write({"main.py": script})
    assert project.run().code == 5


@pytest.mark.parametrize(
    "result", ["lambda: 1", "open(__file__)", "threading.Lock()", "[1, {'a': threading.local()}]", "Local()"]
)
def test_a_result_that_cannot_be_pickled_is_returned_with_a_warning(project: Project, result: str) -> None:
    script = f"""\
import threading, warnings
from hitsave import memo

def make():
    class Local:
        pass
    return Local

Local = make()

@memo
def f(x):
    RAN
    return {result}

for _ in range(2):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = f(3)
    told = [str(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]
    print(value is not None, len(told), "f" in told[0])
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-", "-"], "True 1 True True 1 True")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("def", "yield x"),
        ("def", "return (i for i in range(x))"),
        ("async def", "yield x"),
    ],
)
def test_a_generator_is_an_error_that_names_the_remedy(project: Project, kind: str, body: str) -> None:
    script = f"""\
import asyncio
from hitsave import memo

try:
    @memo
    {kind} f(x):
        RAN
        {body}

    f(3)
except Exception as error:
    print("list" in str(error))
"""
    project.write({"main.py": script})
    outcome = project.run()
    assert outcome.output == "True", outcome


def test_a_class_of_the_script_in_a_result(project: Project) -> None:
    script = """\
from hitsave import memo

class Point:
    def __init__(self, x):
        self.x = x

@memo
def f(x):
    RAN
    return [Point(x)]

if __name__ == "__main__":
    print(f(3)[0].x, type(f(3)[0]) is Point)
"""
    use = "import main\nprint(main.f(3)[0].x, type(main.f(3)[0]) is main.Point)\n"
    other = "class Point:\n    pass\n\nimport main\nprint(main.f(3)[0].x, type(main.f(3)[0]) is main.Point)\n"
    project.write({"main.py": script, "use.py": use, "other.py": other})
    ran_as(project.run(), ["-"], "3 True")
    ran_as(project.run(), [], "3 True")
    for name in ("use.py", "other.py"):
        outcome = project.run(name)
        assert (outcome.code, outcome.output) == (0, "3 True"), outcome


def test_a_result_whose_class_went_away_is_computed_again(project: Project) -> None:
    script = """\
import lib
from hitsave import memo

@memo(ignore=[lib])
def f(x):
    RAN
    return lib.Point(x)

print(f(3).x)
"""
    library = "class Point:\n    def __init__(self, x):\n        self.x = x\n"
    project.write({"main.py": script, "lib.py": library})
    ran_as(project.run(), ["-"], "3")
    project.write({"lib.py": library.replace("Point", "Dot") + "def Point(x):\n    return Dot(x * 2)\n"})
    outcome = project.run()
    assert outcome.code == 0, outcome
    assert outcome.output in ("3", "6"), outcome


def test_write_hello(project: Project) -> None:
    """The example of the first HitSave: A, B, A again, and the file comes back."""
    script = """\
import sys
from pathlib import Path
from hitsave import FileSnapshot, memo

@memo
def write_hello(text):
    RAN
    path = Path("hello.txt")
    path.write_text(text)
    return FileSnapshot.snap(path)

for text in ("A", "B", "A"):
    snapshot = write_hello(text)
    print(snapshot.name, snapshot.open().read().decode(), Path("hello.txt").read_text())
print(snapshot.restore(overwrite=True).read_text())
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-", "-"], "hello.txt A A hello.txt B B hello.txt A B A")
    (project.folder / "hello.txt").unlink()
    project.write({"hello.txt": "mine"})
    ran_as(project.run(), [], "hello.txt A mine hello.txt B mine hello.txt A mine A")


def test_frames_tensors_and_images(project: Project) -> None:
    pytest.importorskip("pandas")
    script = """\
import pandas as pd
from hitsave import memo

@memo
def f(frame):
    RAN
    return frame.assign(z=frame.x * 2)

frame = pd.DataFrame({"x": [1, 2], "y": ["a", "b"]})
result = f(frame)
result.loc[0, "z"] = 99
print(f(frame).z.tolist(), list(f(pd.DataFrame({"x": [1, 2], "y": ["a", "b"]})).columns))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-"], "[2, 4] ['x', 'y', 'z']")
    ran_as(project.run(), [], "[2, 4] ['x', 'y', 'z']")


def test_a_fresh_result_counts_when_the_clock_went_back(project: Project) -> None:
    script = """\
import sys, time
from hitsave import memo

@memo(ignore=["sys"])
def f(x):
    RAN
    return sys.argv[1]

if sys.argv[1] == "later":
    seconds, nanoseconds = time.time, time.time_ns
    time.time, time.time_ns = lambda: seconds() - 100_000, lambda: nanoseconds() - 100_000 * 10**9
    f.fresh(3)
print(f(3))
"""
    project.write({"main.py": script})
    ran_as(project.run("main.py", "first"), ["-"], "first")
    ran_as(project.run("main.py", "later"), ["-"], "later")
    ran_as(project.run("main.py", "none"), [], "later")


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
@pytest.mark.parametrize("result", ["bytes(2_000_000)", "bytearray(2_000_000)"])
def test_without_a_free_descriptor_it_computes(project: Project, result: str) -> None:
    script = f"""\
import os, resource
from hitsave import memo

@memo
def f(x):
    print('ran')
    return {result}

f(0)
held = [os.open(os.devnull, os.O_RDONLY)]
resource.setrlimit(resource.RLIMIT_NOFILE, (held[0] + 20, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
try:
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    print(len(f(0)))
for each in held:
    os.close(each)
print(len(f(0)))
"""
    project.write({"main.py": script})
    outcome = project.run()
    assert (outcome.code, outcome.output) == (0, "ran ran 2000000 2000000"), outcome
    assert "cannot be read" in outcome.errors
