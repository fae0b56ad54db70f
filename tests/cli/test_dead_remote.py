"""Commands that look do without a remote that does not answer, and do not ask it again and again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.world import User, World


@pytest.fixture
def ann(tmp_path: Path) -> User:
    ann = World(tmp_path).user()
    ann.write({"a": b"a"})
    ann.add()
    return ann


class Deaf:
    """Takes connections, counts them, and ends them without an answer."""

    def __init__(self) -> None:
        self.calls = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"s3://bucket/prefix?endpoint=http://127.0.0.1:{self._socket.getsockname()[1]}"

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.calls += 1
            connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def deaf() -> Iterator[Deaf]:
    server = Deaf()
    yield server
    server.close()


@pytest.mark.parametrize("command", ["status", "log"])
def test_what_is_here_is_shown(ann: User, deaf: Deaf, command: str) -> None:
    ann.write({"a": b"b"})
    ann.add()
    environ = {"HITSAVE_REMOTE": deaf.url, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    shown = ann.do(command, environ=environ)
    assert shown.said.startswith("hitsave: the remote was not asked: ")
    assert shown.said.count("\n") == 1
    assert "pushed" not in shown.text
    assert shown.text == ann.do(command).text
    assert 0 < deaf.calls <= 2
