"""Redirects lead to paths of the server that was asked, however a request calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hitsave.server.access import Role
from tests.cli.world import World
from tests.server.inprocess import Running
from tests.server.pages.exhibits import Visitor

ELSEWHERE = {"Host": "evil.example", "Accept": "text/html", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/datasets/", "/datasets"),
        ("/experiments/?a=b", "/experiments?a=b"),
        ("/datasets", "/login?next=%2Fdatasets"),
        ("/public//evil.example", ""),
        ("//evil.example/", ""),
        ("//datasets/", ""),
    ],
)
@pytest.mark.parametrize("host", ["evil.example", "evil//evil.example", "evil.example/a"])
def test_no_redirect_names_a_host(server: Running, path: str, place: str, host: str) -> None:
    answer = server.request("GET", path, key=None, headers={**ELSEWHERE, "Host": host})
    location = answer.headers.get("Location", "")
    assert "://" not in location
    assert not location.startswith("//")
    if host == "evil.example":
        assert location == place


def test_forms_and_public_directories_stay_here(tmp_path: Path, server: Running) -> None:
    ann = World(tmp_path / "people").user()
    ann.variables["HITSAVE_KEY"] = server.key()
    ann.do("remote", "add", "origin", server.url)
    ann.write({"a": b"1"})
    digest = ann.do("snapshot", "--public", "--yes", "data").lines[-1]
    answer = server.request("GET", f"/public/{digest}", key=None, headers=ELSEWHERE)
    assert (answer.status, answer.headers["Location"]) == (307, f"/public/{digest}/")
    login = Visitor(server.url).post("/login", {"key": server.key(Role.READ), "next": "//evil.example"})
    assert (login.status, login.headers["Location"]) == (303, "/experiments")
