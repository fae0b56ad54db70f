"""Evaluations own their results and the snapshots taken while they ran; a collection drops what nobody owns."""

from __future__ import annotations

import pytest

from tests.memo.projects.harness import Project, ran_as

#: Takes a snapshot of `text` in a way that `body` says.
SCRIPT = """\
import asyncio, sys, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from hitsave import FileSnapshot, experiment, memo

def take(text):
    path = Path(text + ".txt")
    path.write_text(text * 1000)
    return FileSnapshot.snap(path).digest

async def take_soon(text):
    await asyncio.sleep(0)
    return take(text)

async def gathered(text):
    return (await asyncio.gather(take_soon(text), asyncio.to_thread(take, text)))[0]

def in_a_thread(text):
    found = []
    thread = threading.Thread(target=lambda: found.append(take(text)))
    thread.start()
    thread.join()
    return found[0]

def in_a_pool(text):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(take, text).result()

@memo
def inner(text):
    RAN inner
    return take(text)

@memo
def f(text):
    RAN f
    return BODY

digests = {text: f(text) for text in ("first", "second")}
"""
#: Where the snapshot is taken.
BODIES = {
    "in the body": "take(text)",
    "in a thread": "in_a_thread(text)",
    "in a pool of threads": "in_a_pool(text)",
    "in a task": "asyncio.run(take_soon(text))",
    "in tasks that are gathered": "asyncio.run(gathered(text))",
    "in a nested call": "inner(text)",
    "in a nested call in a thread": "ThreadPoolExecutor(1).submit(inner, text).result()",
}


def _digests(project: Project) -> dict[str, str]:
    outcome = project.run("-c", "from main import digests; print(*digests.values())")
    first, second = outcome.output.split()
    return {"first": first, "second": second}


def _look(project: Project, digests: dict[str, str]) -> dict[str, bool]:
    """Which snapshots the cache has, asked without the functions."""
    script = """\
import sys
from hitsave import FileSnapshot

for digest in sys.argv[1:]:
    try:
        print(FileSnapshot.from_digest(digest).has_local_cache)
    except Exception as error:
        print(False)
"""
    outcome = project.run("-c", script, *digests.values())
    assert outcome.code == 0, outcome
    return {text: word == "True" for text, word in zip(digests, outcome.output.split(), strict=True)}


def _collect(project: Project) -> None:
    collected = project.run("-m", "hitsave", "gc")
    assert collected.code == 0, collected


def _forget(project: Project, code: str) -> None:
    outcome = project.run("-c", code)
    assert outcome.code == 0, outcome


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_snapshot_goes_with_the_evaluation_that_took_it(project: Project, body: str) -> None:
    project.write({"main.py": SCRIPT.replace("BODY", body)})
    digests = _digests(project)
    _collect(project)
    assert _look(project, digests) == {"first": True, "second": True}
    _forget(project, "import main\nmain.f.forget('first')\nmain.inner.forget('first')\n")
    _collect(project)
    assert _look(project, digests) == {"first": False, "second": True}


def test_a_snapshot_that_was_also_taken_outside_stays(project: Project) -> None:
    project.write({"main.py": SCRIPT.replace("BODY", "take(text)")})
    digests = _digests(project)
    _forget(project, "from hitsave import FileSnapshot\nFileSnapshot.snap('first.txt')\n")
    _forget(project, "import main\nmain.f.forget('first')\n")
    _collect(project)
    assert _look(project, digests) == {"first": True, "second": True}


def test_a_snapshot_that_was_taken_outside_before_stays(project: Project) -> None:
    project.write({"main.py": SCRIPT.replace("BODY", "take(text)"), "first.txt": "first" * 1000})
    _forget(project, "from hitsave import FileSnapshot\nFileSnapshot.snap('first.txt')\n")
    digests = _digests(project)
    _forget(project, "import main\nmain.f.forget('first')\n")
    _collect(project)
    assert _look(project, digests) == {"first": True, "second": True}


def test_a_snapshot_of_two_evaluations_stays_with_the_other(project: Project) -> None:
    project.write({"main.py": SCRIPT.replace("BODY", "inner(text)")})
    digests = _digests(project)
    _forget(project, "import main\nmain.inner.forget('first')\n")
    _collect(project)
    assert _look(project, digests) == {"first": True, "second": True}
    _forget(project, "import main\nmain.f.forget('second')\n")
    _collect(project)
    assert _look(project, digests) == {"first": True, "second": True}


def test_a_snapshot_that_a_nested_hit_returns_is_owned_too(project: Project) -> None:
    project.write({"main.py": SCRIPT.replace("BODY", "inner(text)")})
    _forget(project, "import main\nmain.f.forget('first')\nprint(main.f('first'))\n")
    digests = _digests(project)
    _forget(project, "import main\nmain.inner.forget('first')\n")
    _collect(project)
    assert _look(project, digests) == {"first": True, "second": True}


def test_a_snapshot_in_the_result_can_be_opened_by_a_hit(project: Project) -> None:
    script = """\
from pathlib import Path
from hitsave import DirectorySnapshot, memo

@memo
def f(text):
    RAN
    Path("out/deep").mkdir(parents=True, exist_ok=True)
    Path("out/deep/a.txt").write_text(text)
    return {"folder": DirectorySnapshot.snap("out")}

print(f("hello")["folder"]["deep/a.txt"].open().read().decode())
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-"], "hello")
    project.write({"out/deep/a.txt": "other"})
    _collect(project)
    ran_as(project.run(), [], "hello")


def test_a_large_result_is_collected_when_it_is_forgotten(project: Project) -> None:
    script = """\
from hitsave import memo

@memo
def f(x):
    RAN
    return bytes([x]) * 3_000_000 if x < 200 else b"."

if __name__ == "__main__":
    print(len(f(1)), len(f(2)), len(f(200)))
"""
    project.write({"main.py": script})

    def kept() -> int:
        return sum(path.stat().st_size for path in (project.cache / "objects").rglob("*") if path.is_file())

    ran_as(project.run(), ["-"] * 3, "3000000 3000000 1")
    assert kept() > 6_000_000
    _forget(project, "import main\nmain.f.forget(1)\n")
    _collect(project)
    assert 3_000_000 < kept() < 6_000_000
    ran_as(project.run(), ["-"], "3000000 3000000 1")


def test_a_failed_call_s_snapshots_are_nobody_s(project: Project) -> None:
    script = SCRIPT.replace("BODY", "take(text) and 1 // 0").replace(
        'digests = {text: f(text) for text in ("first", "second")}',
        "from contextlib import suppress\nwith suppress(ZeroDivisionError):\n    f('first')\n",
    )
    project.write({"main.py": script})
    ran_as(project.run(), ["f"], "")
    _collect(project)
    counted = project.run("-m", "hitsave", "show-ref")
    assert "snapshots/" not in counted.output, counted


def test_forgetting_all_of_a_function_leaves_nothing(project: Project) -> None:
    project.write({"main.py": SCRIPT.replace("BODY", "take(text)")})
    digests = _digests(project)
    _forget(project, "import main\nfor text in ('first', 'second'):\n    main.f.forget(text)\n")
    _collect(project)
    assert _look(project, digests) == {"first": False, "second": False}
    shown = project.run("-m", "hitsave", "show-ref")
    assert shown.output == "", shown
