"""What working files are made in is out of git's sight, and does not outlive its process for long."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL

import pytest

import hitsave.cache.ownfolder
from hitsave.cache.files import LocksUnsupported
from hitsave.cache.ownfolder import make_locked
from hitsave.cache.store import Cache
from hitsave.objects.digest import ObjectKind
from hitsave.progress import Silent
from hitsave.snapshots.checkout import Checkout
from hitsave.snapshots.materialise import materialise_tree
from hitsave.snapshots.pointer import Pointer, pointer_path, save_pointer
from hitsave.snapshots.staging import STAGING, staging_in
from hitsave.snapshots.status import status
from hitsave.snapshots.workspace import Workspace, find_pointers
from tests.snapshots.folders import File, Folder, read, store, write

FOLDER: Folder = {b"%d" % at: File(b"%d" % at * 1000) for at in range(5)} | {b"x.hitsave": File(b"hitsave 1\n")}
#: Checks a dataset out; at its first file it says so, and waits for a line.
_STOPPED = """
import sys
from pathlib import Path
from hitsave.cache.store import Cache
from hitsave.progress import Silent
from hitsave.snapshots.checkout import Checkout
from hitsave.snapshots.workspace import Workspace

class Stopping(Silent):
    stopped = False
    def advance(self, size, files=0):
        if not self.stopped:
            self.stopped = True
            print("there", flush=True)
            sys.stdin.readline()

path = Path(sys.argv[2])
with Cache.open(Path(sys.argv[1])) as cache:
    Checkout(cache, Workspace(path.parent, "project"), progress=Stopping()).run(path)
"""


@contextmanager
def checking_out(cache: Cache, path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is in the middle of a checkout. It is killed at the end, if it still runs."""
    command = [sys.executable, "-c", _STOPPED, cache.path, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "there\n"
            yield process
        finally:
            process.kill()


def leave_dead(cache: Cache, path: Path) -> None:
    """Kill a process in the middle of a checkout."""
    with checking_out(cache, path) as process:
        process.kill()
        assert process.wait() == -SIGKILL


@pytest.fixture
def project(cache: Cache, tmp_path: Path) -> Path:
    """A folder with the pointer files of two datasets, whose files are not there."""
    folder = tmp_path / "project"
    folder.mkdir()
    write(FOLDER, tmp_path / "made")
    digest = store(cache, tmp_path / "made")
    for name in ("one", "two"):
        save_pointer(pointer_path(folder / name), Pointer(digest, ObjectKind.TREE, 5 * 1000, 6))
    return folder


def check_out(cache: Cache, path: Path) -> None:
    """Check a dataset out."""
    Checkout(cache, Workspace(path.parent, "project")).run(path)
    assert read(path) == FOLDER


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(os.listdir(folder))


@pytest.mark.parametrize("was_there", [False, True])
def test_a_killed_checkout_leaves_nothing_for_long(cache: Cache, project: Path, was_there: bool) -> None:
    subprocess.run(["git", "init", "--quiet", project], check=True)
    (project / ".gitignore").write_bytes(b"/one\n/two\n")
    if was_there:
        check_out(cache, project / "one")
        (project / "one/0").unlink()
    leave_dead(cache, project / "one")
    (left,) = (project / STAGING).iterdir()
    assert len(names(left)) == 3  # What is half made, and what keeps it out of git, and from others.
    seen = subprocess.run(["git", "-C", project, "status", "--porcelain", "-uall"], check=True, capture_output=True)
    assert STAGING.encode() not in seen.stdout
    assert {path.name for path in find_pointers(project)} == {"one.hitsave", "two.hitsave"}
    check_out(cache, project / "two")
    assert [name for name in names(project) if name.startswith(".")] == [".git", ".gitignore"]
    check_out(cache, project / "one")


def test_a_checkout_that_finds_all_as_it_should_be_clears_up_too(cache: Cache, project: Path) -> None:
    check_out(cache, project / "one")
    leave_dead(cache, project / "two")
    check_out(cache, project / "one")
    assert names(project) == ["one", "one.hitsave", "two.hitsave"]


def test_one_that_is_alive_is_left_alone(cache: Cache, project: Path) -> None:
    leave_dead(cache, project / "two")
    with checking_out(cache, project / "one") as process:
        (its,) = (project / STAGING).iterdir()
        check_out(cache, project / "two")
        assert names(project / STAGING) == [its.name]
        process.communicate("go on\n")
        assert process.returncode == 0
    assert read(project / "one") == FOLDER
    assert names(project) == ["one", "one.hitsave", "two", "two.hitsave"]


def test_read_only_directories_are_cleared_up(tmp_path: Path) -> None:
    with staging_in(tmp_path) as staging:
        (staging / "new/deep").mkdir(parents=True)
        (staging / "new/deep/file").touch()
        (staging / "new/deep").chmod(0o555)
    assert names(tmp_path) == []


def test_without_locks_nobody_is_taken_for_dead(cache: Cache, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_dead(cache, project / "one")

    def no_locks(path: str) -> int | None:
        raise LocksUnsupported

    monkeypatch.setattr(hitsave.cache.ownfolder, "try_lock", no_locks)
    materialise_tree(cache, store(cache, project.parent / "made"), project / "two")
    assert len(names(project / STAGING)) == 1


def test_in_another_users_folder_files_are_made_in_the_directory_itself(
    cache: Cache, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or on another file system, out of which nothing can be moved. What a killed process left is no content."""
    check_out(cache, project / "one")
    (project / "one/0").unlink()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != project)
    seen: list[list[str]] = []

    class Looking(Silent):
        def advance(self, size: int, files: int = 0) -> None:
            seen.append(names(project / "one"))
            assert status(cache, workspace, [project / "one"], "ignore", Silent())[0].changes == (removed,)

    workspace = Workspace(project, "project")
    ((removed,),) = (told.changes for told in status(cache, workspace, [project / "one"], "ignore", Silent()))
    Checkout(cache, workspace, progress=Looking()).run(project / "one")
    assert STAGING in seen[-1]
    assert read(project / "one") == FOLDER
    left, lock = make_locked(project / "one" / STAGING)
    assert lock is not None
    os.close(lock)
    check_out(cache, project / "one")
    assert not left.exists()
