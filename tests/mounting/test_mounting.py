"""`hitsave mount` by the kernel: what is seen, what is fetched for it, how it ends, and what is in the way."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.world import User

BIG = bytes(range(256)) * 40_000
PATIENCE = 30


def why_not() -> str:
    """What is missing to mount; empty where nothing is."""
    try:
        import mfusepy  # noqa: F401
    except (ImportError, OSError) as error:
        return f"there is no mfusepy, or no libfuse ({error})"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "this machine lets nobody use /dev/fuse"
    if not (shutil.which("fusermount3") or shutil.which("fusermount")):
        return "there is no fusermount (Debian: fuse3)"
    return ""


def digest_of(user: User) -> str:
    return user.do("rev-parse", "data.hitsave").text.strip()


REASON = why_not()
fuse = pytest.mark.skipif(bool(REASON), reason=REASON)


@pytest.fixture(scope="module")
def ann(tmp_path_factory: pytest.TempPathFactory) -> User:
    """Has pushed a dataset, and has an empty cache since."""
    folder = tmp_path_factory.mktemp("ann")
    user = User(folder / "project", folder / "first-cache", folder / "config")
    (user.data / "sub").mkdir(parents=True)
    (user.data / "a.txt").write_bytes(b"hello\n")
    (user.data / "sub" / "big").write_bytes(os.urandom(1000) + BIG)
    (user.data / "sub" / "run").write_bytes(b"#!/bin/sh\necho ran\n")
    (user.data / "sub" / "run").chmod(0o755)
    with open(os.fsencode(user.data) + b"/caf\xe9", "wb") as file:
        file.write(b"latin")
    user.do("add", "data")
    user.do("remote", "add", "origin", folder / "remote")
    user.do("push")
    return User(user.workspace, folder / "cache", user.config)


@contextlib.contextmanager
def mounted(user: User, name: str, place: Path, end: int = signal.SIGINT) -> Iterator[subprocess.Popen[str]]:
    """The command, running; ended by a signal, after which nothing is mounted any more."""
    place.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "hitsave", "mount", name, os.fspath(place)],
        cwd=user.workspace,
        env=user.environment(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not os.path.ismount(place):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process
        process.send_signal(end)
        assert process.wait(PATIENCE) == 0
        assert not os.path.ismount(place)
        assert list(place.iterdir()) == []
    finally:
        if process.poll() is None:
            process.kill()
            subprocess.run(["fusermount", "-uz", os.fspath(place)], check=False)


@fuse
def test_a_directory_is_seen_as_it_was_recorded(ann: User, tmp_path: Path) -> None:
    place = tmp_path / "seen"
    with mounted(ann, "data", place) as process:
        assert sorted(os.listdir(os.fsencode(place))) == [b"a.txt", b"caf\xe9", b"sub"]
        assert Path(os.fsdecode(os.fsencode(place) + b"/caf\xe9")).read_bytes() == b"latin"
        assert subprocess.run([place / "sub" / "run"], capture_output=True, check=True).stdout == b"ran\n"
        assert (place / "sub" / "big").stat().st_size == len(BIG) + 1000
        with ThreadPoolExecutor(4) as readers:
            content = (ann.data / "sub" / "big").read_bytes()
            assert set(readers.map(lambda _: (place / "sub" / "big").read_bytes() == content, range(4))) == {True}
        with pytest.raises(FileNotFoundError):
            (place / "none").stat()
        with pytest.raises(NotADirectoryError):
            (place / "a.txt" / "none").stat()
        for change in (
            lambda: (place / "new").write_bytes(b""),
            lambda: (place / "a.txt").write_bytes(b""),
            lambda: (place / "a.txt").unlink(),
            lambda: (place / "folder").mkdir(),
            lambda: (place / "a.txt").chmod(0o777),
        ):
            with pytest.raises(OSError, match="Read-only file system") as refused:
                change()
            assert refused.value.errno == errno.EROFS
        assert os.statvfs(place).f_bavail == 0
    assert process.stderr is not None
    assert process.stderr.read().splitlines() == [f"{place}: mounted; Ctrl-C unmounts", f"{place}: unmounted"]


@fuse
def test_a_part_is_mounted_and_only_what_is_read_is_fetched(ann: User, tmp_path: Path) -> None:
    remote = ann.workspace.parent / "remote"
    with mounted(ann, f"{digest_of(ann)}:sub", tmp_path / "part", signal.SIGTERM) as process:
        with open(tmp_path / "part" / "big", "rb", buffering=0) as file:
            assert file.read(1000) == (ann.data / "sub" / "big").read_bytes()[:1000]
        kept = {pack: pack.read_bytes() for pack in remote.rglob("*.pack")}
        try:
            for pack, content in kept.items():
                pack.chmod(0o644)
                pack.write_bytes(content[:200] + bytes(each ^ 1 for each in content[200:]))
            with pytest.raises(OSError, match="Input/output error"):
                (tmp_path / "part" / "big").read_bytes()
        finally:
            for pack, content in kept.items():
                pack.write_bytes(content)
    assert process.stderr is not None
    assert any(line.startswith("hitsave: big: ") for line in process.stderr.read().splitlines())
    size = sum(path.stat().st_size for path in ann.cache.rglob("*") if path.is_file())
    assert size < 1_000_000


@fuse
def test_what_is_in_the_way_is_said(ann: User, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert "is not empty" in ann.refused("mount", "data", tmp_path / "full")
    assert "is no folder" in ann.refused("mount", "data", tmp_path / "none")
    assert "is no directory" in ann.refused("mount", "data/a.txt", tmp_path)


def test_without_the_extra_the_line_says_what_to_install(ann: User, tmp_path: Path) -> None:
    (tmp_path / "mfusepy.py").write_text("raise ImportError('hidden', name='mfusepy')\n")
    path = os.pathsep.join([os.fspath(tmp_path), os.environ.get("PYTHONPATH", "")])
    said = ann.refused("mount", "data", tmp_path, environ={"PYTHONPATH": path})
    assert "pip install 'hitsave[mount]'" in said
