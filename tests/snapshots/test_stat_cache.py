"""What is known of working files is never wrong, whatever the clock does."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hitsave.cache.stats import COARSE_TICK_NS, FINE_TICK_NS, is_racy
from hitsave.cache.store import Cache
from hitsave.objects.digest import Digest, blob_digest
from hitsave.snapshots.capture import Captured, CaptureOptions, capture
from hitsave.snapshots.keeping import NameOnly
from tests.snapshots.folders import File, Folder, expected, write

SECOND = 10**9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write({b"a": File(b"old"), b"b": File(b"1"), b"sub": {b"c": File(b"2")}}, tmp_path / "data")
    return tmp_path / "data"


def captured_at(cache: Cache, path: Path, now: int, options: CaptureOptions | None = None) -> Captured:
    """A capture by a clock that stands still."""
    return capture(path, NameOnly(), cache.stats, options, clock=lambda: now)


def later() -> int:
    """A time at which everything that was written is long at rest."""
    return time.time_ns() + 60 * SECOND


def test_at_rest_nothing_is_read_twice(cache: Cache, path: Path) -> None:
    assert captured_at(cache, path, later()).read == 3
    assert captured_at(cache, path, later()).read == 0


def test_what_was_just_written_is_read_again(cache: Cache, path: Path) -> None:
    newest = max(os.stat(path / name).st_mtime_ns for name in ("a", "b", "sub/c"))
    assert captured_at(cache, path, newest).read == 3
    assert captured_at(cache, path, newest).read == 3
    assert captured_at(cache, path, later()).read == 3  # Only now is it read at a safe time.
    assert captured_at(cache, path, later()).read == 0


def test_a_change_within_one_tick_is_seen(cache: Cache, path: Path) -> None:
    """The change leaves size, times and inode as they were: only the racy rule can tell."""
    file = path / "a"
    before = os.stat(file)
    now = max(before.st_mtime_ns, before.st_ctime_ns) + FINE_TICK_NS // 2
    first = captured_at(cache, path, now)
    file.write_bytes(b"new")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = captured_at(cache, path, later())
    assert first.digest != second.digest
    assert str(second.digest) == expected({b"a": File(b"new"), b"b": File(b"1"), b"sub": {b"c": File(b"2")}})[0]


@pytest.mark.parametrize("fraction", [123_456_789, 0])
def test_the_racy_rule_knows_fine_and_coarse_clocks(path: Path, fraction: int) -> None:
    class Found:
        st_mtime_ns = 1_000 * SECOND + fraction
        st_ctime_ns = 0

    tick = FINE_TICK_NS if fraction else COARSE_TICK_NS
    newest = Found.st_mtime_ns
    assert is_racy(Found, newest)  # type: ignore[arg-type]
    assert is_racy(Found, newest + tick)  # type: ignore[arg-type]
    assert not is_racy(Found, newest + tick + 1)  # type: ignore[arg-type]
    assert is_racy(Found, newest - 5 * SECOND)  # type: ignore[arg-type]  # A clock that lags, or a time to come.


def test_a_time_to_come_is_never_trusted(cache: Cache, path: Path) -> None:
    os.utime(path / "a", ns=(0, time.time_ns() + 3600 * SECOND))
    for _ in range(3):
        assert captured_at(cache, path, later()).read in (1, 3)
    assert captured_at(cache, path, later()).read == 1


@pytest.mark.parametrize("change", ["content", "times", "mode", "replaced", "renamed"])
def test_every_change_is_seen(cache: Cache, path: Path, change: str) -> None:
    folder: dict[bytes, File | Folder] = {b"a": File(b"old"), b"b": File(b"1"), b"sub": {b"c": File(b"2")}}
    captured_at(cache, path, later())
    file = path / "a"
    before = os.stat(file)
    if change == "content":
        file.write_bytes(b"new")
        folder[b"a"] = File(b"new")
    elif change == "times":
        os.utime(file, ns=(1, 1))
    elif change == "mode":
        file.chmod(0o755)
        folder[b"a"] = File(b"old", executable=True)
    elif change == "replaced":
        (path / "new").write_bytes(b"new")
        os.utime(path / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
        os.replace(path / "new", file)
        folder[b"a"] = File(b"new")
    else:
        os.rename(file, path / "z")
        folder[b"z"] = folder.pop(b"a")
    found = captured_at(cache, path, later())
    assert str(found.digest) == expected(folder)[0]
    assert found.read == 1


def test_rows_of_directories_that_are_gone_are_dropped(cache: Cache, path: Path) -> None:
    captured_at(cache, path, later())
    key = b"ignore:" + os.fsencode(path)
    assert set(cache.stats.beneath(key)) == {key, key + b"/sub"}
    (path / "sub/c").unlink()
    (path / "sub").rmdir()
    captured_at(cache, path, later())
    assert set(cache.stats.beneath(key)) == {key}


def test_a_directory_that_becomes_a_file_and_back(cache: Cache, path: Path) -> None:
    captured_at(cache, path, later())
    (path / "sub/c").unlink()
    (path / "sub").rmdir()
    (path / "sub").write_bytes(b"a file")
    found = captured_at(cache, path, later())
    assert str(found.digest) == expected({b"a": File(b"old"), b"b": File(b"1"), b"sub": File(b"a file")})[0]
    (path / "sub").unlink()
    (path / "sub").mkdir()
    found = captured_at(cache, path, later())
    assert str(found.digest) == expected({b"a": File(b"old"), b"b": File(b"1"), b"sub": {}})[0]


def test_ways_to_take_links_do_not_mix(cache: Cache, path: Path) -> None:
    (path / "link").symlink_to("a")
    digests: dict[str, Digest] = {}
    for _ in range(2):
        for symlinks in ("ignore", "store", "follow"):
            found = captured_at(cache, path, later(), CaptureOptions(symlinks))
            assert digests.setdefault(symlinks, found.digest) == found.digest
    assert len(set(digests.values())) == 3


def test_everything_and_not_everything_do_not_mix(cache: Cache, path: Path) -> None:
    (path / ".hitsaveignore").write_bytes(b"sub/\nb\n")
    some, everything = CaptureOptions("store"), CaptureOptions("store", everything=True)
    rules = {b".hitsaveignore": File(b"sub/\nb\n")}
    for _ in range(2):
        found = captured_at(cache, path, later(), some)
        assert str(found.digest) == expected({b"a": File(b"old"), **rules})[0]
        found = captured_at(cache, path, later(), everything)
        whole: Folder = {b"a": File(b"old"), b"b": File(b"1"), b"sub": {b"c": File(b"2")}, **rules}
        assert str(found.digest) == expected(whole)[0]


def test_a_single_file_is_known_too(cache: Cache, path: Path) -> None:
    assert captured_at(cache, path / "a", later()).read == 1
    assert captured_at(cache, path / "a", later()).read == 0
    (path / "a").write_bytes(b"newer")
    found = captured_at(cache, path / "a", later())
    assert (found.digest, found.read) == (blob_digest(b"newer"), 1)


def test_neighbours_with_a_common_beginning_do_not_meddle(cache: Cache, tmp_path: Path) -> None:
    for name in ("data", "data2", "data-3", "data0"):
        write({b"x": File(name.encode())}, tmp_path / name)
        captured_at(cache, tmp_path / name, later())
    for name in ("data", "data2", "data-3", "data0"):
        found = captured_at(cache, tmp_path / name, later())
        assert (str(found.digest), found.read) == (expected({b"x": File(name.encode())})[0], 0)
