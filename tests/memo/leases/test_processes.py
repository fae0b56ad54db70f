"""Processes that want one key: one computes, a dead one's lease passes on, and a late one knows that it is late."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hitsave.cache.processes import Life, Process, life_of, this_process
from hitsave.memoisation.leases.leases import Lease, Leases
from tests.memo.leases.worker import KEY, OTHER, wait_for

ROOT = Path(__file__).parents[3]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def start(role: str, folder: Path, number: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.memo.leases.worker", role, str(folder), str(number)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def output(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate()
    assert process.returncode == 0
    return out.strip()


def test_sixteen_processes_and_one_body(tmp_path: Path) -> None:
    workers = [start("compute", tmp_path, number) for number in range(16)]
    for number in range(16):
        wait_for(tmp_path / f"ready-{number}")
    (tmp_path / "go").touch()
    results = {output(worker) for worker in workers}
    assert len(results) == 1
    assert (tmp_path / "bodies").read_text().splitlines() == list(results)


@POSIX
def test_the_lease_of_a_killed_process_passes_on(tmp_path: Path) -> None:
    owner = start("hold", tmp_path)
    wait_for(tmp_path / "holds-0")
    leases = Leases(tmp_path / "leases.db", patience=1e9, patience_alive=1e9)
    assert leases.take(KEY) is None
    owner.kill()
    got = leases.wait(KEY, lambda: None)  # Nobody has asked for its status yet: it is a zombie.
    assert isinstance(got, Lease)
    assert not got.shared
    assert got.still_ours()
    owner.communicate()


@POSIX
def test_a_stopped_owner_is_taken_for_dead_and_knows_it_when_it_goes_on(tmp_path: Path) -> None:
    owner = start("hold", tmp_path)
    wait_for(tmp_path / "holds-0")
    owner.send_signal(signal.SIGSTOP)
    leases = Leases(tmp_path / "leases.db", patience_alive=0.3)
    got = leases.wait(KEY, lambda: None)
    assert isinstance(got, Lease)
    owner.send_signal(signal.SIGCONT)
    (tmp_path / "tell").touch()
    assert output(owner) == "False"
    assert got.still_ours(), "the late owner let go of its own lease only"


def test_two_processes_in_a_circle(tmp_path: Path) -> None:
    workers = [start("circle", tmp_path, number) for number in range(2)]
    assert "True" in {output(worker) for worker in workers}
    leases = Leases(tmp_path / "leases.db")
    assert leases.take(KEY) is not None
    assert leases.take(OTHER) is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_holds_nothing(tmp_path: Path) -> None:
    leases = Leases(tmp_path / "leases.db")
    with leases.wait(KEY, lambda: None) as lease:
        child = os.fork()
        if child == 0:
            with_other = leases.take(OTHER)
            outcome = leases.wait(KEY, lambda: None)  # Its parent may well wait for it.
            seen = [
                lease.still_ours(),
                leases.take(KEY) is None,
                with_other is not None and with_other.still_ours(),
                outcome.shared,
            ]
            lease.release()
            os._exit(0 if seen == [False, True, True, True] else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert lease.still_ours()
        got = leases.wait(OTHER, lambda: None)  # The child has died without letting go.
        assert not got.shared
    assert not lease.still_ours()


def test_who_lives(tmp_path: Path) -> None:
    me = this_process()
    assert life_of(me) is Life.ALIVE
    assert life_of(me._replace(host="elsewhere")) is Life.UNKNOWN
    child = start("hold", tmp_path)
    wait_for(tmp_path / "holds-0")
    child.kill()
    child.communicate()
    assert life_of(Process(me.host, child.pid, "1")) is Life.GONE


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can tell")
def test_another_process_under_a_used_number_is_not_the_owner() -> None:
    assert life_of(this_process()._replace(started="1")) is Life.GONE
