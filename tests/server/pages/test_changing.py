"""Pages that change something: who may, what is asked first, and what is there afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import urllib3

from hitsave.cache.store import Cache
from hitsave.objects.digest import Digest, blob_digest
from hitsave.objects.refs import public_ref
from hitsave.server.access import COOKIE, Role
from hitsave.server.offline import OwnKeys
from hitsave.server.pages.dashboard import FRESH
from tests.server.inprocess import Running, running
from tests.server.pages.exhibits import FILES, FUNCTION, HOSTILE, Visitor, add_dataset, add_run
from tests.server.pages.places import Place


@pytest.fixture(scope="module")
def cache(place: Place) -> Iterator[Cache]:
    """The cache of somebody who pushes to the server."""
    with Cache.open(place.folder / "cache") as cache:
        yield cache


@pytest.fixture(scope="module")
def server(place: Place, cache: Cache) -> Iterator[Running]:
    """A server whose store changes."""
    with cache.intake() as intake:
        refs = [add_run(intake, number) for number in range(4)]
        refs += [add_dataset(intake, {b"a": b"shared", b"b": b"old" * 100}), add_dataset(intake, FILES, "data/other")]
        refs.append(add_dataset(intake, {b"a": b"shared", b"b": b"new" * 100}, age=9))
        intake.publish(refs)
    place.take(cache)
    with running(place.folder / "data", store=place.store, database=place.database) as found:
        yield found


def audited(server: Running) -> list[str]:
    return [entry.action for entry in server.site.audit.entries()]


# -- who may


def test_without_a_key_there_is_nothing_to_see(server: Running) -> None:
    visitor = Visitor(server.url)
    for path in (
        "/experiments",
        "/evaluations",
        "/datasets",
        "/blobs",
        "/links",
        "/keys",
        "/log",
        "/objects/" + "0" * 64,
    ):
        answer = visitor.get(path)
        assert answer.status == 303, path
        assert answer.headers["Location"] == f"/login?next={quote(path, safe='')}"
    for path in ("/delete", "/collection", "/keys", "/links", "/logout"):
        assert visitor.post(path, {}).status == 401, path


@pytest.mark.parametrize("role", [Role.READ, Role.WRITE])
def test_a_role_bounds_what_is_done(server: Running, role: Role) -> None:
    visitor = Visitor.with_role(server, role)
    before = audited(server)
    digest = str(blob_digest(b"shared"))
    for path in ("/keys", "/log", "/collection", f"/blobs/{digest}/delete", "/keys/abc/revoke"):
        assert visitor.get(path).status == 403, path
    fields = {"csrf": _csrf(visitor)}
    for path in ("/keys", "/collection", f"/blobs/{digest}/delete", "/delete?ref=x", "/keys/abc/revoke"):
        assert visitor.post(path, fields).status == 403, path
    allowed = visitor.get(f"/links/new?digest={digest}").status
    assert allowed == (200 if role is Role.WRITE else 403)
    assert "Delete…" not in visitor.get("/blobs").text
    assert audited(server) == before


def _csrf(visitor: Visitor) -> str:
    return visitor.get("/experiments").field("csrf")


def test_a_form_of_another_site_does_nothing(server: Running) -> None:
    visitor = Visitor.with_role(server, Role.ADMIN)
    token = _csrf(visitor)
    fields = {"csrf": token, "label": "made by a stranger", "role": "admin"}
    assert visitor.post("/keys", {**fields, "csrf": "guessed"}).status == 403
    assert visitor.post("/keys", {key: value for key, value in fields.items() if key != "csrf"}).status == 403
    assert visitor.post("/keys", fields, Origin="http://evil.example").status == 403
    assert visitor.post("/keys", fields, **{"Sec-Fetch-Site": "cross-site"}).status == 403
    assert visitor.post("/login", {"key": "x"}, Origin="http://evil.example").status == 403
    assert all(key.label != "made by a stranger" for key in server.site.keys.list())


# -- logging in and out


def test_logging_in_gives_a_cookie_that_no_script_sees(server: Running) -> None:
    visitor = Visitor(server.url)
    refused = visitor.post("/login", {"key": "hsk_12345678_" + "x" * 43})
    assert refused.status == 401
    assert "not known here" in refused.text
    assert "Set-Cookie" not in refused.headers
    key = server.key(Role.READ)
    answer = visitor.post("/login", {"key": key, "next": "/blobs?page=2"})
    cookie = answer.headers["Set-Cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert key not in cookie
    assert answer.headers["Location"] == "/blobs?page=2"
    for next_page in ("//evil.example", "https://evil.example", "/\\evil.example", "/login", "\n/x"):
        assert visitor.post("/login", {"key": key, "next": next_page}).headers["Location"] == "/experiments"


def test_after_logging_out_the_cookie_opens_nothing(server: Running) -> None:
    visitor = Visitor.with_role(server, Role.READ)
    assert visitor.get("/experiments").status == 200
    assert visitor.post("/logout", {"csrf": _csrf(visitor)}).status == 303
    assert visitor.get("/experiments").status == 303


# -- what comes and goes


def test_what_was_pushed_is_there_and_what_was_dropped_is_not(server: Running, cache: Cache, place: Place) -> None:
    admin = Visitor.with_role(server, Role.ADMIN)
    with cache.intake() as intake:
        ref = add_run(intake, 9, function="pkg.later")
        intake.publish([ref])
    place.take(cache, ref)
    _forget_freshness(server)
    assert "pkg.later" in admin.get("/experiments").text
    server.site.repository.upkeep("store").forget([ref.name])
    _forget_freshness(server)
    assert "pkg.later" not in admin.get("/experiments").text
    assert admin.get("/function?name=pkg.later").status == 404


def _forget_freshness(server: Running) -> None:
    """Wait until pages look for news again."""
    time.sleep(FRESH + 0.1)


# -- deleting


def test_a_blob_is_deleted_with_all_that_own_it_and_nothing_else(server: Running, place: Place) -> None:
    admin = Visitor.with_role(server, Role.ADMIN)
    old, shared = blob_digest(b"old" * 100), blob_digest(b"shared")
    before = place.holds()
    question = admin.get(f"/blobs/{old}/delete")
    assert "1 version" in question.text
    assert "300 B" in question.text  # What is freed; `shared` is in another version, too.
    assert "6 B" in question.text
    assert HOSTILE not in question.text
    seal, csrf = question.field("seal"), question.field("csrf")
    other = admin.get(f"/blobs/{shared}/delete").field("seal")
    assert other != seal
    again = admin.post(f"/blobs/{old}/delete", {"csrf": csrf, "seal": other})
    assert "has changed" in again.text
    assert place.holds() == before
    assert admin.post(f"/blobs/{old}/delete", {"csrf": csrf, "seal": seal, "at_once": "yes"}).status == 303
    assert len(before - place.holds()) == 1
    done = admin.get("/collection").text
    assert "Done." in done
    assert "Deleted: 1 file that nobody else has, with 300 B of content" in done  # As the question had it.
    assert "is smaller by" in done
    remote = place.remote()
    assert not remote.latest().has(old)
    assert remote.latest().has(shared)
    assert admin.get(f"/blobs/{old}/delete").status == 404
    assert "delete" in audited(server)


def test_an_evaluation_is_deleted(server: Running, place: Place) -> None:
    admin = Visitor.with_role(server, Role.ADMIN)
    address = admin.get(f"/function?name={quote(FUNCTION)}").links("/evaluations/")[0]
    (path,) = admin.get(address).links("/delete?ref=")
    question = admin.get(path)
    assert "1 evaluation" in question.text
    before = place.holds()
    assert admin.post(path, {"csrf": question.field("csrf"), "seal": question.field("seal")}).status == 303
    assert len(before - place.holds()) == 1
    assert address not in admin.get(f"/function?name={quote(FUNCTION)}").text


# -- keys


def test_a_key_is_made_shown_once_and_revoked(server: Running) -> None:
    admin = Visitor.with_role(server, Role.ADMIN)
    csrf = _csrf(admin)
    key_id = admin.get("/keys").field("id")
    form = {"csrf": csrf, "id": key_id, "label": HOSTILE, "role": "write", "days": "30"}
    made = admin.post("/keys", form)
    assert made.status == 201
    assert made.field("id") != key_id
    again = admin.post("/keys", form)  # As by a reload.
    assert (again.status, "made already" in again.text) == (409, True)
    assert [record.id for record in server.site.keys.list()].count(key_id) == 1
    assert HOSTILE not in made.text
    key = made.text.partition('readonly value="')[2].partition('"')[0]
    principal = server.site.keys.check(key)
    assert principal is not None
    assert (principal.role, principal.label) == (Role.WRITE, HOSTILE)
    assert key not in admin.get("/keys").text
    assert admin.get(f"/keys/{principal.key_id}/revoke").status == 200
    assert admin.post(f"/keys/{principal.key_id}/revoke", {"csrf": csrf}).status == 303
    assert server.site.keys.check(key) is None
    for wrong in (
        {"label": ""},
        {"label": "x" * 300},
        {"role": "root"},
        {"days": "-1"},
        {"days": "999999"},
        {"id": ""},
    ):
        fields = {"csrf": csrf, "id": "aaaa0000", "label": "fine", "role": "read", "days": "", **wrong}
        assert admin.post("/keys", fields).status == 400, wrong


def test_the_last_admin_key_is_revoked_at_the_machine_alone(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        admin = Visitor.with_role(server, Role.ADMIN)
        server.key(Role.WRITE)
        server.site.keys.make(Role.ADMIN, "ended", int(time.time()) - 1)
        (own,) = (
            record for record in server.site.keys.list() if record.holds_at(int(time.time())) and record.role == 3
        )
        address = f"/keys/{own.id}/revoke"
        assert "make another one" in admin.get(address).text
        refused = admin.post(address, {"csrf": _csrf(admin)})
        assert (refused.status, "the last key with the role admin" in refused.text) == (409, True)
        other = server.key()
        assert admin.post(address, {"csrf": _csrf(admin)}).status == 303
        answer = server.request("DELETE", f"/store/v1/api-keys/{other.split('_')[1]}", key=other)
        assert (answer.status, answer.json()["kind"]) == (409, "last admin key")
        assert OwnKeys(server.site.settings).revoke_key(other.split("_")[1])["revoked"]


# -- public links


def test_what_is_public_needs_no_key_until_it_is_taken_back(server: Running, place: Place) -> None:
    writer = Visitor.with_role(server, Role.WRITE)
    csrf = _csrf(writer)
    digest = blob_digest(FILES[b"table.csv"])
    assert "1 file, 19 B" in writer.get(f"/links/new?digest={digest}").text
    assert writer.post("/links", {"csrf": csrf, "digest": str(digest)}).status == 400  # Nobody said that it may.
    assert writer.post("/links", {"csrf": csrf, "digest": str(digest), "allowed": "yes"}).status == 303
    assert str(public_ref(digest)) in place.holds()
    assert str(digest) in writer.get("/links").text
    blobs = writer.get("/blobs").text
    assert (blobs.count(">public</span>"), blobs.count(">public link ")) == (1, 1)
    assert writer.post("/links/take-back", {"csrf": csrf, "digest": str(digest)}).status == 303
    assert str(public_ref(digest)) not in place.holds()
    assert writer.post("/links/take-back", {"csrf": csrf, "digest": str(digest)}).status == 404


def test_the_log_tells_what_was_done_and_nothing_else(server: Running, place: Place) -> None:
    writer = Visitor.with_role(server, Role.WRITE)
    digest = blob_digest(FILES[b"text.txt"])
    fields = {"csrf": _csrf(writer), "digest": str(digest), "allowed": "yes"}
    before = len(audited(server))
    assert writer.post("/links/take-back", fields).status == 404
    assert len(audited(server)) == before
    assert [writer.post("/links", fields).status for _ in range(2)] == [303, 303]
    commits = place.remote().latest().number
    assert writer.post("/links", fields).status == 303
    assert place.remote().latest().number == commits  # There was nothing to do.
    assert [writer.post("/links/take-back", fields).status for _ in range(2)] == [303, 404]
    assert audited(server)[: len(audited(server)) - before] == ["take back", "make public"]


def test_what_a_call_gave_cannot_be_public(server: Running) -> None:
    writer = Visitor.with_role(server, Role.WRITE)
    result = blob_digest(b"result of 1, version 0")
    fields = {"csrf": _csrf(writer), "digest": str(result), "allowed": "yes"}
    assert writer.post("/links", fields).status == 404
    assert writer.post("/links", {**fields, "digest": str(Digest(bytes(32)))}).status == 404


def test_a_cookie_is_no_key_of_clients(server: Running) -> None:
    visitor = Visitor.with_role(server, Role.ADMIN)
    answer = urllib3.request(
        "POST", f"{server.url}/store/v1/delete", headers={"Cookie": f"{COOKIE}={visitor.cookie}"}, body=b'{"keys": []}'
    )
    assert answer.status == 403
