"""The command against a server: what works with a bucket works with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.world import User, World, assert_same
from tests.remotes.content import noise
from tests.server.serving import Served, serving

PATIENT = 60


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def logged_in(user: User, served: Served, role: str = "write") -> User:
    """The same user, with a key of this role, and the server as its remote."""
    key = served.make_key(role, f"{role} of a test")
    user.do("login", served.url, "--key-file", "-", stdin=key.encode() + b"\n")
    return user


def test_a_day_with_a_server(world: World, tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        ann = logged_in(world.user("ann"), served)
        assert "key is needed" in world.user("nobody").refused("remote", "add", "origin", served.url)
        ann.do("remote", "add", "origin", served.url)
        ann.write({"a.txt": b"first\n", "big.bin": noise(3_000_000), "sub/b.txt": b"second\n"})
        digest = ann.add()
        assert "1 ref made" in ann.do("push").said
        assert "nothing was sent" in ann.do("push").said

        ben = logged_in(world.clone(ann), served, "read")
        ben.do("pull")
        assert_same(ann.data, ben.data)
        assert ben.do("cat", f"{digest}:sub/b.txt").out == b"second\n"
        ben.write({"a.txt": b"changed\n"})
        ben.add()
        said = ben.refused("push")
        assert "the role write" in said
        assert served.url in said

        ann.write({"a.txt": b"second version\n"})
        ann.add()
        ann.do("push")
        assert "the role admin" in ann.refused("forget", "--remote", "origin", f"data@{digest[:12]}")
        # Also where there would be nothing to do.
        for user in (ann, ben):
            assert "to collect needs a key with the role admin" in user.refused("gc", "--remote", "origin")
            user.do("gc", "--remote", "origin", "--dry-run")
        admin = logged_in(world.clone(ann, "carol"), served, "admin")
        admin.do("forget", "--remote", "origin", f"data@{digest[:12]}")
        admin.do("undo", "--remote", "origin")
        admin.do("gc", "--remote", "origin", "--keep", "0d")
        admin.do("fsck", "--remote", "origin")
        actions = [entry["action"] for entry in served.request("GET", "/store/v1/audit").json()["entries"]]
        assert "drop refs" in actions

        made = admin.do("keygen", "--role", "read", "--label", "for dan", "--expires", "1d")
        assert made.text.startswith("hsk_")
        assert "for dan" in admin.do("keygen", "--list").text
        admin.do("keygen", "--revoke", made.text.split("_")[1])
        assert "revoked" in ben.refused("fetch", "--remote", "origin", environ={"HITSAVE_KEY": made.text.strip()})
        assert "the role admin" in ben.refused("keygen", "--role", "read", "--label", "more")
        ann.do("logout", served.url)
        assert "hitsave login" in ann.refused("push")
        secrets = [made.text.strip(), served.key]
        for path in (*ann.workspace.rglob("*"), *admin.workspace.rglob("*")):
            assert not path.is_file() or not any(secret.encode() in path.read_bytes() for secret in secrets)


MEMO = """
from hitsave import memo
@memo
def slow(number):
    print("computing")
    return number * 2
print(slow(21))
"""


def test_results_of_functions_are_shared_through_a_server(world: World, served: Served) -> None:
    users = [logged_in(world.user(name), served) for name in ("ann", "ben")]
    said = []
    for user in users:
        user.do("remote", "add", "origin", served.url)
        (user.workspace / "work.py").write_text(MEMO)
        done = subprocess.run(
            [sys.executable, "work.py"], cwd=user.workspace, env=user.environment(), capture_output=True, check=True
        )
        said.append(done.stdout)
        user.do("push")
    assert said == [b"computing\n42\n", b"42\n"]


READ = """
import fsspec, sys
with fsspec.open("hitsave://" + sys.argv[1] + "/sub/b.txt") as file:
    sys.stdout.buffer.write(file.read())
"""


def test_paths_read_through_a_server(world: World, served: Served) -> None:
    ann, ben = (logged_in(world.user(name), served) for name in ("ann", "ben"))
    for user in (ann, ben):
        user.do("remote", "add", "origin", served.url)
    ann.write({"sub/b.txt": b"through fsspec\n", "c.bin": noise(100_000)})
    digest = ann.add()
    ann.do("push")
    done = subprocess.run(
        [sys.executable, "-c", READ, digest], cwd=ben.workspace, env=ben.environment(), capture_output=True, check=True
    )
    assert done.stdout == b"through fsspec\n"


def test_a_server_that_is_killed_in_the_midst_leaves_nothing_torn(world: World, tmp_path: Path) -> None:
    """What was under way is sent again to the next server, which removes what the dead one left."""
    data = tmp_path / "data"
    ann = world.user("ann")
    ann.write({f"{number}.bin": noise(2_000_000, number) for number in range(12)})
    ann.add()
    with serving(data) as served:
        key = served.key
        environ = {"HITSAVE_KEY": key}
        ann.do("remote", "add", "origin", served.url, environ=environ)
        push = subprocess.Popen(
            [sys.executable, "-m", "hitsave", "push"],
            cwd=ann.workspace,
            env=ann.environment(environ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        until = time.monotonic() + PATIENT
        while not _uploads(data) and push.poll() is None and time.monotonic() < until:
            time.sleep(0.002)
        served.stop(signal.SIGKILL)
        push.terminate()
        push.communicate()
    with serving(data) as served:
        assert _uploads(data) == []
        assert not list((data / "store").rglob("commits/*"))
        ann.do("remote", "remove", "origin")
        ann.do("remote", "add", "origin", served.url, environ=environ)
        ann.do("push", environ=environ)
        ann.do("fsck", "--remote", environ=environ)
        assert _uploads(data) == []


def _uploads(data: Path) -> list[Path]:
    return [path for path in data.glob("tmp/*/*") if path.is_file()]
