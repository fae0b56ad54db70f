"""A capture gives what the specification says, whatever is known already, and nothing torn."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitsave.cache.intake import WHOLE_FROM
from hitsave.cache.store import Cache
from hitsave.errors import FileChanged, SnapshotError
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.encoding import decode_tree
from hitsave.snapshots.capture import Captured, CaptureOptions, capture, stays_inside
from hitsave.snapshots.keeping import IntoIntake, NameOnly
from tests.snapshots.folders import File, Folder, deep_directory, expected, folders, write

modest = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
STORE = CaptureOptions(symlinks="store")


def identify(cache: Cache, path: Path, options: CaptureOptions = STORE) -> Captured:
    """The digest of what is on disk."""
    return capture(path, NameOnly(), cache.stats, options)


@modest
@given(folders)
def test_the_digest_is_that_of_the_specification(cache: Cache, folder: Folder) -> None:
    with tempfile.TemporaryDirectory() as above:
        path = Path(above, "data")
        write(folder, path)
        digest, size, files = expected(folder)
        for _ in range(2):  # Read, and then known.
            found = identify(cache, path)
            assert (str(found.digest), found.size, found.files) == (digest, size, files)
            assert found.kind is ObjectKind.TREE


@modest
@given(folders, st.randoms(use_true_random=False))
def test_path_order_and_times_do_not_count(cache: Cache, folder: Folder, random: object) -> None:
    with tempfile.TemporaryDirectory() as above:
        write(folder, Path(above, "one"))
        os.mkdir(Path(above, "deep"))
        write(dict(reversed(list(folder.items()))), Path(above, "deep", "two"))
        for directory, names, files in os.walk(os.fsencode(above)):
            for name in names + files:
                os.utime(os.path.join(directory, name), ns=(1, 1), follow_symlinks=False)
        assert identify(cache, Path(above, "one")).digest == identify(cache, Path(above, "deep", "two")).digest


@modest
@given(folders)
def test_what_is_stored_has_the_same_digest_and_is_all_there(cache: Cache, folder: Folder) -> None:
    with tempfile.TemporaryDirectory() as above:
        path = Path(above, "data")
        write(folder, path)
        with cache.intake() as intake:
            found = capture(path, IntoIntake(intake), cache.stats, STORE)
            intake.publish([])
        assert str(found.digest) == expected(folder)[0]
        assert cache.missing(cache.reachable([(found.digest, ObjectKind.TREE)])) == set()


def test_a_thousand_levels(cache: Cache, tmp_path: Path) -> None:
    with deep_directory(tmp_path / "data", 1000), cache.intake() as intake:
        found = capture(tmp_path / "data", IntoIntake(intake), cache.stats, STORE)
        intake.publish([])
    assert (found.size, found.files) == (1, 1)
    assert len(cache.reachable([(found.digest, ObjectKind.TREE)])) == 1002
    for _ in range(1000):
        (entry,) = decode_tree(cache.read(found.digest)).entries
        found = found._replace(digest=entry.digest)
    assert str(found.digest) == expected({b"leaf": File(b"1")})[0]


def test_five_thousand_entries(cache: Cache, tmp_path: Path) -> None:
    folder: dict[bytes, File] = {b"%d" % at: File(b"%d" % at) for at in range(5000)}
    write(folder, tmp_path / "data")
    with cache.intake() as intake:
        found = capture(tmp_path / "data", IntoIntake(intake), cache.stats, STORE)
        intake.publish([])
    assert (str(found.digest), found.size, found.files) == expected(folder)
    assert found.read == 5000


# -- files that change while they are read


class Meddling(NameOnly):
    """Does something to the file just after each time it was read."""

    def __init__(self, meddle: Callable[[int], object]) -> None:
        super().__init__()
        self.times = 0
        self._meddle = meddle

    def content(self, kind: ObjectKind, content: bytes) -> Digest:
        """The digest, and then the deed."""
        digest = super().content(kind, content)
        if kind is ObjectKind.BLOB:
            self.times += 1
            self._meddle(self.times)
        return digest

    def file(self, fd: int, size: int) -> Digest:
        """Likewise."""
        digest = super().file(fd, size)
        self.times += 1
        self._meddle(self.times)
        return digest


@pytest.mark.parametrize("size", [10, WHOLE_FROM])
def test_a_file_that_never_rests_is_refused(cache: Cache, tmp_path: Path, size: int) -> None:
    path = tmp_path / "data"
    write({b"log": File(b"x" * size)}, path)

    def append(times: int) -> None:
        with (path / "log").open("ab") as file:
            file.write(b"more")

    keep = Meddling(append)
    with pytest.raises(FileChanged, match="log: changed while it was read"):
        capture(path, keep, cache.stats, STORE)
    assert keep.times == 3


@pytest.mark.parametrize("size", [10, WHOLE_FROM])
def test_a_file_that_comes_to_rest_is_taken_as_it_is_then(cache: Cache, tmp_path: Path, size: int) -> None:
    path = tmp_path / "data"
    write({b"log": File(b"x" * size)}, path)

    def append(times: int) -> None:
        if times == 1:
            with (path / "log").open("ab") as file:
                file.write(b"more")

    found = capture(path, Meddling(append), cache.stats, STORE)
    assert str(found.digest) == expected({b"log": File(b"x" * size + b"more")})[0]
    assert found.size == size + 4
    assert found.read == 1


def test_a_file_that_shrinks_or_vanishes_is_never_torn(cache: Cache, tmp_path: Path) -> None:
    path = tmp_path / "data"
    write({b"a": File(b"x" * 100), b"b": File(b"1")}, path)

    def shrink(times: int) -> None:
        if times == 1:
            os.truncate(path / "a", 50)

    found = capture(path, Meddling(shrink), cache.stats, STORE)
    assert str(found.digest) == expected({b"a": File(b"x" * 50), b"b": File(b"1")})[0]
    write({b"a": File(b"1"), b"b": File(b"2")}, tmp_path / "other")
    with pytest.raises(OSError, match="No such file"):
        capture(tmp_path / "other", Meddling(lambda _: (tmp_path / "other/b").unlink(missing_ok=True)), cache.stats)


def test_nothing_is_stored_of_what_was_refused(cache: Cache, tmp_path: Path) -> None:
    path = tmp_path / "data"
    write({b"a": File(b"1"), b"pipe-to-be": File()}, path)
    (path / "pipe-to-be").unlink()
    os.mkfifo(path / "pipe-to-be")
    with cache.intake() as intake, pytest.raises(SnapshotError, match="pipe-to-be: a FIFO"):
        capture(path, IntoIntake(intake), cache.stats, STORE)
    assert not cache.has(blob_digest(b"1"))


def test_a_fifo_that_takes_a_files_place_does_not_hang(cache: Cache, tmp_path: Path) -> None:
    """Between the listing and the reading, anything may happen."""
    path = tmp_path / "data"
    write({b"a": File(b"1"), b"b": File(b"2")}, path)

    def swap(times: int) -> None:
        (path / "b").unlink(missing_ok=True)
        os.mkfifo(path / "b")

    with pytest.raises((SnapshotError, OSError)):
        capture(path, Meddling(swap), cache.stats, STORE)


# -- links


@pytest.mark.parametrize(
    ("target", "depth", "inside"),
    [
        (b"a", 0, True),
        (b".", 0, True),
        (b"..", 0, False),
        (b"..", 1, True),
        (b"../..", 1, False),
        (b"a/../..", 0, False),
        (b"a/..", 0, True),
        (b"../a/../..", 1, False),
        (b"/a", 5, False),
        (b"", 5, False),
        (b"a//b/./c", 0, True),
        (b"a\0b", 0, False),
        (b"../" * 900, 900, True),
    ],
)
def test_which_links_stay_inside(target: bytes, depth: int, inside: bool) -> None:
    assert stays_inside(target, depth) is inside


def test_a_single_file(cache: Cache, tmp_path: Path) -> None:
    path = tmp_path / "tool"
    path.write_bytes(b"run")
    path.chmod(0o755)
    found = identify(cache, path)
    assert found == Captured(blob_digest(b"run"), ObjectKind.BLOB, 3, 1, True, found.read)
    (tmp_path / "link").symlink_to("tool")
    assert identify(cache, tmp_path / "link").digest == found.digest
