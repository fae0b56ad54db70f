"""Pipes that break, streams that are closed, variables, signals, locales."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.world import User, World


def test_a_reader_that_goes_away_is_no_fault(ann: User) -> None:
    ann.write({f"many/{'n' * 200}{number}": b"%d" % number for number in range(2000)})
    ann.add()
    for arguments in (["show-ref"], ["ls-tree", "-r", "data"], ["ls-tree", "-r", "-z", "data"], ["status", "--json"]):
        read, write = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-m", "hitsave", *arguments],
            cwd=ann.workspace,
            env=ann.environment(),
            stdin=subprocess.DEVNULL,
            stdout=write,
            stderr=subprocess.PIPE,
        )
        os.close(write)
        os.close(read)
        _, err = process.communicate(timeout=60)
        assert err == b"", arguments
        assert process.returncode == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(ann: User, closed: str) -> None:
    script = f'"$0" -m hitsave add data {closed}'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable], cwd=ann.workspace, env=ann.environment(), capture_output=True, check=False
    )
    assert b"Traceback" not in done.stderr
    assert (ann.workspace / "data.hitsave").is_file()
    if ">&-" not in closed.replace("2>&-", ""):
        assert done.returncode == 0
    assert ann.state()["state"] == "clean"


def test_a_full_device_is_one_line(ann: User) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    ann.add()
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "hitsave", "show-ref"],
            cwd=ann.workspace,
            env=ann.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"disk is full" in done.stderr


@pytest.mark.parametrize(
    "locale", [{"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_a_plain_locale_shows_names_as_they_are(ann: User, locale: dict[str, str]) -> None:
    name = "größe 漢字"
    ann.write({"x": b"1"}, name)
    done = ann.do("add", name.encode(), environ=locale)
    assert done.out.rstrip(b"\n").endswith(name.encode())
    ann.write({"y": b"2"}, name)
    assert name.encode() in ann.do("status", environ=locale).out
    done = ann.run("add", "größer".encode(), environ=locale)
    assert done.code == 1
    assert "größer: does not exist" in done.err.decode()


def test_no_cloud_touches_no_remote(world: World, ann: User) -> None:
    ann.do("remote", "add", "origin", world.remote)
    before = sorted(world.remote.rglob("*"))
    offline = {"HITSAVE_NO_CLOUD": "1"}
    ann.do("add", "data", environ=offline)
    assert ann.do("status", "--json", environ=offline).json[0]["pushed"] is None
    assert ann.do("snapshot", "data", environ=offline).said == ""
    for arguments in (["push"], ["fsck", "--remote", "origin"]):
        assert "HITSAVE_NO_CLOUD is set" in ann.refused(*arguments, environ=offline)
    assert ann.do("pull", environ=offline).code == 0  # Everything is here.
    assert "no object" in ann.refused("rev-parse", "1234567", environ=offline)
    assert sorted(world.remote.rglob("*")) == before
    assert ann.do("push", environ={"HITSAVE_NO_CLOUD": "0"}).code == 0


def test_a_remote_out_of_the_environment(world: World, ann: User) -> None:
    here = {"HITSAVE_REMOTE": os.fspath(world.remote)}
    ann.add()
    assert ann.do("push", "--json", environ=here).json["refs"] == 1
    assert ann.do("remote", "list", environ=here).lines == [f"HITSAVE_REMOTE\t{world.remote}"]
    ben = world.clone(ann)
    ben.do("pull", environ={"HITSAVE_REMOTE": world.remote.as_uri()})
    assert (ben.data / "a.txt").read_bytes() == b"first\n"
    assert "there are remotes at" in ben.refused("push", environ={"HITSAVE_REMOTE": "ftp://bucket/x"})


def test_a_cache_folder_that_cannot_be_used(world: World, ann: User) -> None:
    blocked = world.root / "file"
    blocked.write_bytes(b"")
    for folder in (blocked, blocked / "beneath"):
        said = ann.refused("add", "data", environ={"HITSAVE_LOCAL_CACHE_DIR": os.fspath(folder)})
        assert f"{folder}: cannot be used as the cache" in said
        assert "set HITSAVE_LOCAL_CACHE_DIR" in said
    assert ann.do("--version").code == 0


def test_a_cache_of_ones_own_choice(world: World, ann: User) -> None:
    ann.do("config", "set", "cache_dir", "../../chosen")
    assert (ann.config / "config.toml").read_text() == f'cache_dir = "{world.root / "chosen"}"\n'
    assert not (ann.workspace / "hitsave.toml").exists()
    environment = ann.environment()
    del environment["HITSAVE_LOCAL_CACHE_DIR"]
    command = [sys.executable, "-m", "hitsave", "add", "data"]
    subprocess.run(command, cwd=ann.workspace, env=environment, check=True, capture_output=True)
    assert (world.root / "chosen/cache.db").is_file()
    assert not ann.cache.exists()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_one_line_and_leaves_nothing_half_done(ann: User, stop: signal.Signals) -> None:
    ann.add()
    first = (ann.workspace / "data.hitsave").read_bytes()
    with (ann.data / "huge").open("wb") as file:
        file.truncate(3 << 30)  # Sparse: nothing on the disk, but a while to hash.
    process = subprocess.Popen(
        [sys.executable, "-m", "hitsave", "add", "data"],
        cwd=ann.workspace,
        env=ann.environment({"RAYON_NUM_THREADS": "1"}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while not list((ann.cache / "tmp").glob("*/blob-*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(stop)
    out, err = process.communicate(timeout=60)
    assert out == b""
    assert process.returncode == 128 + stop
    said = "interrupted" if stop is signal.SIGINT else "terminated"
    assert err.decode() == f"hitsave: {said}; nothing is half-written, run it again to go on\n"
    assert list((ann.cache / "tmp").iterdir()) == []
    assert (ann.workspace / "data.hitsave").read_bytes() == first
    (ann.data / "huge").unlink()
    assert ann.state()["state"] == "clean"
    ann.do("fsck")
    ann.do("gc")
    assert list((ann.cache / "tmp").iterdir()) == []
