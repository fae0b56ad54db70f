"""What running calls hold stays until they let go of it, or are gone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hitsave.cache.holds import LONGEST_HOLD
from hitsave.cache.processes import Process, is_gone, this_process
from hitsave.cache.store import Cache
from hitsave.errors import ReliedOnLost
from hitsave.maintenance.collect import collect
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.evaluation import TakenSnapshot
from hitsave.objects.refs import evaluation_prefix
from tests.cache.calls import a_call, add_call, keep_call
from tests.cache.content import add_tree, files_of, ref_to, store
from tests.faults.forks import ROOT

NOW = 1000
FILES = {b"a": b"small", b"b": b"l" * 200_000}


def held(cache: Cache, token: str, files: dict[bytes, bytes] = FILES) -> Digest:
    """A directory that a running call took a snapshot of."""
    with cache.intake() as intake:
        digest = add_tree(intake, files)
        assert intake.publish([ref_to(digest)], hold=token) is None
    return digest


def test_what_is_held_has_no_ref_and_stays(cache: Cache) -> None:
    digest = held(cache, "token")
    assert cache.refs() == []
    assert cache.held() == [(digest, ObjectKind.TREE)]
    assert collect(cache, NOW).objects == ()
    assert collect(cache, NOW, dry_run=True).objects == ()
    assert files_of(cache, digest) == FILES


def test_it_goes_when_it_is_let_go_of(cache: Cache) -> None:
    held(cache, "token")
    other = held(cache, "other", {b"c": b"other"})
    cache.release("token")
    assert len(collect(cache, NOW).objects) == 3
    assert files_of(cache, other) == {b"c": b"other"}


def test_what_two_calls_hold_stays_until_both_let_go(cache: Cache) -> None:
    held(cache, "one")
    held(cache, "two")
    cache.release("one")
    assert collect(cache, NOW).objects == ()
    cache.release("two")
    assert len(collect(cache, NOW).objects) == 3


def test_an_evaluation_takes_over_what_its_call_held(cache: Cache) -> None:
    digest = held(cache, "token")
    evaluation, result = a_call(1, snapshots=[TakenSnapshot(digest, ObjectKind.TREE, 5)])
    with cache.intake() as intake:
        intake.publish([add_call(intake, evaluation, result)], [digest], release="token")
    assert cache.held() == []
    assert collect(cache, NOW).objects == ()
    assert files_of(cache, digest) == FILES


def test_who_comes_second_lets_go_all_the_same(cache: Cache) -> None:
    keep_call(cache, 1)
    held(cache, "token")
    evaluation, result = a_call(1)
    with cache.intake() as intake:
        ref = add_call(intake, evaluation, result)
        assert intake.publish([ref], unless=evaluation_prefix("pkg.f", evaluation.key), release="token") is not None
    assert cache.held() == []


def test_a_call_that_relied_on_what_is_gone_is_told(cache: Cache) -> None:
    digest = held(cache, "token")
    cache.release("token")
    collect(cache, NOW)
    evaluation, result = a_call(1, snapshots=[TakenSnapshot(digest, ObjectKind.TREE, 5)])
    with cache.intake() as intake, pytest.raises(ReliedOnLost):
        intake.publish([add_call(intake, evaluation, result)], [digest])
    assert cache.refs() == []


def test_what_a_dead_process_held_goes(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from hitsave.cache.store import Cache\n"
        "from tests.cache.test_holds import held\n"
        "with Cache.open(Path(sys.argv[1])) as cache: held(cache, 'token')\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, tmp_path]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with Cache.open(tmp_path) as cache:
        assert collect(cache, NOW).objects == ()
        process.kill()
        process.communicate()
        assert len(collect(cache, NOW).objects) == 3
        assert cache.held() == []


def test_what_is_held_elsewhere_or_by_another_of_that_number(cache: Cache) -> None:
    held(cache, "token")
    cache.database.connection.execute("UPDATE holds SET host = 'elsewhere', pid = 1")
    assert collect(cache, NOW).objects == ()
    me = this_process()
    cache.database.connection.execute("UPDATE holds SET host = ?, pid = ?, started = 'earlier'", (me.host, me.pid))
    assert len(collect(cache, NOW).objects) == (3 if sys.platform == "linux" else 0)


def test_nothing_is_held_for_ever(cache: Cache) -> None:
    held(cache, "token")
    now = int(time.time())
    assert collect(cache, now + LONGEST_HOLD - 60).objects == ()
    assert len(collect(cache, now + LONGEST_HOLD + 60).objects) == 3


def test_a_process_is_gone_when_it_has_ended_even_if_nobody_waited_for_it() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    me = this_process()
    if sys.platform == "linux":
        started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
        other = Process(me.host, process.pid, f"{me.started.split()[0]} {started}")
    else:
        other = Process(me.host, process.pid, "")
    assert not is_gone(me)
    assert not is_gone(other)
    process.kill()
    if sys.platform == "linux":
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(other)
    process.communicate()
    assert is_gone(other)


def test_snapshots_that_are_owned_as_well_stay(cache: Cache) -> None:
    digest = store(cache, FILES)
    assert held(cache, "token") == digest
    cache.release("token")
    assert collect(cache, NOW).objects == ()
