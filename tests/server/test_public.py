"""What is public, as anybody asks for it: no key, a range, an archive, a page."""

from __future__ import annotations

import io
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
import zstandard

from tests.cli.world import User, World, assert_same
from tests.server.inprocess import Running

FILES = {
    "a #1?.txt": b"0123456789",
    "<script>.html": b"<script>alert(1)</script>",
    "sub dir/large.bin": bytes(range(256)) * 6000,
    "sub dir/empty": b"",
}


@pytest.fixture
def ann(tmp_path: Path, server: Running) -> User:
    user = World(tmp_path / "people").user()
    user.variables["HITSAVE_KEY"] = server.key()
    user.do("remote", "add", "origin", server.url)
    user.write(FILES)
    return user


def test_a_directory_in_every_form(ann: User, server: Running, tmp_path: Path) -> None:
    done = ann.do("snapshot", "--public", "--yes", "data")
    link = done.said.splitlines()[-1]
    path = link.removeprefix(server.url)
    stranger = World(tmp_path / "strangers").user(git=False)
    stranger.do("snapshot", "--restore", link, "out")
    assert_same(ann.data, stranger.workspace / "out")
    answer = server.request("GET", f"{path}/a%20%231%3F.txt", key=None, headers={"Range": "bytes=2-4"})
    assert (answer.status, answer.data, answer.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    assert server.request("GET", f"{path}/a%20%231%3F.txt", key=None, headers={"Range": "bytes=10-"}).status == 416
    tag = answer.headers["ETag"]
    assert server.request("GET", f"{path}/a%20%231%3F.txt", key=None, headers={"If-None-Match": tag}).status == 304
    hostile = server.request("GET", f"{path}/%3Cscript%3E.html", key=None)
    assert hostile.headers["Content-Type"] == "application/octet-stream"
    assert hostile.headers["Content-Security-Policy"].startswith("sandbox")
    page = server.request("GET", f"{path}/", key=None, headers={"Accept": "text/html"})
    assert b"&lt;script&gt;" in page.data
    assert b"<script>" not in page.data
    listing = server.request("GET", path, key=None).json()
    assert [row["name"] for row in listing["entries"]] == ["<script>.html", "a #1?.txt", "sub dir"]
    packed = server.request("GET", f"{path}.tar.zst", key=None).data
    with tarfile.open(fileobj=io.BytesIO(zstandard.ZstdDecompressor().stream_reader(packed).read())) as archive:
        archive.extractall(tmp_path / "tar", filter="data")
    assert_same(ann.data, tmp_path / "tar" / "data")
    with zipfile.ZipFile(io.BytesIO(server.request("GET", f"{path}?archive=zip", key=None).data)) as unpacked:
        assert unpacked.testzip() is None
        assert {name: unpacked.read(f"data/{name}") for name in FILES} == FILES


def test_what_is_private_is_not_there(ann: User, server: Running) -> None:
    digest = ann.do("snapshot", "data").text.strip()
    for path in (
        f"/public/{digest}",
        f"/public/{digest}.trees",
        f"/public/{digest}/a",
        "/public/",
        "/public/../format",
    ):
        assert server.request("GET", path, key=None).status == 404
    link = ann.do("snapshot", "--public", "--yes", "data").said.splitlines()[-1].removeprefix(server.url)
    assert server.request("GET", link, key=None).status == 200
    assert server.request("GET", f"{link}/nothing", key=None).status == 404
    ann.do("snapshot", "--unpublish", "data")
    until = time.monotonic() + 30
    while server.request("GET", link, key=None).status != 404:
        assert time.monotonic() < until
        time.sleep(0.2)
