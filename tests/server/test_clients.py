"""The client's side: keys at rest, where they are sent, and what it makes of answers."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hitsave.errors import (
    ConfigError,
    RemoteError,
    RemoteNotFound,
    RemoteRefused,
    RemoteUnavailable,
    RemoteUnsuitable,
)
from hitsave.remotes.transports.credentials import (
    forget,
    is_open_to_others,
    key_for,
    origin_of,
    remember,
)
from hitsave.remotes.transports.protocol import Transport
from hitsave.remotes.transports.retrying import BackOff, Retrying
from hitsave.remotes.transports.web import WebTransport
from hitsave.server.access import Role
from tests.server.inprocess import Running

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def answering(answer: Answer) -> Iterator[tuple[str, list[BaseHTTPRequestHandler]]]:
    """A web server that answers everything in one way, and the requests that it got."""
    got: list[BaseHTTPRequestHandler] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            got.append(self)
            answer(self)

        do_GET = do_PUT = do_POST = handle_any

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()


def reply(status: int, body: bytes | dict[str, str] = b"", **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


# -- keys


def test_keys_are_kept_for_their_owner_and_origin(tmp_path: Path) -> None:
    config = tmp_path / "config"
    path = remember(config, "https://Example.org/path", "one")
    remember(config, "http://example.org", "two")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in config.iterdir()] == [path.name]
    for url in ("https://example.org", "https://EXAMPLE.org:443/other"):
        assert key_for(url, {}, config) == "one"
    for url in ("https://example.org:444", "https://sub.example.org", "http://example.org:8080"):
        assert key_for(url, {}, config) is None
    assert key_for("http://example.org:80/", {}, config) == "two"
    assert forget(config, "https://example.org")
    assert not forget(config, "https://example.org")
    assert key_for("https://example.org", {}, config) is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_environment_comes_first_and_may_say_for_whom(tmp_path: Path) -> None:
    remember(tmp_path, "https://example.org", "stored")
    assert key_for("https://example.org", {"HITSAVE_KEY": "other"}, tmp_path) == "other"
    bound = {"HITSAVE_KEY": "other@https://example.org"}
    assert key_for("https://example.org/x", bound, tmp_path) == "other"
    assert key_for("https://evil.example", bound, tmp_path) is None


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}', "\x00"])
def test_a_damaged_file_of_keys_is_one_line(tmp_path: Path, content: str) -> None:
    path = remember(tmp_path, "https://example.org", "key")
    path.write_text(content)
    with pytest.raises(ConfigError, match="log in again"):
        key_for("https://example.org", {}, tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="permissions are others there")
def test_a_file_of_keys_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    path = remember(tmp_path, "https://example.org", "key")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        key_for("https://example.org", {}, tmp_path)


def test_origins_and_what_is_open() -> None:
    assert origin_of("HTTPS://Host") == "https://host:443"
    assert origin_of("http://[::1]:80/x") == "http://[::1]:80"
    for wrong in ("ftp://host", "https://", "https://host:99999", "host"):
        with pytest.raises(ConfigError):
            origin_of(wrong)
    assert is_open_to_others("http://host")
    for closed in ("https://host", "http://127.0.0.1:8321", "http://localhost", "http://[::1]:1"):
        assert not is_open_to_others(closed)


def test_no_redirect_is_followed_and_no_key_goes_elsewhere() -> None:
    with answering(reply(200, {})) as (other, others):
        moved = reply(302, Location=f"{other}/store/v1/whoami")
        with answering(moved) as (url, got):
            transport = WebTransport(url, "the-key")
            asked: list[Callable[[], object]] = [
                lambda: transport.get("format"),
                lambda: transport.put("probe/a", b"x"),
                lambda: transport.list(""),
                lambda: transport.delete(["probe/a"]),
                transport.whoami,
            ]
            for ask in asked:
                with pytest.raises(RemoteUnsuitable, match="follow no redirect"):
                    ask()
            assert len(got) == len(asked)
            assert all(request.headers["Authorization"] == "Bearer the-key" for request in got)
    assert others == []


# -- answers


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (reply(404, {"error": "there is no x", "kind": "no key"}), RemoteNotFound, "no format"),
        (reply(404, b"<html>not here</html>"), RemoteUnsuitable, "no hitsave server"),
        (reply(500, b"oops"), RemoteUnsuitable, "no hitsave server"),
        (
            reply(401, {"error": "run 'hitsave login URL'", "kind": "unauthenticated"}),
            RemoteRefused,
            "hitsave login http://",
        ),
        (reply(403, {"error": "needs admin\x1b[31m\n", "kind": "forbidden"}), RemoteRefused, r"needs admin\?\[31m\?$"),
        (reply(502, b"<html>"), RemoteUnavailable, "HTTP 502"),
        (reply(503, {"error": "busy", "kind": "busy"}), RemoteUnavailable, "busy"),
        (reply(502, {"error": "failed", "kind": "store"}), RemoteError, "failed"),
        (reply(409, {"error": "no", "kind": "inadmissible"}), RemoteError, "no"),
    ],
)
def test_answers_are_errors_of_one_line(answer: Answer, kind: type[RemoteError], said: str) -> None:
    with answering(answer) as (url, _):
        with pytest.raises(RemoteError, match=said) as caught:
            WebTransport(url, None).get("format")
        assert type(caught.value) is kind
        assert "\n" not in str(caught.value)
        assert url in str(caught.value)


def cut(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'["probe/a",1,1]\n')
    handler.close_connection = True


def test_what_was_cut_off_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    with answering(cut) as (url, _):
        transport = WebTransport(url, None)
        asked: list[Callable[[], object]] = [
            lambda: transport.get("format"),
            lambda: transport.download("format", tmp_path / "file"),
            lambda: [*transport.scan("")],
        ]
        for ask in asked:
            with pytest.raises(RemoteUnavailable):
                ask()
        assert not (tmp_path / "file").exists()


def test_a_list_without_its_end_is_not_the_whole() -> None:
    with answering(reply(200, b'["probe/a",1,1]\n')) as (url, _), pytest.raises(RemoteUnavailable, match="cut off"):
        list(WebTransport(url, None).scan(""))


def test_who_is_told_to_wait_waits_as_long() -> None:
    waits: list[float] = []
    with answering(reply(429, {"error": "slow down", "kind": "too many"}, Retry_After="7")) as (url, got):
        patient: Transport = Retrying(WebTransport(url, None), BackOff(tries=3), sleep=waits.append)
        with pytest.raises(RemoteUnavailable, match="slow down"):
            patient.get("format")
        assert waits == [7.0, 7.0]
        assert len(got) == 3


def test_nobody_there_is_one_line() -> None:
    with answering(reply(200)) as (url, _):
        pass
    with pytest.raises(RemoteUnavailable, match="cannot be reached") as caught:
        WebTransport(url, None, hasty=True).get("format")
    assert "object at 0x" not in str(caught.value)


def test_proxies_are_taken_from_the_environment() -> None:
    with answering(reply(200, b"content")) as (proxy, got):
        environ = {"HTTP_PROXY": proxy.replace("://", "://ann:secret@"), "no_proxy": "inside.example"}
        assert WebTransport("http://outside.example", None, environ=environ).get("format") == b"content"
        assert got[0].path == "http://outside.example/store/v1/keys/format"
        assert got[0].headers["Proxy-Authorization"].startswith("Basic ")
        with pytest.raises(RemoteUnavailable):
            WebTransport("http://inside.example:1", None, hasty=True, environ=environ).get("format")
        assert len(got) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_connections_of_its_own(server: Running) -> None:
    transport = server.transport(Role.WRITE)
    transport.put("probe/parent", b"parent")
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            for number in range(20):
                transport.put(f"probe/c{number}", b"child")
            status = 0
        finally:
            os._exit(status)
    for number in range(20):
        transport.put(f"probe/p{number}", b"parent")
        assert transport.get(f"probe/p{number}") == b"parent"
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert len(transport.list("probe/")) == 41
