"""Results of an earlier version of the code that were declared to count."""

from __future__ import annotations

from tests.memo.projects.harness import Project, ran_as

BEFORE = """\
import sys
from hitsave import memo

def helper(x):
    return x * 2

@memo
def f(x):
    RAN
    return helper(x)
"""
CALL = "from lib import f\nprint(f(1), f(2))\n"
ACCEPT = "from lib import f\nprint(f.accept('the same, faster'))\n"


def begun(project: Project) -> None:
    """A project that has run, and whose helper has changed since."""
    project.write({"lib.py": BEFORE, "main.py": CALL, "accept.py": ACCEPT})
    ran_as(project.run(), ["-"] * 2, "2 4")
    project.replace("lib.py", "x * 2", "x + x")


def test_what_was_accepted_counts_again(project: Project) -> None:
    begun(project)
    ran_as(project.run("accept.py"), [], "2")
    ran_as(project.run(), [], "2 4")
    ran_as(project.run("accept.py"), [], "0")
    told = project.run("-c", "from lib import f\nprint(f.explain(1), f.explain(3), f.is_cached(1), f.is_cached(3))")
    assert told.output.startswith("lib.f: its result is kept, by acceptance of code "), told
    assert told.output.endswith("True False"), told


def test_only_for_the_code_that_it_was_said_of(project: Project) -> None:
    begun(project)
    ran_as(project.run("accept.py"), [], "2")
    project.replace("lib.py", "x + x", "x + x + 1")
    ran_as(project.run(), ["-"] * 2, "3 5")
    project.replace("lib.py", "x + x + 1", "x + x")
    ran_as(project.run(), [], "2 4")


def test_what_is_accepted_for_an_accepted_version_counts(project: Project) -> None:
    begun(project)
    ran_as(project.run("accept.py"), [], "2")
    ran_as(project.run("-c", "from lib import f\nprint(f(3))"), ["-"], "6")
    project.replace("lib.py", "x + x", "2 * x")
    ran_as(project.run("accept.py"), [], "3")
    ran_as(project.run("-c", "from lib import f\nprint(f(1), f(2), f(3))"), [], "2 4 6")


def test_versions_may_be_accepted_for_each_other(project: Project) -> None:
    begun(project)
    ran_as(project.run("-c", "from lib import f\nprint(f(3))"), ["-"], "6")
    ran_as(project.run("accept.py"), [], "2")
    project.replace("lib.py", "x + x", "x * 2")
    ran_as(project.run("accept.py"), [], "1")
    call = ("-c", "from lib import f\nprint(f(1), f(2), f(3))")
    ran_as(project.run(*call), [], "2 4 6")
    project.replace("lib.py", "x * 2", "x + x")
    ran_as(project.run(*call), [], "2 4 6")


def test_nothing_to_accept(project: Project) -> None:
    project.write({"lib.py": BEFORE, "main.py": CALL, "accept.py": ACCEPT})
    ran_as(project.run("accept.py"), [], "0")
    ran_as(project.run(), ["-"] * 2, "2 4")
    ran_as(project.run("accept.py"), [], "0")


def test_to_forget_a_call_forgets_what_counts_for_it(project: Project) -> None:
    begun(project)
    ran_as(project.run("accept.py"), [], "2")
    ran_as(
        project.run("-c", "from lib import f\nprint(f(1), f.forget(1), f.is_cached(1), f(1), f(2))"),
        ["-"],
        "2 1 False 2 4",
    )


def test_a_running_process_notices_that_an_acceptance_is_taken_back(project: Project) -> None:
    begun(project)
    ran_as(project.run("accept.py"), [], "2")
    script = """\
import os, subprocess, sys
from lib import f
print(f(1), f(1))
command = [sys.executable, "-m", "hitsave"]
names = subprocess.run([*command, "show-ref", "evaluations/lib.f/accepted-"], capture_output=True)
subprocess.run([*command, "forget", names.stdout.split()[1]], capture_output=True, check=True)
print(f(1))
"""
    project.write({"withdraw.py": script})
    ran_as(project.run("withdraw.py"), ["-"], "2 2 2")


def test_a_damaged_acceptance_does_not_count(project: Project) -> None:
    begun(project)
    ran_as(project.run("accept.py"), [], "2")
    spoil = """\
import os, sqlite3
database = sqlite3.connect(os.path.join(os.environ["HITSAVE_LOCAL_CACHE_DIR"], "cache.db"))
digest = database.execute("SELECT digest FROM refs WHERE name LIKE '%/accepted-%'").fetchone()[0]
print(database.execute("UPDATE inbox SET content = x'00' WHERE digest = ?", [digest]).rowcount)
database.commit()
"""
    ran_as(project.run("-c", spoil), [], "1")
    ran_as(project.run(), ["-"] * 2, "2 4")


def test_results_that_are_not_shared_are_not_accepted_for_others(project: Project) -> None:
    project.write(
        {"lib.py": BEFORE.replace("@memo\n", "@memo(local_only=True)\n"), "main.py": CALL, "accept.py": ACCEPT}
    )
    ran_as(project.run(), ["-"] * 2, "2 4")
    project.replace("lib.py", "x * 2", "x + x")
    ran_as(project.run("accept.py"), [], "2")
    listed = project.run("-m", "hitsave", "show-ref", "--json", "evaluations/")
    assert listed.output.count('"path": ""') == 3, listed
