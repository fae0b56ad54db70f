"""A store that is damaged, gone, full or not to be written: results stay right, and nothing crashes."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.memo.projects.harness import Project

SCRIPT = """\
from hitsave import memo

@memo
def small(x):
    RAN small
    return {"x": x, "text": "small results lie together" * 3}

@memo
def large(x):
    RAN large
    return bytes(range(256)) * 2000

@memo
def array(x):
    RAN array
    import numpy as np
    return np.arange(100_000.0)

print(small(1)["text"][:5], small(2)["x"], len(large(1)), large(1)[300], array(1).sum())
"""
EXPECTED = "small 2 512000 44 4999950000.0"


def _truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _empty(content: bytes) -> bytes:
    return b""


def _flip_in_the_middle(content: bytes) -> bytes:
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def _flip_at_the_end(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 0x80])


def _flip_at_the_beginning(content: bytes) -> bytes:
    return bytes([content[0] ^ 0x10]) + content[1:]


def _append(content: bytes) -> bytes:
    return content + b"more"


DAMAGES = [_truncate, _empty, _flip_in_the_middle, _flip_at_the_end, _flip_at_the_beginning, _append]


def _check(project: Project, what: str) -> None:
    outcome = project.run()
    assert (outcome.code, outcome.output) == (0, EXPECTED), f"after {what}: {outcome}"


def _data_files(cache: Path) -> list[Path]:
    return sorted(p for name in ("objects", "packs") for p in (cache / name).rglob("*") if p.is_file())


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_every_data_file_in_turn(project: Project, damage: Callable[[bytes], bytes]) -> None:
    project.write({"main.py": SCRIPT})
    _check(project, "nothing")
    kept = project.root / "kept"
    shutil.copytree(project.cache, kept)
    names = [path.relative_to(kept) for path in _data_files(kept)]
    assert names
    for name in names:
        shutil.rmtree(project.cache)
        shutil.copytree(kept, project.cache)
        path = project.cache / name
        path.chmod(0o644)
        path.write_bytes(damage(path.read_bytes()))
        _check(project, f"{damage.__name__} of {name}")
        _check(project, f"{damage.__name__} of {name}, the second time")


def test_every_data_file_deleted(project: Project) -> None:
    project.write({"main.py": SCRIPT})
    _check(project, "nothing")
    for path in _data_files(project.cache):
        path.unlink()
    _check(project, "all data files were deleted")
    outcome = project.run()
    assert (outcome.ran, outcome.output) == ((), EXPECTED), outcome


def test_small_results_in_the_database(project: Project) -> None:
    """Wherever the bytes of a result lie, a flipped one must be noticed."""
    project.write({"main.py": SCRIPT})
    _check(project, "nothing")
    database = sqlite3.connect(project.cache / "cache.db")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    flipped = 0
    for path in sorted(project.cache.rglob("*")):
        if path.is_file() and b"small results lie" in (content := path.read_bytes()):
            path.chmod(0o644)
            path.write_bytes(content.replace(b"small results lie", b"SMALL results lie"))
            flipped += 1
    if not flipped:
        pytest.skip("small results are not kept as plain bytes")
    outcome = project.run()
    assert (outcome.code, outcome.output) == (0, EXPECTED), outcome
    assert "small" in outcome.ran, outcome


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
def test_the_database_itself(project: Project, share: float) -> None:
    """No index, no refs, no evaluations to be trusted: values stay right."""
    project.write({"main.py": SCRIPT})
    _check(project, "nothing")
    path = project.cache / "cache.db"
    content = bytearray(path.read_bytes())
    begin = int(len(content) * share)
    content[begin : begin + 4096] = bytes(byte ^ 0x55 for byte in content[begin : begin + 4096])
    path.write_bytes(bytes(content))
    _check(project, f"a page at {share} of the database was damaged")


def test_the_database_cut_off(project: Project) -> None:
    project.write({"main.py": SCRIPT})
    _check(project, "nothing")
    path = project.cache / "cache.db"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    _check(project, "half of the database was cut off")


def test_the_leases_are_no_database(project: Project) -> None:
    project.write({"main.py": SCRIPT})
    project.cache.mkdir()
    for name in ("leases.db", "leases.db-wal"):
        (project.cache / name).write_bytes(b"no database" * 1000)
    _check(project, "the leases were overwritten")


def test_the_cache_is_deleted_between_two_runs(project: Project) -> None:
    project.write({"main.py": SCRIPT})
    _check(project, "nothing")
    shutil.rmtree(project.cache)
    outcome = project.run()
    assert (outcome.code, outcome.output) == (0, EXPECTED), outcome
    assert sorted(outcome.ran) == ["array", "large", "small", "small"]


def test_the_cache_is_deleted_while_a_program_runs(project: Project) -> None:
    script = """\
import os, shutil
from hitsave import memo

@memo
def f(x):
    RAN
    return bytes([x]) * 300_000

print(f(1)[0], f(2)[0])
shutil.rmtree(os.environ["HITSAVE_LOCAL_CACHE_DIR"])
print(f(1)[0], f(3)[0], f(3)[0])
"""
    project.write({"main.py": script})
    outcome = project.run()
    assert (outcome.code, outcome.output) == (0, "1 2 1 3 3"), outcome


def test_the_cache_cannot_be_a_folder(project: Project) -> None:
    project.write({"main.py": SCRIPT})
    (project.root / "file").write_text("in the way")
    outcome = project.run(environ={"HITSAVE_LOCAL_CACHE_DIR": str(project.root / "file" / "cache")})
    assert (outcome.code, outcome.output) == (0, EXPECTED), outcome
    assert "Warning" in outcome.errors


def test_the_disk_is_full(project: Project) -> None:
    """As seen by one who may not make any file larger than some bytes."""
    pytest.importorskip("resource")
    limited = """\
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE, SIZE))
"""
    for limit in (0, 4096, 200_000):
        shutil.rmtree(project.cache, ignore_errors=True)
        project.write({"main.py": limited.replace("SIZE, SIZE", f"{limit}, {limit}") + SCRIPT.replace("RAN ", "# ")})
        outcome = project.run()
        assert (outcome.code, outcome.output) == (0, EXPECTED), f"limit {limit}: {outcome}"
        assert "Warning" in outcome.errors, f"limit {limit}: {outcome}"


def test_files_of_others_lie_in_the_cache(project: Project) -> None:
    project.write({"main.py": SCRIPT})
    _check(project, "nothing")
    for folder in [project.cache, *[path for path in project.cache.rglob("*") if path.is_dir()]]:
        (folder / "README").write_text("not ours")
        (folder / ".DS_Store").write_bytes(b"\0\1")
    outcome = project.run()
    assert (outcome.code, outcome.ran, outcome.output) == (0, (), EXPECTED), outcome
