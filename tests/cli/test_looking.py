"""Looking around in what is elsewhere: lists need trees alone, and a file its own chunks alone."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from tests.cli.test_diff import cloned, commit
from tests.cli.world import User, World
from tests.remotes.servers import stores
from tests.remotes.servers.tiny import Bucket, tiny_bucket

MIB = 1 << 20
LARGE = random.Random(1).randbytes(6 * MIB)
OTHER = random.Random(2).randbytes(6 * MIB)


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with tiny_bucket() as running:
        yield running


@pytest.fixture
def pushed(world: World, bucket: Bucket) -> User:
    """A user without a dataset's data, which lies in a bucket: a hundred directories and two large files."""
    settings = {**stores.keys(), "HITSAVE_REMOTE": f"s3://b/{world.root.name}?endpoint={bucket.endpoint}"}
    ann = world.user()
    ann.variables.update(settings)
    ann.write({f"d{number:02}/{name}": b"%d %s" % (number, name.encode()) for number in range(100) for name in "ab"})
    ann.write({"large": LARGE, "other": OTHER, "deep/er/tool": b"#!\n", "readme": b"about\n"})
    (ann.data / "deep/er/tool").chmod(0o755)
    ann.add()
    ann.do("push")
    commit(ann, "all")
    ben = cloned(world, ann)
    ben.variables.update(settings)
    bucket.requests.clear()
    return ben


def asked_for(bucket: Bucket, part: str) -> int:
    """How many bytes of values with this in their key were asked for."""
    size = 0
    for request in bucket.requests:
        if request.method == "GET" and part in request.path:
            limits = {name.lower(): value for name, value in request.headers.items()}["range"].removeprefix("bytes=")
            first, last = limits.split("-")
            size += int(last) - int(first) + 1
    return size


def test_a_directory_is_listed_without_its_files(pushed: User, bucket: Bucket) -> None:
    lines = pushed.do("ls", "data").lines
    assert lines == [*(f"d{number:02}/" for number in range(100)), "deep/", "large", "other", "readme"]
    assert asked_for(bucket, "packs/") < 100_000
    assert len(bucket.requests) < 10
    assert not [path for path in (pushed.cache / "objects").rglob("*") if path.is_file()]


def test_all_directories_are_listed_in_a_few_requests(pushed: User, bucket: Bucket) -> None:
    lines = pushed.do("ls", "-R", "data").lines
    assert len(lines) == 100 * 3 + 6
    assert lines[:3] == ["d00/", "d00/a", "d00/b"]
    assert lines[-6:] == ["deep/", "deep/er/", "deep/er/tool", "large", "other", "readme"]
    assert asked_for(bucket, "packs/") < 100_000
    assert len(bucket.requests) < 15
    told = pushed.do("ls", "-R", "--json", "HEAD:data").json
    assert [entry["path"] for entry in told] == [line.rstrip("/") for line in lines]
    assert told[-4] == {**told[-4], "path": "deep/er/tool", "kind": "executable", "size": 3, "files": 1}


def test_a_file_is_printed_without_the_others(pushed: User, bucket: Bucket) -> None:
    assert pushed.do("cat", "data/large").out == LARGE
    assert asked_for(bucket, "packs/") < 6 * MIB + 300_000
    bucket.requests.clear()
    digest = pushed.do("rev-parse", "data").text.strip()
    assert pushed.do("cat", f"{digest}:deep/er/tool", "HEAD:data/readme").out == b"#!\nabout\n"
    assert asked_for(bucket, "packs/") < 100_000
    assert pushed.state()["in_cache"] is False
    assert pushed.do("show-ref").out == b""


def test_long_lists_and_single_files(ann: User) -> None:
    ann.add()
    large, sub = (ann.do("rev-parse", f"data/{name}", "--short").text.strip() for name in ("a.txt", "sub"))
    assert ann.do("ls", "-l", "data").lines == [f"file          6  {large}  a.txt", f"tree       1031  {sub}  sub"]
    assert ann.do("ls", "data/a.txt").lines == ["a.txt"]
    assert ann.do("ls", "data/sub").lines == ["b.txt", "c.bin"]
    assert ann.do("ls", ann.state()["digest"][:8] + ":sub/c.bin").lines == ["c.bin"]
    ann.write({"model": b"1"}, "")
    ann.add("model")
    for name in ("model", "model.hitsave"):
        assert ann.do("ls", name).lines == ["model"]


def test_what_cannot_be_looked_at(ann: User) -> None:
    digest = ann.add()
    assert "is a directory; 'hitsave ls data' lists it" in ann.refused("cat", "data/a.txt", "data")
    assert "has no none" in ann.refused("ls", f"{digest}:none")
    assert "is no digest" in ann.refused("ls", "none")
    assert "no object" in ann.refused("cat", "0" * 64)
    ann.refused("ls", code=2)
    ann.refused("cat", code=2)


def test_hostile_names_are_quoted(world: World) -> None:
    ann = world.user()
    name = b"bell\x07 and\nbreak"
    (ann.data).mkdir()
    with open(os.path.join(os.fsencode(ann.data), name), "wb") as file:
        file.write(b"content")
    ann.add()
    assert ann.do("ls", "data").lines == ['"bell\\007 and\\nbreak"']
    assert ann.do("cat", b"data/" + name).out == b"content"


def test_what_is_damaged_here_is_printed_from_the_remote(world: World) -> None:
    user = world.user(remote=True)
    content = random.Random(1).randbytes(300_000)
    user.write({"large": content})
    digest = user.add()
    user.do("push")
    [file] = [path for path in (user.cache / "objects").rglob("*") if path.is_file()]
    file.chmod(0o644)
    file.write_bytes(content[:-1] + b"?")
    assert user.do("cat", f"{digest}:large").out == content
    assert user.do("cat", f"{digest}:large").out == content


def test_a_directory_that_is_damaged_here_is_listed_from_the_remote(world: World) -> None:
    user = world.user(remote=True)
    user.write({"inner/a": b"1", "inner/b": b"2"})
    digest = user.add()
    user.do("push")
    listed = user.do("ls", "-R", digest).lines
    for pack in user.cache.rglob("*.pack"):
        content = bytearray(pack.read_bytes())
        content[40] ^= 1
        pack.chmod(0o644)
        pack.write_bytes(content)
    assert user.do("ls", "-R", digest).lines == listed
