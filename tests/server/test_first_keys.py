"""Keys from the command line, beside a server: which server is meant, and what is said of what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.world import User, World
from tests.server.inprocess import Running


@pytest.fixture
def ann(tmp_path: Path, server: Running) -> User:
    """Somebody outside of any project, who has just logged in."""
    user = World(tmp_path / "people").user(git=False)
    user.do("login", server.url, "--key", server.key())
    return user


def test_the_only_server_that_one_is_logged_in_to_will_do(ann: User, server: Running) -> None:
    made = ann.do("keygen", "--role", "read", "--label", "ben")
    assert server.request("GET", "/store/v1/whoami", key=made.text.strip()).json()["label"] == "ben"
    assert len(ann.do("keygen", "--list").lines) == 2
    ann.do("remote", "add", "origin", ann.workspace.parent / "a folder")
    assert len(ann.do("keygen", "--list").lines) == 2
    other = server.url.replace("127.0.0.1", "localhost")
    ann.do("login", other, "--key", server.key())
    said = ann.refused("keygen", "--list")
    assert "127.0.0.1" in said
    assert "localhost" in said
    assert "--url" in said
    assert len(ann.do("keygen", "--list", "--url", other).lines) == 3


def test_who_is_logged_in_nowhere_is_told_so(tmp_path: Path) -> None:
    nobody = World(tmp_path).user(git=False)
    assert "hitsave login URL" in nobody.refused("keygen", "--list")


def test_how_long_a_key_may_hold(ann: User) -> None:
    for age in ("0d", "9999999999d", "-1d", "soon"):
        assert "--expires" in ann.refused("keygen", "--role", "read", "--label", "x", "--expires", age, code=2)
    assert "expires 2" in ann.do("keygen", "--role", "read", "--label", "x", "--expires", "36500d").said


def test_a_server_without_encryption_is_no_mistrusted_one(ann: User, server: Running) -> None:
    url = server.url.replace("http:", "https:")
    said = ann.refused("login", url, "--key", "hsk_x")
    assert "does not speak TLS" in said
    assert server.url in said
