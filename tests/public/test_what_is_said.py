"""What a user is told of links: why one does not answer, and what is public again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.world import World
from tests.server.inprocess import running
from tests.server.serving import free_port


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid"])
def test_a_web_server_that_is_not_there_is_said_to_be_so(world: World, host: str) -> None:
    ann = world.user(remote=True)
    base = f"http://{host}:{free_port()}/"
    ann.do("config", "set", "public_url", base)
    ann.write({"a": b"1"})
    said = ann.do("snapshot", "--public", "--yes", "data").said.splitlines()[-1]
    assert said.startswith(f"warning: {base}: cannot be reached (")
    assert "without a key" not in said


def test_undo_says_what_is_public_again(world: World) -> None:
    ann = world.user(remote=True)
    ann.write({"a": b"1", "b": b"2"})
    digests = [ann.do("snapshot", "--public", "--yes", f"data/{name}").lines[-1] for name in "ab"]
    ann.do("forget", "--remote", "origin", *(f"public/{digest}" for digest in digests))
    assert "2 of them are public again, as long as no gc" in ann.do("undo", "--remote").said
    ann.do("snapshot", "--unpublish", digests[0])
    ann.do("undo")
    ann.do("push")
    assert str(digests[0]) not in [path.name for path in (world.remote / "public").iterdir()]
    assert "nothing to undo" in ann.refused("undo", "--remote")  # What was dropped before it was taken back, stays so.


def test_undo_says_what_a_server_gives_again(tmp_path: Path, world: World) -> None:
    with running(tmp_path / "server") as server:
        ann = world.user()
        ann.variables["HITSAVE_KEY"] = server.key()
        ann.do("remote", "add", "origin", server.url)
        ann.write({"a": b"1"})
        digest = ann.do("snapshot", "--public", "--yes", "data/a").lines[-1]
        ann.do("forget", "--remote", "origin", f"public/{digest}")
        assert server.request("GET", f"/public/{digest}", key=None).status == 404
        assert "1 of them is public again, for everybody" in ann.do("undo", "--remote").said
        assert server.request("GET", f"/public/{digest}", key=None).data == b"1"
        ann.do("snapshot", "--unpublish", digest)
        ann.do("undo")
        assert server.request("GET", f"/public/{digest}", key=None).status == 404
