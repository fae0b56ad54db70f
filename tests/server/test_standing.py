"""Who asked with a key that was revoked while the rest of the request came."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from hitsave.server.access import COOKIE
from tests.server.inprocess import Running
from tests.server.pages.exhibits import Visitor
from tests.server.wire import connect, status

KEY_FORM = {"id": "toolate1", "label": "made too late", "role": "admin", "days": ""}
ASKED = [
    ("/store/v1/api-keys", b'{"role": "admin", "label": "made too late", "lifetime": null}'),
    ("/store/v1/delete", b'{"keys": ["probe/kept"]}'),
    ("/keys", urlencode(KEY_FORM).encode()),
    ("/collection", b"at_once=yes"),
]


def late(server: Running, target: str, allowed: bytes, body: bytes, meanwhile: Callable[[], object]) -> bytes:
    """The answer to a request of which the last byte comes after something else has happened."""
    lines = [f"POST {target} HTTP/1.1".encode(), b"Host: x", b"Connection: close", allowed]
    with connect(server) as connection:
        connection.sendall(b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body[:-1]]))
        time.sleep(0.3)  # The server has looked at the key by then.
        meanwhile()
        connection.sendall(body[-1:])
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
    return answer


@pytest.mark.parametrize(("target", "body"), ASKED)
def test_a_key_that_is_revoked_meanwhile_changes_nothing(server: Running, target: str, body: bytes) -> None:
    other = server.key()
    assert server.put("probe/kept", b"x", other)[0] == 201
    for by_cookie in (False, True):
        key = server.key()
        allowed, sent = f"Authorization: Bearer {key}".encode(), body
        if by_cookie:
            visitor = Visitor(server.url)
            cookie = server.site.sessions.begin(key)
            assert cookie is not None
            visitor.cookie = cookie
            sent = body + b"&csrf=" + visitor.get("/keys").field("csrf").encode()
            allowed = f"Cookie: {COOKIE}={cookie}".encode()
            if target.startswith("/store"):
                continue
        keys = server.site.keys.list()
        answer = late(server, target, allowed, sent, lambda key=key: server.site.keys.revoke(key.split("_")[1]))  # type: ignore[misc]
        assert status(answer) == 401
        assert len(server.site.keys.list()) == len(keys)
    assert "probe/kept" in server.holds()
    assert server.site.audit.entries() == []
