"""Many processes on one cache: nothing that was reported is lost, and nobody is turned away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hitsave.cache.store import Cache
from hitsave.maintenance.collect import collect
from hitsave.maintenance.verify import verify
from hitsave.objects.refs import RefName, parse_ref_name
from tests.cache.calls import result_of
from tests.cache.content import all_files_of, owned_by_all
from tests.faults.forks import ROOT
from tests.faults.operations import NOW
from tests.faults.workers import CALLS, DIRECTORIES, files_of_seed


class Worker:
    """One process, whose output goes to files in the common folder."""

    def __init__(self, role: str, cache: Path, folder: Path, number: int) -> None:
        self._out = folder / f"{number}.out"
        self._err = folder / f"{number}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            command = [sys.executable, "-m", "tests.faults.workers", role, str(cache), str(folder), str(number)]
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err)

    def end(self) -> list[list[str]]:
        """Wait for its end, which must be a good one; the words of its lines."""
        assert self.process.wait() == 0, self._err.read_text()
        return self.lines()

    def lines(self) -> list[list[str]]:
        """The words of each whole line so far."""
        return [line.split() for line in self._out.read_text().splitlines(keepends=True) if line.endswith("\n")]


def assert_owned(cache: Cache, lines: list[list[str]]) -> None:
    for _, seed, name in lines:
        ref = cache.ref(parse_ref_name(name))
        assert ref is not None, name
        wanted = {key.encode(): content for key, content in files_of_seed(int(seed)).items()}
        assert all_files_of(cache, ref.digest, ref.kind) == wanted


def test_adding_reading_forgetting_and_collecting_at_once(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    adders = [Worker("add", path, tmp_path, number) for number in range(4)]
    others = [Worker(role, path, tmp_path, 4 + n) for n, role in enumerate(("forget", "collect", "read"))]
    try:
        lines = [line for worker in adders for line in worker.end()]
    finally:
        (tmp_path / "end").touch()
    counts = [len(worker.end()) for worker in others]
    assert all(counts), counts
    assert len(lines) == 4 * DIRECTORIES
    with Cache.open(path) as cache:
        assert_owned(cache, lines)
        assert verify(cache).faults == ()
        assert len(cache.refs()) == len({name for _, _, name in lines})
        collect(cache, NOW, keep_seconds=0)
        assert_owned(cache, lines)
        assert verify(cache).faults == ()


def test_several_collections_at_once(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    adders = [Worker("add", path, tmp_path, number) for number in range(2)]
    others = [Worker(role, path, tmp_path, 2 + n) for n, role in enumerate(("collect", "collect", "forget"))]
    try:
        lines = [line for worker in adders for line in worker.end()]
    finally:
        (tmp_path / "end").touch()
    for worker in others:
        worker.end()
    with Cache.open(path) as cache:
        assert_owned(cache, lines)
        assert verify(cache).faults == ()


def test_many_processes_open_a_new_cache_at_once(tmp_path: Path) -> None:
    for turn in range(3):
        folder = tmp_path / str(turn)
        folder.mkdir()
        workers = [Worker("open", folder / "cache", folder, number) for number in range(8)]
        (folder / "start").touch()
        lines = [line for worker in workers for line in worker.end()]
        with Cache.open(folder / "cache") as cache:
            assert_owned(cache, lines)
            assert len(cache.refs()) == 8
            assert verify(cache).faults == ()


def test_of_several_processes_that_publish_one_key_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    callers = [Worker("call", path, tmp_path, number) for number in range(4)]
    collector = Worker("collect", path, tmp_path, 4)
    (tmp_path / "start").touch()
    try:
        lines = [line for worker in callers for line in worker.end()]
    finally:
        (tmp_path / "end").touch()
    collector.end()
    assert len(lines) == 4 * CALLS
    assert len({(key, name) for _, key, name, _ in lines}) == CALLS, "all were told of the same one"
    assert sum(where == "here" for *_, where in lines) == CALLS
    with Cache.open(path) as cache:
        names = {str(ref.name) for ref in cache.refs()}
        assert names == {name for _, _, name, _ in lines}
        for ref in cache.refs():
            assert result_of(cache, ref.digest)
        collect(cache, NOW, keep_seconds=0)
        assert verify(cache).faults == ()
        packed = [digest for index in cache.packset.indexes().values() for digest, _ in index.digests()]
        assert len(set(packed)) == 2 * CALLS + 1, "a result and an evaluation of each key, and the manifest"


def _kill(path: Path, folder: Path, number: int, lines_first: int) -> list[list[str]]:
    worker = Worker("churn", path, folder, number)
    while len(worker.lines()) < lines_first and worker.process.poll() is None:
        pass
    worker.process.kill()
    assert worker.process.wait() < 0, "it was to run until it is killed"
    return worker.lines()


def _check_survivors(path: Path, lines: list[list[str]]) -> None:
    maybe: set[RefName] = {parse_ref_name(line[1]) for line in lines if line[0] == "forgetting"}
    added = [line for line in lines if line[0] == "added"]
    with Cache.open(path) as cache:
        assert_owned(cache, [line for line in added if parse_ref_name(line[2]) not in maybe])
        owned_by_all(cache)
        assert verify(cache).faults == ()
        collect(cache, NOW)
        assert list((cache.path / "tmp").iterdir()) == []
        assert verify(cache).faults == ()


def test_a_kill_at_any_moment(tmp_path: Path) -> None:
    lines: list[list[str]] = []
    for number in range(1, 7):
        lines += _kill(tmp_path / "cache", tmp_path, number, lines_first=number * 7)
        _check_survivors(tmp_path / "cache", lines)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_kills(tmp_path: Path) -> None:
    lines: list[list[str]] = []
    for number in range(1, 201):
        lines += _kill(tmp_path / "cache", tmp_path, number, lines_first=number % 40 + 1)
        _check_survivors(tmp_path / "cache", lines)
