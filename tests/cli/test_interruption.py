"""Ctrl-C ends a command, whatever it waits for."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cli.world import User

#: Seconds; a command that does not end by itself takes longer.
_PATIENCE = 20
_SAID = "hitsave: interrupted; nothing is half-written, run it again to go on\n"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals to one process")


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


@pytest.mark.parametrize("arguments", [["push"], ["status"], ["gc", "--remote"]], ids=" ".join)
def test_a_command_that_waits_for_a_silent_store(ann: User, silent: socket.socket, arguments: list[str]) -> None:
    ann.add()
    store = {
        "HITSAVE_REMOTE": f"s3://bucket/prefix?endpoint=http://127.0.0.1:{silent.getsockname()[1]}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "hitsave", *arguments],
        cwd=ann.workspace,
        env=ann.environment(store),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    connection, _ = silent.accept()
    with connection:
        connection.recv(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=_PATIENCE)
    assert (process.returncode, out, err) == (130, "", _SAID)
    assert ann.state()["state"] == "clean"


_DEAF = """
import time
from hitsave.cli.signals import obey
obey()
while True:
    try:
        print("waiting", flush=True)
        time.sleep(600)
    except KeyboardInterrupt:
        pass
"""


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
def test_who_tidies_up_for_ever_is_ended(ann: User, again: bool) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _DEAF], env=ann.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(1 + again):
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=_PATIENCE)
    assert (process.returncode, err) == (130, _SAID)


def test_who_was_started_to_ignore_ctrl_c_does(ann: User) -> None:
    script = "import os, signal; from hitsave.cli.signals import obey; obey(); os.kill(os.getpid(), signal.SIGINT)"
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = subprocess.run([sys.executable, "-c", script], env=ann.environment(), timeout=_PATIENCE, check=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.returncode == 0
