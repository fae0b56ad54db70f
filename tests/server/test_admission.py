"""What a server does not let in: with each refusal nothing is written, and nothing stays behind."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from hitsave.objects.digest import ObjectKind, blob_digest
from hitsave.objects.refs import Ref, snapshot_ref
from hitsave.packing.blocks import BlockEntry, EntryKindInPack, encode_block
from hitsave.packing.index import IndexedPack, encode_index
from hitsave.packing.pack import PackBuilder
from hitsave.packing.refsegment import encode_refs
from hitsave.server.access import COOKIE, Role
from hitsave.server.settings import ServerLimits
from tests.remotes.content import format_record
from tests.server.inprocess import CREATE, Running, running

TOKEN = bytes(8) + b"12345678"
SESSION = TOKEN.hex()


def make_pack(
    content: bytes = b"content", named: bytes | None = None, kind: int = EntryKindInPack.BLOB, raw: int | None = None
) -> tuple[IndexedPack, bytes]:
    """A pack with one entry, which may be a lie."""
    builder = PackBuilder(TOKEN)
    codec, stored = encode_block(content)
    entry = BlockEntry(named or blob_digest(content), kind, 0, len(content) if raw is None else raw)
    pieces = [builder.header(), builder.block(codec, stored, len(content) if raw is None else raw, [entry])]
    data = b"".join([*map(bytes, pieces), builder.finish()])
    return IndexedPack(builder.digest, builder.length, builder.table), data


def pack_named(data: bytes) -> tuple[str, bytes]:
    digest = blake3(data).hexdigest()
    return f"packs/{digest[:2]}/{digest}.pack", data


def index_named(data: bytes) -> tuple[str, bytes]:
    return f"indexes/{blake3(data).hexdigest()}-{SESSION}.index", data


def refs_named(data: bytes) -> tuple[str, bytes]:
    return f"refs/{blake3(data).hexdigest()}-{SESSION}.refs", data


PACK, PACK_BYTES = make_pack()
INDEX_BYTES = encode_index([PACK])
REF = Ref(snapshot_ref(blob_digest(b"content")), blob_digest(b"content"), ObjectKind.BLOB)
REFS_BYTES = encode_refs({REF.name: REF})


def a_bomb() -> bytes:
    """A segment that says that it decodes to a gigabyte."""
    return REFS_BYTES[:8] + struct.pack("<Q", 1 << 30) + REFS_BYTES[16:]


REFUSED: dict[str, tuple[str, bytes, int]] = {
    "a pack of another digest": (pack_named(PACK_BYTES)[0], PACK_BYTES + b"x", 422),
    "no pack": (*pack_named(b"not a pack"), 422),
    "an empty pack": (*pack_named(b""), 422),
    "a pack that was cut": (*pack_named(PACK_BYTES[:-1]), 422),
    "a pack with another header": (*pack_named(b"XXXX" + PACK_BYTES[4:]), 422),
    "a pack that lies about a blob": (*pack_named(make_pack(named=blob_digest(b"other"))[1]), 422),
    "a pack that lies about a tree": (*pack_named(make_pack(kind=EntryKindInPack.TREE)[1]), 422),
    "a pack with a recipe that is none": (*pack_named(make_pack(kind=EntryKindInPack.RECIPE)[1]), 422),
    "a pack that decodes to too much": (*pack_named(make_pack(b"0" * 10_000, raw=(256 << 20) + 1)[1]), 422),
    "a pack whose block says another length": (*pack_named(make_pack(b"0" * 10_000, raw=20_000)[1]), 422),
    "an index of another digest": (index_named(INDEX_BYTES)[0], INDEX_BYTES[:-1] + b"\1", 422),
    "no index": (*index_named(b"not an index"), 422),
    "an index that was cut": (*index_named(INDEX_BYTES[:-1]), 422),
    "an index of an impossible entry": (*index_named(INDEX_BYTES[:-4] + b"\x09\0\0\0"), 422),
    "an index of ever so many packs": (*index_named(INDEX_BYTES[:8] + b"\xff\xff\xff\x7f" + INDEX_BYTES[12:]), 422),
    "no ref segment": (*refs_named(b"not a segment"), 422),
    "a ref segment that decodes to too much": (*refs_named(a_bomb()), 422),
    "a ref segment with bytes behind it": (*refs_named(REFS_BYTES + b"x"), 422),
    "no format record": ("format", b"{}", 422),
    "no commit": ("commits/00000000000000000001", b"{}", 422),
    "a commit of many brackets": ("commits/00000000000000000001", b"[" * 1_000_000, 422),
    "a commit of a large number": ("commits/00000000000000000001", b'{"format":' + b"9" * 10_000 + b"}", 422),
    "too much": ("probe/a", b"0" * ((4 << 20) + 1), 413),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("admission") / "data") as server:
        server.put("format", format_record(), server.key())
        yield server


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_what_its_name_says_is_refused(shared: Running, name: str) -> None:
    key, content, status = REFUSED[name]
    before = shared.holds()
    found, said = shared.put(key, content, shared.key(Role.WRITE))
    assert found == status, said
    assert said
    assert "Traceback" not in said
    assert shared.holds() == before
    assert shared.uploads() == []


def test_what_is_right_is_let_in(server: Running) -> None:
    key = server.key(Role.WRITE)
    right = [
        ("format", format_record()),
        pack_named(PACK_BYTES),
        index_named(INDEX_BYTES),
        refs_named(REFS_BYTES),
        ("probe/0az", b""),
        (f"claims/{'0' * 64}-{'1' * 20}", b"{}"),
    ]
    for name, content in right:
        assert server.put(name, content, key) == (201, "")
        assert server.put(name, content, key)[0] == 412
    assert server.holds() == dict(right)
    assert server.uploads() == []


def test_only_create_is_offered(shared: Running) -> None:
    key = shared.key()
    before = shared.holds()
    for headers in ({}, {"If-None-Match": '"etag"'}, {"If-Match": "*"}):
        answer = shared.request("PUT", "/store/v1/keys/probe/a", key=key, headers=headers, body=b"x")
        assert answer.status == 428
    for method in ("POST", "DELETE", "PATCH"):
        assert shared.request(method, "/store/v1/keys/probe/a", key=key, headers=CREATE, body=b"x").status == 405
    pieces = iter([b"without ", b"a length"])
    answer = shared.request("PUT", "/store/v1/keys/probe/a", key=key, headers=CREATE, body=pieces)
    assert answer.status == 411
    assert shared.holds() == before


def test_json_is_small_and_an_object(shared: Running) -> None:
    key = shared.key()
    for body in (b"", b"[]", b"{", b"[" * 100_000, b'{"keys": "format"}', b'{"keys": [1]}', b"\xff"):
        assert shared.request("POST", "/store/v1/delete", key=key, body=body).status == 400, body[:20]
    assert shared.request("POST", "/store/v1/delete", key=key, body=b" " * ((1 << 20) + 1)).status == 413
    assert shared.request("POST", "/store/v1/delete", key=key, json={"keys": ["../admin.key"]}).status == 404


# -- roles


MATRIX: list[tuple[str, str, Role]] = [
    ("GET", "/store/v1/whoami", Role.READ),
    ("GET", "/store/v1/keys", Role.READ),
    ("GET", "/store/v1/scan", Role.READ),
    ("GET", "/store/v1/keys/format", Role.READ),
    ("HEAD", "/store/v1/keys/format", Role.READ),
    ("PUT", "/store/v1/keys/probe/matrix", Role.WRITE),
    ("POST", "/store/v1/delete", Role.WRITE),
    ("POST", "/store/v1/sync", Role.WRITE),
    ("GET", "/store/v1/api-keys", Role.ADMIN),
    ("POST", "/store/v1/api-keys", Role.ADMIN),
    ("DELETE", "/store/v1/api-keys/nothing", Role.ADMIN),
    ("GET", "/store/v1/audit", Role.ADMIN),
]


@pytest.mark.parametrize(("method", "path", "least"), MATRIX)
def test_each_route_says_which_role_it_needs(shared: Running, method: str, path: str, least: Role) -> None:
    answer = shared.request(method, path, key=None)
    assert answer.status == 401
    for role in Role:
        answer = shared.request(method, path, key=shared.key(role))
        if role >= least:
            assert answer.status not in (401, 403), role
        else:
            assert answer.status == 403, role
            assert method == "HEAD" or f"the role {least.name.lower()}" in answer.json()["error"]


def test_every_route_of_the_store_is_in_the_matrix(shared: Running) -> None:
    from hitsave.server import administration, store

    routes = {
        (method, route.path.partition("{")[0])  # type: ignore[attr-defined]
        for route in (*store.routes, *administration.routes)
        for method in route.methods  # type: ignore[attr-defined]
    }
    checked = {(method, path) for method, path, _ in MATRIX}
    unchecked = {
        (method, path)
        for method, path in routes
        if method != "HEAD" and not any(method == one and other.startswith(path) for one, other in checked)
    }
    assert unchecked == set()


def test_a_key_that_ended_opens_nothing(shared: Running) -> None:
    key = shared.key(Role.READ)
    assert shared.request("GET", "/store/v1/whoami", key=key).status == 200
    shared.site.keys.revoke(key.split("_")[1])
    assert shared.request("GET", "/store/v1/whoami", key=key).status == 401
    expired = shared.site.keys.make(Role.READ, "old", expires=1)[0]
    assert shared.request("GET", "/store/v1/whoami", key=expired).status == 401


def test_keys_are_made_and_revoked_and_that_is_written_down(shared: Running) -> None:
    admin = shared.key(label="an admin")
    asked = {"role": "write", "label": "<b>ci</b>", "lifetime": 60}
    made = shared.request("POST", "/store/v1/api-keys", key=admin, json=asked).json()
    assert shared.request("GET", "/store/v1/whoami", key=made["key"]).json()["label"] == "<b>ci</b>"
    listed = shared.request("GET", "/store/v1/api-keys", key=admin)
    assert made["id"] in [key["id"] for key in listed.json()["keys"]]
    secret = made["key"].split("_", 2)[2]
    assert secret not in listed.data.decode()
    assert shared.request("DELETE", f"/store/v1/api-keys/{made['id']}", key=admin).status == 200
    assert shared.request("GET", "/store/v1/whoami", key=made["key"]).status == 401
    log = shared.request("GET", "/store/v1/audit", key=admin).json()["entries"]
    assert [(entry["action"], entry["detail"]["id"], entry["label"]) for entry in log[:2]] == [
        ("revoke key", made["id"], "an admin"),
        ("make key", made["id"], "an admin"),
    ]
    assert secret not in str(log)
    for wrong in ({}, {"role": "root", "label": "x"}, {"role": "read", "label": ""}, {"role": "read", "label": "a\nb"}):
        assert shared.request("POST", "/store/v1/api-keys", key=admin, json=wrong).status == 400
    at_rest = b"".join(path.read_bytes() for path in shared.site.settings.data.glob("server.sqlite*"))
    assert made["id"].encode() in at_rest
    assert secret.encode() not in at_rest


# -- limits


def test_who_asks_too_much_is_told_to_wait(tmp_path: Path) -> None:
    with running(tmp_path / "data", ServerLimits(requests_by_key=5)) as server:
        ann, bob = server.key(), server.key()
        answers = [server.request("GET", "/store/v1/whoami", key=ann) for _ in range(8)]
        assert [answer.status for answer in answers] == [200] * 5 + [429] * 3
        assert int(answers[-1].headers["Retry-After"]) > 0
        assert server.request("GET", "/store/v1/whoami", key=bob).status == 200


def test_who_guesses_keys_is_held_back(tmp_path: Path) -> None:
    with running(tmp_path / "data", ServerLimits(failures=3)) as server:
        guess = "hsk_12345678_" + "x" * 43
        found = [server.request("GET", "/store/v1/whoami", key=guess).status for _ in range(5)]
        assert found == [401] * 3 + [429] * 2
        assert server.request("GET", "/store/v1/whoami", key=server.key()).status == 200


# -- browsers


def test_what_a_browser_sends_has_to_be_meant(shared: Running) -> None:
    cookie = shared.site.sessions.begin(shared.key())
    assert cookie is not None
    session = shared.site.sessions.find(cookie)
    assert session is not None
    sent = {"Cookie": f"{COOKIE}={cookie}"}
    own = {"X-CSRF-Token": session.csrf, "Origin": shared.url, "Sec-Fetch-Site": "same-origin"}

    def delete(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = b'{"keys": ["probe/browser"]}'
        return shared.request("POST", "/store/v1/delete", key=None, headers={**sent, **named}, body=body).status

    assert shared.request("GET", "/store/v1/whoami", key=None, headers=sent).status == 200
    assert delete(**own) == 204
    assert delete() == 403
    assert delete(**{**own, "X-CSRF-Token": "wrong"}) == 403
    assert delete(**{**own, "Origin": "https://evil.example"}) == 403
    assert delete(**{**own, "Origin": "null"}) == 403
    assert delete(**{**own, "Sec-Fetch-Site": "cross-site"}) == 403
    assert delete(**{**own, "Sec-Fetch-Site": "same-site"}) == 403
    shared.site.sessions.end(cookie)
    assert delete(**own) == 401


def test_a_session_ends_with_its_key(shared: Running) -> None:
    key = shared.key(Role.READ)
    cookie = shared.site.sessions.begin(key)
    assert cookie is not None
    assert shared.site.sessions.begin("hsk_12345678_" + "x" * 43) is None
    shared.site.keys.revoke(key.split("_")[1])
    assert shared.site.sessions.find(cookie) is None
