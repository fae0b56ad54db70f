"""Addresses with names that cannot be decoded and encoded again: what leads on from a page leads to the same place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from hitsave.cache.intake import Intake
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import encode_tree, tree_from
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Ref
from hitsave.server.access import Role
from tests.server.inprocess import Running
from tests.server.pages.exhibits import Visitor, add_tree
from tests.server.test_liars import holding, shared
from tests.server.wire import head, raw, status

NAMES = {"%2541": b"%41", "%FF": b"\xff", "a%3Fb": b"a?b", "a%23b": b"a#b", "x%20y": b"x y", "a%5Cb": b"a\\b"}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Digest]]:
    def make(intake: Intake) -> list[Ref]:
        many = add_tree(intake, {b"%03d" % number: b"x" for number in range(201)})
        entries = [TreeEntry(name, EntryKind.TREE, many, 201, 201) for name in NAMES.values()]
        return shared(intake.add(ObjectKind.TREE, encode_tree(tree_from(entries))))

    with holding(Path(tmp_path_factory.mktemp("odd")), make) as found:
        yield found


@pytest.mark.parametrize("name", NAMES)
def test_a_public_directory_is_led_to_with_a_slash(odd: tuple[Running, Digest], name: str) -> None:
    server, digest = odd
    answer = raw(server, head("GET", f"/public/{digest}/{name}", "", b"Accept: text/html"))
    location = re.search(rb"(?i)\r\nlocation: (.*)\r\n", answer)
    assert location is not None
    assert location[1].decode() == f"/public/{digest}/{name}/"
    assert status(raw(server, head("GET", location[1].decode(), "", b"Accept: text/html"))) == 200


@pytest.mark.parametrize("name", NAMES)
def test_pages_and_a_login_lead_back(odd: tuple[Running, Digest], name: str) -> None:
    server, digest = odd
    visitor = Visitor.with_role(server, Role.READ)
    links = visitor.get(f"/objects/{digest}/{name}").links(f"/objects/{digest}/{name}?")
    assert links
    for link in links:
        assert "200" in visitor.get(link).text
    late = visitor.get(f"/objects/{digest}/{name}?page=99").text
    assert ("page 2" in late, "page 99" in late, ">200<" in late) == (True, False, True)
    asked = f"/objects/{digest}/{name}?page=2"
    login = Visitor(server.url).get(asked)
    assert login.status == 303
    assert parse_qs(urlsplit(login.headers["Location"]).query)["next"] == [asked]
    answer = Visitor(server.url).post("/login", {"key": server.key(), "next": asked})
    assert answer.headers["Location"] == asked
