"""Whatever is asked of any route, in any way: an answer that is guarded, and is no fault of the server.

Without a key nothing of the store is told, and without one that may write nothing in it changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Route

from hitsave.cache.store import Cache
from hitsave.server import administration, health, pages, public, store
from hitsave.server.access import Role
from hitsave.server.headers import SECURITY_HEADERS
from hitsave.server.settings import ServerLimits
from tests.server.inprocess import Running, running
from tests.server.pages.exhibits import Visitor, fill
from tests.server.pages.places import Place
from tests.server.wire import faults, logged, raw, status

#: In names, values, files and labels of what is private.
SECRETS = (b"alert('x')", b"pkg.other", b"ann0@", b"bob@", b"first key")
ROUTES = [
    route
    for module in (store, administration, health, public, pages)
    for route in module.routes
    if isinstance(route, Route)
]
METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "get", "X"]
ODD = [
    "",
    ".",
    "..",
    "%2e%2e",
    "%252e%252e",
    "..%2f..%2fformat",
    "%00",
    "%0d%0aX-Injected:%20y",
    "%ff",
    "\\..\\x",
    "0",
    "-1",
]
ODD += [
    "9" * 30,
    "9" * 5000,
    "a" * 64,
    "A" * 64,
    "a" * 9000,
    "hsk_aaaaaaaa",
    "format",
    "probe/x",
    "commits/" + "0" * 20,
]
NAMES = (
    "name code where sort way page column x y log e old new ref digest before after next prefix limit archive format"
)
FIELDS = "key next csrf label role days digest allowed seal at_once"
HEADERS = {
    "Host": ["", "[", "evil.com", "a:99999999", "a@b", "x, y"],
    "Accept": ["text/html", "*/*", "application/json", "text/html;q=nan"],
    "Accept-Encoding": ["zstd", "gzip;q=0", "*"],
    "Range": [
        "bytes=0-0",
        "bytes=-1",
        "bytes=5-1",
        "bytes=0-,1-,2-",
        "bytes=" + "0-0," * 500,
        "bytes=" + "9" * 18 + "-",
        "x",
    ],
    "If-None-Match": ["*", '"x"', "a" + " " * 20_000 + "b", '""' + "," * 5000],
    "If-Range": ['"x"', "Mon, 01 Jan 1900 00:00:00 GMT"],
    "Authorization": ["Bearer", "Bearer x", "Basic YTpi", "bearer hsk_aaaaaaaa_" + "b" * 43, "Bearer " + "\xff" * 100],
    "Cookie": [
        "hitsave_session=",
        'hitsave_session="\\400"',
        "a=" + "\\" * 20_000,
        ";" * 5000,
        "hitsave_session=x; hitsave_session=y",
    ],
    "Origin": ["null", "http://[", "http://x", "https://evil", "\xff"],
    "Sec-Fetch-Site": ["cross-site", "same-site", "none", "?"],
    "X-CSRF-Token": ["", "\xff", "x" * 5000],
    "X-Forwarded-For": ["1.2.3.4", "'; DROP TABLE hitsave_keys; --"],
    "X-HTTP-Method-Override": ["DELETE"],
    "Content-Type": [
        "application/json",
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=undefined",
        "multipart/form-data; boundary=B; charset=idna",
    ],
    "Content-Encoding": ["gzip"],
    "Expect": ["100-continue", "x"],
    "Upgrade": ["websocket", "h2c"],
    "Connection": ["keep-alive, upgrade", "close, X-CSRF-Token"],
    "HX-Request": ["true"],
}
FRAMES = ["Content-Length: {0}", "Content-Length: {1}", "Transfer-Encoding: chunked", "Content-Length: 99999999999", ""]
BODIES = [
    b'{"keys": ["format"]}',
    b'{"keys": ["probe/x", "format"], "keys": []}',
    b'{"keys": ["\\ud800", 1, null]}',
    b'{"role": "admin", "label": "x", "lifetime": 1e9}',
    b'{"role": ["read"], "label": {}, "lifetime": true}',
    b"[" * 50_000,
    b'{"a":' * 20_000,
    b'{"lifetime": ' + b"9" * 5000 + b"}",
    b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"ffffffffffffffff\r\n",
]


@dataclass(frozen=True)
class World:
    """A server, and what requests of each role carry to say who they are."""

    server: Running
    proofs: dict[str, list[bytes]]

    def state(self) -> object:
        """Whatever a request without the right to it must not change."""
        records = [(key.id, key.revoked) for key in self.server.site.keys.list()]
        return self.server.holds(), records, self.server.site.audit.entries()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("fuzz")
    with Cache.open(folder / "cache") as cache:
        fill(cache)
        Place.in_folder(folder).take(cache)
    limits = ServerLimits(head_time=1, body_time=0.1, patience=0.2, failures=10**6)
    with running(folder / "data", limits, str(folder / "store")) as server:
        proofs: dict[str, list[bytes]] = {"nobody": []}
        for role in Role:
            proofs[role.name] = [b"Authorization: Bearer " + server.key(role).encode()]
            visitor = Visitor.with_role(server, role)
            found = server.site.sessions.find(visitor.cookie)
            assert found is not None
            token = f"X-CSRF-Token: {found.csrf}".encode()
            proofs[f"{role.name} in a browser"] = [f"Cookie: hitsave_session={visitor.cookie}".encode(), token]
        yield World(server, proofs)


def texts(odd: Sequence[str]) -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(odd), st.text(max_size=12).map(lambda text: quote(text, errors="replace")))


@st.composite
def targets(draw: st.DrawFn) -> str:
    """The path of a route, with anything where it has a parameter, and any query."""
    template = draw(st.one_of(st.sampled_from(ROUTES).map(lambda route: route.path), st.just("/{any}")))
    path = re.sub(r"\{[^}]*\}", lambda _: draw(texts(ODD)), template) + draw(
        st.sampled_from(["", "", "", "/", "//", ";x"])
    )
    parameters = draw(
        st.lists(st.tuples(st.sampled_from(NAMES.split()), texts([*ODD, "x=" + "+" * 900 + "="])), max_size=3)
    )
    query = "&".join(f"{name}={value}" for name, value in parameters)
    return re.sub("[^!-~]", "_", f"{path}?{query}" if query else path) or "/"


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """The bytes of a request, but for who it is from."""
    lines = [f"{draw(st.sampled_from(METHODS))} {draw(targets())} HTTP/{draw(st.sampled_from(['1.1', '1.1', '1.0']))}"]
    names = draw(st.lists(st.sampled_from(sorted(HEADERS)), max_size=3))
    lines += [f"{name}: {draw(st.sampled_from(HEADERS[name]))}" for name in names]
    lines += [] if "Host" in names else ["Host: x"]
    fields = st.lists(st.tuples(st.sampled_from(FIELDS.split()), texts(ODD)), max_size=4)
    form = fields.map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs).encode("ascii", "replace"))
    body = draw(st.one_of(st.just(b""), st.sampled_from(BODIES), form, st.binary(max_size=50)))
    if body:
        frames = draw(st.lists(st.sampled_from(FRAMES), min_size=1, max_size=2))
        lines += [frame.format(len(body), len(body) + 1) for frame in frames if frame]
    return b"\r\n".join([*(line.encode("latin-1") for line in lines), b"%s", b"Connection: close", b"", b""]) + body


def check(world: World, request: bytes, who: str) -> None:
    """Send a request, and look at what became of it."""
    head, _, rest = request.partition(b"%s\r\n")
    proof = b"".join(line + b"\r\n" for line in world.proofs[who])
    before = world.state() if not may_write(who) else None
    with logged() as records:
        answer = raw(world.server, head + proof + rest)
    assert faults(records) == []
    said, _, content = answer.partition(b"\r\n\r\n")
    if answer:
        assert status(answer) < 500 or b"too much is sent at once" in content, answer[:500]
        for name in SECURITY_HEADERS:
            assert f"\r\n{name}: ".lower().encode() in said.lower(), (name, said)
    assert b"\r\nx-injected" not in said.lower()
    assert b"Traceback" not in content
    if who == "nobody":
        assert not any(secret in answer for secret in SECRETS), answer
    if before is not None:
        assert world.state() == before


def may_write(who: str) -> bool:
    return who.startswith(("WRITE", "ADMIN"))


CALLERS = ["nobody", "READ", "WRITE", "ADMIN", "READ in a browser", "WRITE in a browser", "ADMIN in a browser"]
NOT_CHECKED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=250, deadline=None, derandomize=True, database=None, suppress_health_check=NOT_CHECKED)
@given(request=requests(), who=st.sampled_from(CALLERS))
def test_whatever_is_asked(world: World, request: bytes, who: str) -> None:
    check(world, request, who)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(max_examples=20_000, deadline=None, suppress_health_check=NOT_CHECKED)
@given(request=requests(), who=st.sampled_from(CALLERS))
def test_whatever_is_asked_for_long(world: World, request: bytes, who: str) -> None:
    check(world, request, who)


def test_every_route_is_tried() -> None:
    """What is routed must be known here, however it is put together."""
    paths = {route.path for route in ROUTES}
    assert {"/login", "/store/v1/keys/{key:path}", "/public/{path:path}", "/store/v1/audit", "/blobs"} <= paths
