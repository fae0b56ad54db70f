"""Clients that do not take what they ask for, and a server that is told to stop: one line in the log, and an end."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hitsave.server.settings import ServerLimits
from tests.server.inprocess import PATIENT, Running, connect, running

LARGE = "packs/00/" + "0" * 64 + ".pack"


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENT
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def put_large(server: Running, size: int) -> None:
    path = server.store / LARGE
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(size))


def take_all(connection: socket.socket, pause: float = 0.0) -> int:
    """How many bytes come before the connection ends."""
    count = 0
    try:
        while piece := connection.recv(1 << 20):
            count += len(piece)
            time.sleep(pause)
    except ConnectionResetError:
        pass
    return count


def check_log(caplog: pytest.LogCaptureFixture, *parts: str) -> None:
    """These are the lines, and none has a traceback."""
    assert len(caplog.messages) == len(parts), caplog.text
    assert all(part in line for part, line in zip(parts, caplog.messages, strict=True))
    assert not any(record.exc_info for record in caplog.records)


def test_who_takes_nothing_is_cut_off_and_that_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(tmp_path / "data", ServerLimits(body_time=0.3)) as server:
        put_large(server, 32 << 20)
        with connect(server, f"GET /store/v1/keys/{LARGE}", server.key()) as connection:
            until(lambda: bool(caplog.messages))
            assert take_all(connection) < 32 << 20
    check_log(caplog, "127.0.0.1 does not take what it asked for, and is cut off")


def test_who_takes_slowly_but_steadily_gets_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(tmp_path / "data", ServerLimits(body_time=1.0)) as server:
        put_large(server, 6 << 20)
        with connect(server, f"GET /store/v1/keys/{LARGE}", server.key(), "Connection: close") as connection:
            assert take_all(connection, 0.001) > 6 << 20
    check_log(caplog)


def test_an_answer_that_is_left_in_a_closed_connection_holds_it_no_longer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The last piece is sent, and the connection closed: what nobody takes of it is not kept."""
    with running(tmp_path / "data", ServerLimits(body_time=0.3)) as server:
        put_large(server, 6 << 20)
        get = f"GET /store/v1/keys/{LARGE}"
        held = [connect(server, get, server.key(), "Connection: close") for _ in range(3)]
        until(lambda: len(caplog.messages) == len(held))
        for connection in held:
            connection.close()
    check_log(caplog, *["is cut off"] * 3)


def begin_upload(server: Running, length: int) -> socket.socket:
    return connect(
        server,
        "PUT /store/v1/keys/probe/late",
        server.key(),
        "If-None-Match: *",
        f"Content-Length: {length}",
        "Connection: close",
    )


def test_a_server_that_is_told_to_stop_waits_for_uploads(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(tmp_path / "data") as server:
        with begin_upload(server, 100_000) as connection:
            connection.sendall(bytes(50_000))
            until(lambda: bool(server.uploads()))
            server.stop()
            until(lambda: refuses(server))
            connection.sendall(bytes(50_000))
            assert connection.recv(100).startswith(b"HTTP/1.1 201")
        server.thread.join(PATIENT)
        assert not server.thread.is_alive()
        assert len(server.holds()["probe/late"]) == 100_000
    check_log(caplog)


def test_what_takes_too_long_then_is_cut_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(tmp_path / "data", ServerLimits(grace=0.3)) as server:
        put_large(server, 32 << 20)
        with begin_upload(server, 100_000) as up, connect(server, f"GET /store/v1/keys/{LARGE}", server.key()) as down:
            up.sendall(bytes(50_000))
            assert down.recv(100).startswith(b"HTTP/1.1 200")
            until(lambda: bool(server.uploads()))
            server.stop()
            server.thread.join(PATIENT)
            assert not server.thread.is_alive()
        assert "probe/late" not in server.holds()
        assert server.uploads() == []
    check_log(caplog, "what has not ended in 0.3 s is cut off; connections: 2")


def refuses(server: Running) -> bool:
    """Whether nobody listens at its port any more: another server could have it."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, int(port)))
            trial.listen()
        except OSError:
            return False
    return True
