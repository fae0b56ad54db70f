"""Public snapshots by GET alone, from a host that knows nothing of hitsave; and from one that lies."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hitsave.remotes.public.layout import PUBLIC
from tests.cli.world import User, World, assert_same
from tests.public.static import StaticHost, static_host

FILES = {
    "a #1?%25.txt": b"hash, question mark, percent\n",
    "sub dir/é.bin": bytes(range(256)) * 1200,
    "sub dir/twin.bin": bytes(range(256)) * 1200,
    "sub dir/deeper/empty": b"",
    "big": os.urandom(1_500_000),
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def host(world: World) -> Iterator[StaticHost]:
    world.remote.mkdir()
    with static_host(world.remote) as host:
        yield host


@pytest.fixture
def ann(world: World, host: StaticHost) -> User:
    user = world.user(remote=True)
    user.do("config", "set", "public_url", host.url)
    user.write(FILES)
    return user


def publish(user: User, path: str = "data") -> tuple[str, str]:
    """The digest and the link."""
    done = user.do("snapshot", "--public", "--yes", path)
    link = done.said.splitlines()[-1]
    assert link.endswith(f"/public/{done.text.strip()}")
    return done.text.strip(), link


def keys(world: World) -> list[str]:
    found = (world.remote / PUBLIC).rglob("*")
    return sorted(path.relative_to(world.remote).as_posix() for path in found if path.is_file())


def test_a_stranger_restores_a_directory(world: World, host: StaticHost, ann: User) -> None:
    digest, link = publish(ann)
    stranger = world.user("stranger", git=False)
    host.asked.clear()
    stranger.do("snapshot", "--restore", link, "out")
    assert_same(ann.data, stranger.workspace / "out")
    # Once each: the list of trees, and every distinct content.
    assert len(host.asked) == len(set(host.asked)) == 1 + len(set(FILES.values()))
    assert all(path.startswith(f"public/{digest}") for path in host.asked)
    host.asked.clear()
    stranger.do("snapshot", "--restore", link + "/sub%20dir/", "part")
    assert_same(ann.data / "sub dir", stranger.workspace / "part")
    stranger.do("snapshot", "--restore", f"{link}/a%20%231%3F%2525.txt", "one")
    assert (stranger.workspace / "one").read_bytes() == FILES["a #1?%25.txt"]
    assert set(host.asked) == {f"public/{digest}.trees"}  # The rest is in the cache.
    assert stranger.do("gc", "--json").json["objects"] == []


def test_a_stranger_restores_a_file(world: World, host: StaticHost, ann: User) -> None:
    stranger = world.user("stranger", git=False)
    for name in ("a #1?%25.txt", "big", "sub dir/deeper/empty"):
        _, link = publish(ann, f"data/{name}")
        stranger.do("snapshot", "--restore", link, f"out{len(name)}")
        assert (stranger.workspace / f"out{len(name)}").read_bytes() == FILES[name]
    assert "no public/" in stranger.refused("snapshot", "--restore", f"{link}/inside", "nothing")


def test_what_is_taken_back_is_gone(world: World, host: StaticHost, ann: User) -> None:
    digest, link = publish(ann)
    other, _ = publish(ann, "data/big")
    assert "is private again" in ann.do("snapshot", "--unpublish", "data").said
    assert keys(world) == [f"public/{other}"]
    stranger = world.user("stranger", git=False)
    assert "no public/" in stranger.refused("snapshot", "--restore", link, "out")
    assert f"public/{digest}" not in ann.do("show-ref").text + ann.do("show-ref", "--remote").text
    assert "is not public" in ann.refused("snapshot", "--unpublish", digest[:12])
    ann.do("gc", "--keep", "0")
    ann.do("snapshot", "--restore", digest[:12], "again")
    assert_same(ann.data, ann.workspace / "again")


def test_an_interrupted_publication_is_repeated(world: World, host: StaticHost, ann: User) -> None:
    digest, link = publish(ann)
    for key in (f"public/{digest}.trees", f"public/{digest}/big"):
        (world.remote / key).unlink()
    stranger = world.user("stranger", git=False)
    assert "no public/" in stranger.refused("snapshot", "--restore", link, "out")
    publish(ann)
    stranger.do("snapshot", "--restore", link, "out")
    assert_same(ann.data, stranger.workspace / "out")


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        (lambda path: (200, b"hsl\x02") if path.endswith(".trees") else None, "magic bytes"),
        (lambda path: (200, b"hsl\x01") if path.endswith(".trees") else None, "ends before its last tree"),
        (lambda path: (200, b"x" * 1_500_000) if path.endswith("/big") else None, "another digest"),
        (lambda path: (200, b"x" * 1_500_001) if path.endswith("/big") else None, "longer than 1500000 bytes"),
        (lambda path: (200, b"short") if path.endswith("/big") else None, "5 bytes instead of 1500000"),
        (lambda path: (200, b"HASH, question mark, percent\n") if "#1" in path else None, "another digest"),
        (lambda path: (403, b"") if path.endswith("/big") else None, "is not there, or not public"),
        (lambda path: (302, b""), "no answer to a GET"),
    ],
)
def test_a_host_that_lies(world: World, host: StaticHost, ann: User, lie: object, said: str) -> None:
    _, link = publish(ann)
    host.instead = lie  # type: ignore[assignment]
    stranger = world.user("stranger", git=False)
    assert said in stranger.refused("snapshot", "--restore", link, "out")
    assert not (stranger.workspace / "out").exists()
    assert stranger.do("show-ref").out == b""
    host.instead = lambda path: None
    stranger.do("snapshot", "--restore", link, "out")
    assert_same(ann.data, stranger.workspace / "out")


def test_a_host_that_stumbles_is_asked_again(world: World, host: StaticHost, ann: User) -> None:
    _, link = publish(ann)
    failed: set[str] = set()

    def once(path: str) -> tuple[int, bytes] | None:
        first = path not in failed
        failed.add(path)
        return (503, b"") if first else None

    host.instead = once
    stranger = world.user("stranger", git=False)
    stranger.do("snapshot", "--restore", link, "out")
    assert_same(ann.data, stranger.workspace / "out")


def test_who_publishes_is_asked_about_rights(world: World, host: StaticHost, ann: User) -> None:
    assert "--yes" in ann.refused("snapshot", "--public", "data", code=2)
    assert keys(world) == []
    for word, code in (("n\n", 1), ("y\n", 0)):
        master, slave = pty.openpty()
        command = [sys.executable, "-m", "hitsave", "snapshot", "--public", "data/big"]
        with subprocess.Popen(
            command, cwd=ann.workspace, env=ann.environment(), stdin=slave, stdout=-1, stderr=-1
        ) as run:
            os.close(slave)
            os.write(master, word.encode())
            _, said = run.communicate(timeout=60)
            os.close(master)
        assert run.returncode == code
        assert b"licence" in said
    assert len(keys(world)) == 1


def test_names_that_no_link_can_have_are_refused_before_anything_is_public(world: World, ann: User) -> None:
    (ann.data / os.fsdecode(b"\xff")).write_bytes(b"")
    assert "cannot stand in a link" in ann.refused("snapshot", "--public", "--yes", "data")
    assert keys(world) == []
    assert "public/" not in ann.do("show-ref").text


def test_without_a_remote_nothing_can_be_public(world: World) -> None:
    lone = world.user("lone")
    lone.write({"a": b"x"})
    assert "no remote is set" in lone.refused("snapshot", "--public", "--yes", "data")


def test_a_collection_removes_what_an_interrupted_taking_back_has_left(
    world: World, host: StaticHost, ann: User
) -> None:
    digest, link = publish(ann)
    other, _ = publish(ann, "data/big")
    left = {key: (world.remote / key).read_bytes() for key in keys(world) if digest in key}
    ann.do("snapshot", "--unpublish", "data")
    for key, content in left.items():
        (world.remote / key).parent.mkdir(parents=True, exist_ok=True)
        (world.remote / key).write_bytes(content)
    stranger = world.user("stranger", git=False)
    told = ann.do("gc", "--remote", "--dry-run")
    assert told.text.splitlines() == sorted(left)
    assert f"{len(left)} files" in told.said
    assert ann.do("gc", "--remote", "--dry-run", "--json").json["public"] == sorted(left)
    assert keys(world) == sorted([*left, f"public/{other}"])
    assert ann.do("gc", "--remote").text == told.text
    assert keys(world) == [f"public/{other}"]
    assert "no public/" in stranger.refused("snapshot", "--restore", link, "out")
    assert ann.do("gc", "--remote", "--json").json["public"] == []


def test_who_takes_back_again_removes_what_was_left(world: World, host: StaticHost, ann: User) -> None:
    digest, _ = publish(ann, "data/big")
    ann.do("snapshot", "--unpublish", digest)
    (world.remote / PUBLIC / digest).write_bytes(FILES["big"])
    assert "is not public" in ann.refused("snapshot", "--unpublish", digest)
    assert keys(world) == []


def test_others_take_back_what_is_not_in_their_cache(world: World, host: StaticHost, ann: User) -> None:
    digest, link = publish(ann)
    bob = world.user("bob", remote=True)
    assert "is private again" in bob.do("snapshot", "--unpublish", digest[:12]).said
    assert keys(world) == []
    ann.do("push")
    assert f"public/{digest}" not in ann.do("show-ref", "--remote").text
    stranger = world.user("stranger", git=False)
    assert "no public/" in stranger.refused("snapshot", "--restore", link, "out")
    publish(ann)
    stranger.do("snapshot", "--restore", link, "out")
    assert_same(ann.data, stranger.workspace / "out")
