"""Clients that mean harm, or are broken: paths, slow requests, cut ones, and whatever hypothesis thinks of."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitsave.server.access import Role
from hitsave.server.settings import ServerLimits
from tests.remotes.content import format_record
from tests.server.inprocess import Running, running
from tests.server.wire import PATIENT, raw, status


def ask(server: Running, target: bytes, method: bytes = b"GET", headers: bytes = b"", body: bytes = b"") -> bytes:
    """One request with the key of an admin, whatever its target."""
    key = b"Authorization: Bearer " + server.key().encode() + b"\r\n"
    return raw(
        server,
        method + b" " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + key + headers + b"\r\n" + body,
    )


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    limits = ServerLimits(head_time=0.5, body_time=0.5, idle_time=1, uploads=2, patience=0.5)
    with running(tmp_path_factory.mktemp("hostile") / "data", limits) as server:
        server.put("format", format_record(), server.key())
        (server.site.settings.data / "secret.pack").write_bytes(b"secret")
        (server.store / "tmp").mkdir(exist_ok=True)
        (server.store / "tmp" / "unfinished").write_bytes(b"secret")
        yield server


ESCAPES = [
    "../admin.key",
    "../secret.pack",
    "packs/../../secret.pack",
    "packs/../format",
    "%2e%2e/secret.pack",
    "%2e%2e%2fsecret.pack",
    "..%5csecret.pack",
    "..\\secret.pack",
    "/etc/passwd",
    "//etc/passwd",
    "tmp/unfinished",
    "format%00",
    "format%0a",
    "for%6dat",
    "format/",
    "./format",
    "format?x=/../",
    "probe/",
    "probe/A",
    "probe/a/b",
    "probe/a%2fb",
    "commits/1",
    "commits/0000000000000000000\u0661".encode().decode("latin-1"),
    "packs/00/" + "1" * 64 + ".pack",
    "probe/" + "a" * 5000,
    "C:/windows",
    "",
]


@pytest.mark.parametrize("key", ESCAPES)
def test_a_path_that_is_no_key_leads_nowhere(impatient: Running, key: str) -> None:
    before = impatient.holds()
    target = b"/store/v1/keys/" + key.encode("latin-1")
    found = ask(impatient, target)
    if key not in ("format?x=/../", ""):
        assert status(found) in (400, 404), found[:200]
    assert b"secret" not in found
    assert b"root:" not in found
    create = b"If-None-Match: *\r\nContent-Length: 1\r\n"
    assert status(ask(impatient, target, b"PUT", create, b"x")) in (400, 404, 405, 412, 422)
    assert impatient.holds() == before


@pytest.mark.parametrize(
    "prefix",
    ["..", "../", "../../", "packs/../", "packs/%2e%2e/", "packs//", "/", "//", "tmp/", "%00", "a" * 200, "probe/./"],
)
def test_a_listing_looks_nowhere_else(impatient: Running, prefix: str) -> None:
    """What leads out of the store would make it walk through the whole disk, whatever it shows of that."""
    for route in (b"keys?prefix=", b"scan?prefix=", b"keys?after="):
        assert status(ask(impatient, b"/store/v1/" + route + prefix.encode())) == 400


def test_a_listing_shows_keys_alone(impatient: Running) -> None:
    for prefix in (b"", b"t", b"tmp", b"f"):
        for route in (b"keys", b"scan"):
            found = ask(impatient, b"/store/v1/" + route + b"?prefix=" + prefix)
            assert status(found) == 200
            assert b"secret" not in found
            assert b"unfinished" not in found


def test_heads_of_requests_have_an_end(impatient: Running) -> None:
    assert status(raw(impatient, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: " + b"a" * 1_000_000 + b"\r\n\r\n")) == 400
    assert status(raw(impatient, b"nonsense\r\n\r\n")) == 400
    many = b"".join(b"X-%d: a\r\n" % number for number in range(100_000))
    assert status(raw(impatient, b"GET / HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n")) == 400


def test_who_sends_slowly_is_cut_off(impatient: Running) -> None:
    begin = time.monotonic()
    assert raw(impatient, b"") == b""  # Says nothing at all.
    assert status(raw(impatient, b"GET /store/v1/whoami HTTP/1.1\r\nHost: x\r\nX-Slow: aaaaaaaaaaaaaaa", 0.1, 4)) == 0
    head = b"PUT /store/v1/keys/probe/slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIf-None-Match: *\r\n"
    head += b"Authorization: Bearer " + impatient.key().encode() + b"\r\nContent-Length: 100\r\n\r\n"
    assert status(raw(impatient, head)) == 408
    # The second request of a connection has no more time than the first.
    first = b"GET /store/v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n"
    assert raw(impatient, first + b"GET /store", 0.0).count(b"HTTP/1.1") == 1
    assert time.monotonic() - begin < PATIENT
    assert impatient.uploads() == []
    assert "probe/slow" not in impatient.holds()


def test_an_upload_that_is_cut_leaves_nothing(impatient: Running) -> None:
    host, _, port = impatient.url.removeprefix("http://").partition(":")
    head = b"PUT /store/v1/keys/probe/cut HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\nContent-Length: 4000000\r\n"
    head += b"Authorization: Bearer " + impatient.key().encode() + b"\r\n\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head + bytes(2_000_000))
    until = time.monotonic() + PATIENT
    while impatient.uploads() and time.monotonic() < until:
        time.sleep(0.05)
    assert impatient.uploads() == []
    assert "probe/cut" not in impatient.holds()


def test_one_key_cannot_take_all_the_room(impatient: Running) -> None:
    """Of two uploads at once, a key may have one; who comes with another key is let in beside it."""
    host, _, port = impatient.url.removeprefix("http://").partition(":")
    greedy, other = impatient.key(Role.WRITE), impatient.key(Role.WRITE)
    head = b"PUT /store/v1/keys/probe/held HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\nContent-Length: 1000000\r\n"
    head += b"Authorization: Bearer " + greedy.encode() + b"\r\n\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head)
        until = time.monotonic() + PATIENT
        while not impatient.uploads() and time.monotonic() < until:
            connection.sendall(b"x")
            time.sleep(0.01)
        for _ in range(3):  # Keeps the first upload alive: each portion buys time.
            connection.sendall(bytes(70_000))
        assert impatient.put("probe/other", b"x", other)[0] == 201
        connection.sendall(bytes(70_000))
        answer = impatient.request(
            "PUT", "/store/v1/keys/probe/second", key=greedy, headers={"If-None-Match": "*"}, body=b"x"
        )
        assert answer.status in (201, 503)
    assert impatient.request("POST", "/store/v1/delete", key=other, json={"keys": ["probe/other"]}).status == 204


METHODS = st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE"])
PATHS = st.one_of(
    st.sampled_from(["whoami", "keys", "scan", "delete", "sync", "audit", "api-keys", "keys/format", "keys/probe/x"]),
    st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), max_size=40).map(
        lambda text: f"keys/{text}"
    ),
)
QUERIES = st.dictionaries(
    st.sampled_from(["prefix", "after", "limit", "before"]),
    st.text(st.characters(codec="utf-8"), max_size=20),
    max_size=3,
)
HEADERS = st.dictionaries(
    st.sampled_from(["If-None-Match", "Range", "Content-Type", "Accept", "Cookie", "Sec-Fetch-Site", "Origin"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
    max_size=3,
)


@given(
    method=METHODS,
    path=PATHS,
    query=QUERIES,
    headers=HEADERS,
    body=st.one_of(st.none(), st.binary(max_size=200), st.just(b'{"keys": ["probe/x"]}'), st.just(b'{"role": "read"}')),
    role=st.sampled_from([None, *Role]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_asked_the_server_answers(
    impatient: Running,
    method: str,
    path: str,
    query: dict[str, str],
    headers: dict[str, str],
    body: bytes | None,
    role: Role | None,
) -> None:
    keys = _keys_of(impatient)
    lasting = {key for key in impatient.holds() if not key.startswith("probe/")}
    target = f"/store/v1/{path}?{urlencode(query)}" if query else f"/store/v1/{path}"
    answer = impatient.request(method, target, key=keys.get(role), headers=headers, body=body)
    assert answer.status < 500
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert b"Traceback" not in answer.data
    if answer.status >= 400 and method != "HEAD" and "html" not in headers.get("Accept", ""):
        assert answer.json().keys() == {"error", "kind"} or answer.status == 416
    assert {key for key in impatient.holds() if not key.startswith("probe/")} == lasting


_known: dict[str, dict[Role | None, str]] = {}


def _keys_of(server: Running) -> dict[Role | None, str]:
    if server.url not in _known:
        _known[server.url] = {role: server.key(role) for role in Role}
    return _known[server.url]
