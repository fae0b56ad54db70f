"""A digest depends on names, contents and executable bits, and on nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.world import User, World

FILES = {"b/x": b"1", "a": b"", "b/a": b"22", "c/d/e": b"333" * 100_000}


def digest_of(user: User, path: Path | str) -> str:
    return user.do("hash-object", path).text.strip()


@pytest.mark.skipif(shutil.which("b3sum") is None, reason="b3sum is not installed")
@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 131_071, 131_072, 3_000_001])
def test_a_file_has_the_name_that_b3sum_gives(world: World, size: int) -> None:
    ann = world.user()
    ann.write({"file": os.urandom(size)}, "")
    told = subprocess.run(["b3sum", "--no-names", ann.workspace / "file"], capture_output=True, text=True, check=True)
    assert digest_of(ann, "file") == told.stdout.strip()
    content = (ann.workspace / "file").read_bytes()
    assert ann.do("hash-object", "--stdin", stdin=content).text == told.stdout
    assert ann.do("show-ref").lines == []


def test_path_order_and_times_do_not_count(world: World) -> None:
    ann = world.user()
    ann.write(FILES, "one")
    ann.write(dict(reversed(FILES.items())), "deeper/two")
    for path in (ann.workspace / "deeper/two").rglob("*"):
        os.utime(path, (1, 1))
    (ann.workspace / "deeper/two/a").chmod(0o600)
    first = ann.add("one")
    assert ann.add("deeper/two") == first
    assert digest_of(ann, "one") == first
    ben = world.user("ben", git=False)
    ben.write(FILES, "other")
    assert digest_of(ben, "other") == first
    assert ben.do("hash-object", "other", folder=ben.workspace, environ={"TZ": "Asia/Tokyo"}).text.strip() == first


def test_names_contents_bits_and_empty_directories_count(world: World) -> None:
    ann = world.user()
    ann.write(FILES)
    seen = {digest_of(ann, "data")}
    (ann.data / "a").rename(ann.data / "A")
    seen.add(digest_of(ann, "data"))
    (ann.data / "A").chmod(0o755)
    seen.add(digest_of(ann, "data"))
    (ann.data / "b/a").write_bytes(b"23")
    seen.add(digest_of(ann, "data"))
    (ann.data / "b/empty").mkdir()
    seen.add(digest_of(ann, "data"))
    (ann.data / "b/empty").rename(ann.data / "b/empty2")
    seen.add(digest_of(ann, "data"))
    assert len(seen) == 6


def test_a_digest_stands_everywhere(world: World) -> None:
    ann = world.user(remote=True)
    ann.write(FILES)
    digest = ann.add()
    ann.do("push")
    ben = world.user("ben")
    ben.do("remote", "add", "origin", world.remote)
    for word in (digest, digest[:7], digest[:20]):
        assert ben.do("rev-parse", word).lines == [digest]  # From the remote.
        assert ben.do("cat-file", "-t", word).lines == ["tree"]
        assert ben.do("cat-file", "-s", word).lines == ["300003"]
    assert ben.do("cat-file", f"{digest[:9]}:b/a").out == b"22"
    assert ben.do("ls-tree", f"{digest[:9]}:b").text.count("\n") == 2
    assert ben.do("cat-file", "-e", digest[:9]).text == ""
    assert ben.run("cat-file", "-e", "0" * 64).code == 1
    assert ben.do("rev-parse", "--short", digest).lines == [digest[:12]]
    assert ben.do("cat-file", f"{digest}:c/d/e").out == FILES["c/d/e"]


def test_wrong_digits_are_no_abbreviation(world: World) -> None:
    ann = world.user()
    ann.write(FILES)
    digest = ann.add()
    for word in (digest[:6], digest.upper(), digest + "0", "g" + digest[1:9]):
        assert "is no digest" in ann.refused("rev-parse", word)
