"""A server that knows no keys beneath `public/`, as older ones don't: they give such files out, and keep none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hitsave.server.store import admission
from tests.cli.world import World
from tests.server.inprocess import Running


def test_collecting_and_taking_back(server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = admission._PREFIX.pattern.rpartition("|public/")[0]
    monkeypatch.setattr(admission, "_PREFIX", re.compile(older))
    monkeypatch.setattr(admission, "snapshot_of", lambda text: None)
    assert server.request("GET", "/store/v1/scan?prefix=public/", key=server.key()).status == 400
    ann = World(tmp_path).user()
    ann.do("login", server.url, "--key-file", "-", stdin=server.key().encode() + b"\n")
    ann.do("remote", "add", "origin", server.url)
    ann.write({"a": b"a"})
    ann.add()
    ann.do("push")
    ann.do("snapshot", "--public", "--yes", "data")
    ann.do("gc", "--remote", "origin", "--dry-run")
    ann.do("gc", "--remote", "origin")
    ann.do("snapshot", "--unpublish", "data")
    ann.do("gc", "--remote", "origin", "--keep", "0")
    ann.do("fsck", "--remote", "origin")
