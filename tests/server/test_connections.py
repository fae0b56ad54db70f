"""Crowds that say nothing, readers that take nothing, and requests of which it is not clear where they end."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hitsave.server.access import Role
from hitsave.server.headers import SECURITY_HEADERS
from hitsave.server.settings import ServerLimits
from tests.remotes.content import format_record
from tests.server.inprocess import Running, running
from tests.server.wire import PATIENT, connect, faults, head, logged, raw, status

LARGE = 20_000_000
CREATE = b"If-None-Match: *"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with little patience, and few places."""
    limits = ServerLimits(body_time=0.5, idle_time=2, connections=12)
    with running(tmp_path_factory.mktemp("connections") / "data", limits) as server:
        assert server.put("format", format_record(), server.key())[0] == 201
        yield server


def test_a_crowd_that_says_nothing_keeps_nobody_out(small: Running) -> None:
    with contextlib.ExitStack() as crowd:
        for number in range(60):
            connection = crowd.enter_context(connect(small))
            connection.sendall(b"GET /login HT"[: number % 13])
        for _ in range(5):
            assert status(raw(small, head("GET", "/store/v1/whoami", small.key()))) == 200


def test_where_all_are_busy_one_more_is_told_so(small: Running) -> None:
    upload = head("PUT", "/store/v1/keys/probe/busy", small.key(), CREATE, b"Content-Length: 4000000")
    with contextlib.ExitStack() as busy, logged() as records:
        crowd = [busy.enter_context(connect(small)) for _ in range(12)]
        for connection in crowd:
            connection.sendall(upload)
        until = time.monotonic() + PATIENT
        while len(small.uploads()) < 12 and time.monotonic() < until:
            for connection in crowd:
                connection.sendall(bytes(70_000))
            time.sleep(0.02)
        answer = raw(small, head("GET", "/login"))
        assert status(answer) == 503
        assert_guarded(answer)
    assert faults(records) == []


def test_a_reader_that_takes_nothing_is_cut_off(small: Running) -> None:
    name = f"packs/ab/ab{'0' * 62}.pack"
    path = small.store / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(LARGE))
    with logged() as records, connect(small) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        connection.sendall(head("GET", f"/store/v1/keys/{name}", small.key()))
        time.sleep(2)
        taken = 0
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(1 << 20):
                taken += len(piece)
    assert taken < LARGE
    assert faults(records) == []
    assert len(small.request("GET", f"/store/v1/keys/{name}", key=small.key()).data) == LARGE


def test_an_answer_does_not_wait_for_a_body_that_never_comes(small: Running, tmp_path: Path) -> None:
    name = f"packs/cd/cd{'0' * 62}.pack"
    path = small.store / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(LARGE))
    with logged() as records, connect(small) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        connection.sendall(head("GET", f"/store/v1/keys/{name}", small.key(), b"Content-Length: 10"))
        taken, begin = 0, time.monotonic()
        while piece := connection.recv(1 << 16):
            taken += len(piece)
            if time.monotonic() < begin + 1:
                time.sleep(0.005)
    assert taken > LARGE
    assert faults(records) == []


def assert_guarded(answer: bytes) -> None:
    said = answer.partition(b"\r\n\r\n")[0].lower()
    for name, value in SECURITY_HEADERS.items():
        assert f"{name}: {value}".lower().encode() in said, (name, answer[:300])


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET /\xc3 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n",
    ],
)
def test_what_is_no_request_is_refused_as_all_else_is(small: Running, request_bytes: bytes) -> None:
    with logged() as records:
        answer = raw(small, request_bytes)
    assert status(answer) == 400
    assert_guarded(answer)
    assert faults(records) == []


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_body_has_one_end(small: Running, method: str) -> None:
    """Where a proxy goes by one length and a server by the other, one request can be hidden in another."""
    target = "/store/v1/delete" if method == "POST" else "/store/v1/keys/probe/hidden"
    lengths = (b"Content-Length: 5", b"Transfer-Encoding: chunked")
    hidden = b"0\r\n\r\n" + head("GET", "/store/v1/whoami", small.key())
    for lines in (lengths, lengths[::-1]):
        answer = raw(small, head(method, target, small.key(), CREATE, *lines) + hidden)
        assert status(answer) == 400
        assert answer.count(b"HTTP/1.1 ") == 1
    assert status(raw(small, head(method, target, small.key(), CREATE, lengths[1]) + b"0\r\n\r\n")) == 411
    assert "probe/hidden" not in small.holds()


def test_a_connection_that_ends_within_a_body_is_no_fault(small: Running) -> None:
    form = b"Content-Type: application/x-www-form-urlencoded"
    with logged() as records:
        for target, method in (("/login", "POST"), ("/store/v1/delete", "POST"), ("/store/v1/keys/probe/cut", "PUT")):
            with connect(small) as connection:
                connection.sendall(head(method, target, small.key(), CREATE, form, b"Content-Length: 100") + b"key=")
                time.sleep(0.1)
        time.sleep(0.3)
    assert faults(records) == []


def test_cookies_are_not_taken_apart_with_patience(small: Running) -> None:
    quoted = b'Cookie: a="' + b"\\" * 30_000 + b'"; hitsave_session="\\377"'
    assert status(raw(small, head("GET", "/store/v1/whoami", "", quoted))) == 401


@pytest.mark.parametrize("origin", ["null", "http://[", "http://elsewhere", "", "\xff", "file://"])
def test_a_form_comes_from_a_page_of_this_server(small: Running, origin: str) -> None:
    key = small.key(Role.READ)
    body = f"key={key}".encode()
    lines = (
        b"Content-Type: application/x-www-form-urlencoded",
        b"Content-Length: %d" % len(body),
        b"Origin: " + origin.encode("latin-1"),
    )
    with logged() as records:
        assert status(raw(small, head("POST", "/login", "", *lines) + body)) == 403
    assert faults(records) == []


@pytest.mark.parametrize("charset", ["undefined", "idna", "raw_unicode_escape", "zlib"])
def test_a_form_is_read_in_one_way(small: Running, charset: str) -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="key"\r\n\r\n\\ud800\xff..\r\n--B--\r\n'
    kind = f"Content-Type: multipart/form-data; boundary=B; charset={charset}".encode()
    with logged() as records:
        sent = head("POST", "/login", "", kind, b"Content-Length: %d" % len(body)) + body
        assert status(raw(small, sent)) == 415
    assert faults(records) == []


def test_a_form_is_small(small: Running) -> None:
    form = b"Content-Type: application/x-www-form-urlencoded"
    for body in (b"key=" + b"a" * 70_000, b"a=b&" * 200):
        for length in (b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked"):
            sent = body if b"Content" in length else b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            assert status(raw(small, head("POST", "/login", "", form, length) + sent)) in (400, 413)


def test_who_has_the_right_key_logs_in_whatever_others_try(small: Running) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    def log_in(key: str) -> int:
        return small.request("POST", "/login", key=None, headers=form, body=f"key={key}").status

    tried = [log_in("hsk_aaaaaaaa_" + "b" * 43) for _ in range(30)]
    assert tried[0] == 401
    assert tried[-1] == 429
    assert log_in(small.key(Role.READ)) == 303
