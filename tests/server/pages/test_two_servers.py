"""Two servers of one store and one database, as people in browsers see them: what is done at one holds at the other."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from hitsave.cache.store import Cache
from hitsave.objects.digest import blob_digest
from hitsave.server.access import Role
from hitsave.server.pages.dashboard import FRESH
from tests.server.inprocess import Running, running
from tests.server.pages.exhibits import FILES, Visitor, add_dataset, add_run
from tests.server.pages.places import Place


@pytest.fixture(scope="module")
def servers(place: Place) -> Iterator[tuple[Running, Running]]:
    """Two, each with a folder of its own."""
    database = place.database or f"sqlite:///{place.folder / 'both.sqlite'}"
    with Cache.open(place.folder / "cache") as cache:
        with cache.intake() as intake:
            runs = [add_run(intake, 1, function="pkg.kept"), add_run(intake, 2, function="pkg.dropped")]
            intake.publish([*runs, add_dataset(intake, FILES, "data/shared")])
        place.take(cache)
    with (
        running(place.folder / "one", store=place.store, database=database) as one,
        running(place.folder / "two", store=place.store, database=database) as two,
    ):
        yield one, two


def at(server: Running, visitor: Visitor) -> Visitor:
    """The same browser at another server."""
    return Visitor(server.url, visitor.cookie)


def test_a_session_is_good_at_both_until_it_ends(servers: tuple[Running, Running]) -> None:
    one, two = servers
    here = Visitor.with_role(one, Role.ADMIN)
    there = at(two, here)
    page = there.get("/keys")
    csrf = page.field("csrf")
    assert here.get("/keys").field("csrf") == csrf
    assert (
        there.post(
            "/keys", {"csrf": csrf, "id": page.field("id"), "label": "made there", "role": "read", "days": ""}
        ).status
        == 201
    )
    assert "made there" in here.get("/keys").text
    assert there.post("/logout", {"csrf": csrf}).status == 303
    assert here.get("/keys").status == 303


def test_a_key_that_is_revoked_at_one_opens_nothing_at_the_other(servers: tuple[Running, Running]) -> None:
    one, two = servers
    key = one.key(Role.READ)
    visitor = Visitor(two.url)
    cookie = visitor.post("/login", {"key": key}).headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    visitor.cookie = cookie
    assert visitor.get("/datasets").status == 200
    assert two.request("GET", "/store/v1/whoami", key=key).status == 200
    admin = Visitor.with_role(one, Role.ADMIN)
    path = f"/keys/{key.split('_')[1]}/revoke"
    assert admin.post(path, {"csrf": admin.get(path).field("csrf")}).status == 303
    assert two.request("GET", "/store/v1/whoami", key=key).status == 401
    assert visitor.get("/datasets").status == 303
    assert visitor.post("/login", {"key": key}).status == 401


def test_what_is_dropped_at_one_is_gone_at_the_other(servers: tuple[Running, Running]) -> None:
    here, there = (Visitor.with_role(server, Role.ADMIN) for server in servers)
    assert "pkg.dropped" in there.get("/experiments").text
    address = here.get("/function?name=pkg.dropped").links("/evaluations/")[0]
    (path,) = here.get(address).links("/delete?ref=")
    question = here.get(path)
    assert here.post(path, {"csrf": question.field("csrf"), "seal": question.field("seal")}).status == 303
    time.sleep(FRESH)
    shown = there.get("/experiments").text
    assert "pkg.dropped" not in shown
    assert "pkg.kept" in shown
    assert there.get(path).status == 404
    assert "delete" in [entry.action for entry in servers[1].site.audit.entries()]


def test_what_is_public_at_one_is_public_at_the_other(servers: tuple[Running, Running]) -> None:
    one, two = servers
    here, there = (Visitor.with_role(server, Role.ADMIN) for server in servers)
    digest = str(blob_digest(FILES[b"table.csv"]))
    address = f"/public/{digest}"
    assert two.request("GET", address, key=None).status == 404
    csrf = here.get("/links").field("csrf")
    assert here.post("/links", {"csrf": csrf, "digest": digest, "allowed": "yes"}).status == 303
    time.sleep(FRESH)
    assert two.request("GET", address, key=None).data == FILES[b"table.csv"]
    taken = there.post("/links/take-back", {"csrf": there.get("/links").field("csrf"), "digest": digest})
    assert taken.status == 303
    assert two.request("GET", address, key=None).status == 404
    time.sleep(FRESH)
    assert one.request("GET", address, key=None).status == 404
