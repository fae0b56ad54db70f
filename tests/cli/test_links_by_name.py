"""Links to public snapshots where they cannot be read: one line says what can be done."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.cli.world import User, World

DIGEST = "ab" * 32


@pytest.fixture
def ann(tmp_path: Path) -> User:
    return World(tmp_path).user()


def test_a_link_that_is_none_is_shown_what_one_is(ann: User) -> None:
    for link in ("http://127.0.0.1/public/abc", "https://127.0.0.1/other"):
        refused = ann.refused("snapshot", "--restore", link, "out")
        assert "these are https://HOST/public/DIGEST or https://HOST/public/DIGEST/PATH" in refused


@pytest.mark.parametrize("command", ["ls", "cat"])
def test_a_link_is_not_looked_into(ann: User, command: str) -> None:
    refused = ann.refused(command, f"https://127.0.0.1/public/{DIGEST}")
    assert "'hitsave snapshot --restore URL OUT'" in refused


def test_a_host_that_does_not_answer(ann: User) -> None:
    with socket.socket() as bound:  # Nobody else takes the port, and nobody listens there.
        bound.bind(("127.0.0.1", 0))
        link = f"http://127.0.0.1:{bound.getsockname()[1]}/public/{DIGEST}"
        refused = ann.refused("snapshot", "--restore", link, "out")
    assert refused.endswith("cannot be reached (Connection refused)")
    assert "Pool" not in refused
