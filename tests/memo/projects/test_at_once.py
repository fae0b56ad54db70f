"""The same call in many threads, tasks and processes at once, and callers that die, fail or are stopped."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.memo.projects.harness import Project, ran_as

SLOW = """\
import os, pathlib, sys, time
from hitsave import memo

@memo
def f(x):
    RAN
    pathlib.Path(f"began-{os.getpid()}").touch()
    time.sleep(0.5)
    return x * 2
"""

#: With HOLD a body goes on only when the file `hold` is gone; it fails once where the file `fail` is there.
HELD = """\
import os, pathlib, signal, sys, time
from hitsave import memo

signal.signal(signal.SIGINT, signal.default_int_handler)  # Those who run tests in the background ignore it.

@memo
def f(x):
    RAN
    pathlib.Path(f"began-{os.getpid()}").touch()
    while "HOLD" in os.environ and os.path.exists("hold"):
        time.sleep(0.01)
    if os.path.exists("fail"):
        os.unlink("fail")
        raise ValueError("failed")
    return x * 2

pathlib.Path(f"calling-{os.getpid()}").touch()
print(f(3))
"""


def test_threads_compute_a_key_once(project: Project) -> None:
    script = """\
import threading

def call(results, barrier):
    barrier.wait()
    results.append(f(3))

results, barrier = [], threading.Barrier(8)
threads = [threading.Thread(target=call, args=(results, barrier)) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(results)
"""
    project.write({"main.py": SLOW + script})
    ran_as(project.run(), ["-"], str([6] * 8))


def test_threads_compute_other_keys_beside_each_other(project: Project) -> None:
    script = """\
import threading
from hitsave import memo

meeting = threading.Barrier(2, timeout=60)

@memo(ignore=["meeting"])
def f(x):
    RAN
    meeting.wait()  # Broken, unless both are here at once.
    return x * 2

results = []
threads = [threading.Thread(target=lambda x=x: results.append(f(x))) for x in (1, 2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(results))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-", "-"], "[2, 4]")


def test_processes_compute_a_key_once(project: Project) -> None:
    project.write({"main.py": SLOW + "print(f(3))\n"})
    outcomes = [running.finish() for running in [project.start() for _ in range(8)]]
    assert [(outcome.code, outcome.output) for outcome in outcomes] == [(0, "6")] * 8, outcomes
    assert sum(len(outcome.ran) for outcome in outcomes) == 1, outcomes


def test_tasks_compute_a_key_once(project: Project) -> None:
    script = """\
import asyncio
from hitsave import memo

@memo
async def f(x):
    RAN
    await asyncio.sleep(0.2)
    return x * 2

async def main():
    return await asyncio.gather(*[f(3) for _ in range(20)], f(4))

print(asyncio.run(main()))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-", "-"], str([6] * 20 + [8]))


def test_a_task_that_waits_leaves_the_loop_to_others(project: Project) -> None:
    script = """\
import asyncio
from hitsave import memo

gate = asyncio.Event()

@memo(ignore=["gate"])
async def f(x):
    RAN
    await gate.wait()
    return x * 2

async def opener():
    for _ in range(10):
        await asyncio.sleep(0.01)
    gate.set()

async def main():
    return await asyncio.gather(f(3), f(3), opener())

print(asyncio.run(main()))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-"], "[6, 6, None]")


def test_a_cancelled_task_leaves_the_key_to_the_next(project: Project) -> None:
    script = """\
import asyncio
from hitsave import memo

@memo
async def f(x):
    RAN
    await asyncio.sleep(0.3)
    return x * 2

async def main():
    first = asyncio.create_task(f(3))
    await asyncio.sleep(0.1)
    first.cancel()
    await asyncio.wait([first])
    return first.cancelled(), await f(3)

print(asyncio.run(main()))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-", "-"], "(True, 6)")


def test_a_task_of_a_loop_that_has_ended_is_not_waited_for(project: Project) -> None:
    script = """\
import asyncio
from hitsave import memo

endless = asyncio.Event()

@memo(ignore=["endless"])
async def f(x):
    RAN
    await endless.wait()
    return x * 2

async def begin():
    task = asyncio.ensure_future(f(3))
    await asyncio.sleep(0.05)
    return task

loop = asyncio.new_event_loop()
task = loop.run_until_complete(begin())
endless.set()
print(asyncio.run(asyncio.wait_for(f(3), 60)))
print(loop.run_until_complete(task))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-", "-"], "6 6")


def test_a_task_that_cannot_go_on_meanwhile_is_not_waited_for(project: Project) -> None:
    """The loop stands still in a plain function, which runs another loop in a thread."""
    script = """\
import asyncio
from concurrent.futures import ThreadPoolExecutor
from hitsave import memo

@memo
async def inner(x):
    RAN inner
    await asyncio.sleep(0.05)
    return x * 2

@memo
def outer(x):
    RAN outer
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(asyncio.wait_for(inner(x), 60))).result()

async def main():
    task = asyncio.create_task(inner(3))
    await asyncio.sleep(0.02)
    return outer(3), await task

print(asyncio.run(main()))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["inner", "inner", "outer"], "(6, 6)")


def test_a_fresh_run_counts_though_an_older_one_ended_meanwhile(project: Project) -> None:
    script = """\
import itertools, threading
from hitsave import memo

number, begun, ended = itertools.count(), threading.Event(), threading.Event()

@memo(ignore=["number", "begun", "ended"])
def f(x):
    RAN
    me = next(number)
    if me == 0:
        begun.set()
        ended.wait(60)
    else:
        ended.set()
        thread.join()
    return me

thread = threading.Thread(target=f, args=(3,))
thread.start()
begun.wait(60)
print(f.fresh(3), f(3))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-", "-"], "1 1")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools(project: Project, method: str) -> None:
    script = f"""\
import multiprocessing

if __name__ == "__main__":
    with multiprocessing.get_context("{method}").Pool(4) as pool:
        print(sum(pool.map(f, [i % 3 for i in range(12)], chunksize=1)))
"""
    project.write({"main.py": SLOW + script})
    ran_as(project.run(), ["-"] * 3, "24")
    ran_as(project.run(), [], "24")


def test_an_executor_of_processes(project: Project) -> None:
    script = """\
from concurrent.futures import ProcessPoolExecutor

if __name__ == "__main__":
    print(f(1))
    with ProcessPoolExecutor(4) as pool:
        print([future.result() for future in [pool.submit(f, x) for x in (1, 2, 2, 2, 1)]])
"""
    project.write({"main.py": SLOW + script})
    ran_as(project.run(), ["-", "-"], "2 [2, 4, 4, 4, 2]")


@pytest.mark.parametrize("place", ["main.py", "work.py"], ids=["of the script", "of a module"])
def test_workers_of_joblib(project: Project, place: str) -> None:
    """They get functions of the script by value, by a pickler of their own, and know no script."""
    pytest.importorskip("joblib")
    script = """\
import joblib

if __name__ == "__main__":
    print(joblib.Parallel(n_jobs=2)(joblib.delayed(f)(x) for x in (1, 2, 2, 1, 1, 2)))
"""
    begins = SLOW if place == "main.py" else "from work import f\n"
    project.write({"main.py": begins + script, "work.py": SLOW})
    outcome = project.run()
    assert (outcome.code, outcome.output) == (0, "[2, 4, 4, 2, 2, 4]"), outcome
    assert len(outcome.ran) == 2, outcome
    ran_as(project.run(), [], "[2, 4, 4, 2, 2, 4]")


def test_a_body_that_forks_a_pool(project: Project) -> None:
    script = """\
import multiprocessing
from hitsave import memo

@memo
def part(x):
    RAN part
    return x * 2

@memo
def f(n):
    RAN f
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return sum(pool.map(part, range(n)))

if __name__ == "__main__":
    print(f(4))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["f", "part", "part", "part", "part"], "12")
    ran_as(project.run(), [], "12")


FORKING = """\
import os, signal, sys, threading, time
from hitsave import memo

@memo
def f(x):
    return x * 2

thread = threading.Thread(target=lambda: [f(x) for x in range(40)])
thread.start()
time.sleep(float(sys.argv[1]))
pid = os.fork()
if pid == 0:
    signal.alarm(20)
    print(f(100), f(100), f.is_cached(100), flush=True)
    os._exit(0)
status = os.waitpid(pid, 0)[1]
thread.join()
print(status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize("pause", [0, 0.03, 0.2, *(pytest.param(0.02 * n, marks=pytest.mark.soak) for n in range(40))])
def test_a_fork_while_another_thread_calls(project: Project, pause: float) -> None:
    """What the other thread was at is not left half done in the child, which would wait for it without end."""
    project.write({"main.py": FORKING})
    outcome = project.start("main.py", str(pause)).finish()
    assert (outcome.output, outcome.errors) == ("200 200 True 0", ""), outcome


def test_a_killed_owner_is_replaced_by_who_waits(project: Project) -> None:
    project.write({"main.py": HELD, "hold": ""})
    owner = project.start(environ={"HOLD": "1"})
    owner.wait_for(project.folder / f"began-{owner.process.pid}")
    waiting = project.start()
    waiting.wait_for(project.folder / f"calling-{waiting.process.pid}")
    time.sleep(1)  # It should wait by now; on a machine that is too slow for that, this test sees less.
    assert waiting.ran() == (), "two compute at once"
    owner.kill()
    ran_as(waiting.finish(), ["-"], "6")
    ran_as(project.run(), [], "6")


def test_a_killed_owner_is_replaced_by_who_comes_later(project: Project) -> None:
    project.write({"main.py": HELD, "hold": ""})
    owner = project.start(environ={"HOLD": "1"})
    owner.wait_for(project.folder / f"began-{owner.process.pid}")
    owner.kill()
    ran_as(project.run(), ["-"], "6")
    ran_as(project.run(), [], "6")


def test_a_killed_owner_is_replaced_by_one_of_many(project: Project) -> None:
    project.write({"main.py": HELD, "hold": ""})
    owner = project.start(environ={"HOLD": "1"})
    owner.wait_for(project.folder / f"began-{owner.process.pid}")
    waiting = [project.start() for _ in range(4)]
    for each in waiting:
        each.wait_for(project.folder / f"calling-{each.process.pid}")
    owner.kill()
    outcomes = [each.finish() for each in waiting]
    assert [(outcome.code, outcome.output) for outcome in outcomes] == [(0, "6")] * 4, outcomes
    assert sum(len(outcome.ran) for outcome in outcomes) == 1, outcomes


def test_a_failing_owner_hands_the_key_on(project: Project) -> None:
    project.write({"main.py": HELD, "hold": "", "fail": ""})
    owner = project.start(environ={"HOLD": "1"})
    owner.wait_for(project.folder / f"began-{owner.process.pid}")
    waiting = project.start()
    waiting.wait_for(project.folder / f"calling-{waiting.process.pid}")
    (project.folder / "hold").unlink()
    failed = owner.finish()
    assert failed.code == 1, failed
    assert "ValueError: failed" in failed.errors
    ran_as(waiting.finish(), ["-"], "6")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_an_interrupted_body_is_not_kept(project: Project) -> None:
    project.write({"main.py": HELD, "hold": ""})
    owner = project.start(environ={"HOLD": "1"})
    owner.wait_for(project.folder / f"began-{owner.process.pid}")
    owner.process.send_signal(signal.SIGINT)
    stopped = owner.finish()
    assert "KeyboardInterrupt" in stopped.errors, stopped
    (project.folder / "hold").unlink()
    ran_as(project.run(), ["-"], "6")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_who_waits_can_be_interrupted(project: Project) -> None:
    project.write({"main.py": HELD, "hold": ""})
    owner = project.start(environ={"HOLD": "1"})
    owner.wait_for(project.folder / f"began-{owner.process.pid}")
    waiting = project.start()
    waiting.wait_for(project.folder / f"calling-{waiting.process.pid}")
    time.sleep(1)  # It should wait by now; where it does not yet, it is interrupted a little earlier.
    waiting.process.send_signal(signal.SIGINT)
    stopped = waiting.finish()
    assert "KeyboardInterrupt" in stopped.errors, stopped
    assert stopped.ran == (), stopped
    (project.folder / "hold").unlink()
    ran_as(owner.finish(), ["-"], "6")


def test_a_body_that_ends_the_process(project: Project) -> None:
    script = """\
import os, sys
from hitsave import memo

@memo
def f(x):
    RAN
    if os.path.exists("die"):
        os._exit(7)
    return x * 2

print(f(3))
"""
    project.write({"main.py": script, "die": ""})
    assert project.run().code == 7
    (project.folder / "die").unlink()
    ran_as(project.run(), ["-"], "6")


def test_a_call_within_the_same_call_does_not_wait_for_itself(project: Project) -> None:
    script = """\
import os
from hitsave import memo

@memo
def f(x):
    RAN
    depth = int(os.environ.get("DEPTH", "0"))
    os.environ["DEPTH"] = str(depth + 1)
    return 6 if depth else f(x)

print(f(3))
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-", "-"], "6")


def test_mutual_recursion_from_both_ends(project: Project) -> None:
    script = """\
import sys
from hitsave import memo

@memo
def even(n):
    RAN
    return True if n == 0 else odd(n - 1)

@memo
def odd(n):
    RAN
    return False if n == 0 else even(n - 1)

print(globals()[sys.argv[1]](30))
"""
    project.write({"main.py": script})
    first, second = project.start("main.py", "even"), project.start("main.py", "odd")
    outcomes = first.finish(), second.finish()
    assert [outcome.output for outcome in outcomes] == ["True", "False"], outcomes
    assert sum(len(outcome.ran) for outcome in outcomes) == 62, outcomes


def test_two_that_want_what_the_other_computes(project: Project) -> None:
    """Each thread owns one key and then asks for the other's: somebody has to give in."""
    script = """\
import threading
from hitsave import memo

meeting = threading.Barrier(2, timeout=60)
local = threading.local()

@memo(ignore=["meeting", "local"])
def f(x):
    RAN
    if not getattr(local, "inside", False):
        local.inside = True
        meeting.wait()
        return f("b" if x == "a" else "a") + x
    return x

results = []
threads = [threading.Thread(target=lambda x=x: results.append(f(x))) for x in "ab"]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(results))
"""
    project.write({"main.py": script})
    outcome = project.run()
    assert outcome.output == "2", outcome


def test_a_collection_runs_beside_calls(project: Project) -> None:
    script = """\
import sys
from hitsave import memo

@memo
def f(x):
    RAN
    return [x] * 20_000

print(sum(len(f(x)) + f(x)[0] for x in range(60)))
"""
    project.write({"main.py": script})
    running = project.start()
    collections = 0
    while running.process.poll() is None or collections == 0:
        collected = project.run("-m", "hitsave", "gc")
        assert collected.code == 0, collected
        collections += 1
    ran_as(running.finish(), ["-"] * 60, str(60 * 20_000 + sum(range(60))))
    ran_as(project.run("-m", "hitsave", "gc"), [], project.run("-m", "hitsave", "gc").output)
    ran_as(project.run(), [], str(60 * 20_000 + sum(range(60))))


def test_killed_while_it_keeps_results(project: Project) -> None:
    script = """\
from hitsave import memo

@memo
def f(x):
    RAN
    return bytes([x % 251]) * (1000 if x % 3 else 300_000)

print("begun", flush=True)
print(sum(len(f(x)) + f(x)[0] for x in range(200)))
"""
    project.write({"main.py": script})
    for pause in (0.0, 0.05, 0.1, 0.2, 0.4):
        running = project.start()
        assert running.process.stdout is not None
        running.process.stdout.readline()
        time.sleep(pause)
        running.kill()
    expected = sum((1000 if x % 3 else 300_000) + x % 251 for x in range(200))
    outcome = project.run()
    assert (outcome.code, outcome.output) == (0, f"begun {expected}"), outcome
    ran_as(project.run(), [], f"begun {expected}")
    checked = project.run("-m", "hitsave", "fsck")
    assert checked.code == 0, checked
