"""What is public, as anybody asks for it: no key, a range, an archive, a page."""

from __future__ import annotations

import io
import tarfile
import time
import zipfile
from pathlib import Path
from urllib.parse import urljoin

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


def test_addresses_of_a_listing_lead_where_they_should(ann: User, server: Running) -> None:
    link = ann.do("snapshot", "--public", "--yes", "data").said.splitlines()[-1]
    for asked in (link, f"{link}/"):
        rows = server.request("GET", asked.removeprefix(server.url), key=None).json()["entries"]
        inner = next(urljoin(asked, row["url"]) for row in rows if row["kind"] == "directory")
        for place in (inner, inner.removesuffix("/")):
            found = server.request("GET", place.removeprefix(server.url), key=None).json()["entries"]
            addresses = {row["name"]: urljoin(place, row["url"]).removeprefix(server.url) for row in found}
            assert server.request("GET", addresses["large.bin"], key=None).data == FILES["sub dir/large.bin"]


def test_a_directory_inside_is_had_as_an_archive_by_its_name(ann: User, server: Running) -> None:
    ann.write({"named.zip": b"a file of its own", "named/x": b"x", "d\u00fcn/f\u00fcnf": b"5"})
    path = ann.do("snapshot", "--public", "--yes", "data").said.splitlines()[-1].removeprefix(server.url)
    packed = server.request("GET", f"{path}/sub%20dir.zip", key=None).data
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.read("sub dir/large.bin") == FILES["sub dir/large.bin"]
    assert server.request("GET", f"{path}/named.zip", key=None).data == b"a file of its own"
    for wrong in ("named/x.zip", "nothing.zip", "nothing.tar.zst"):
        assert server.request("GET", f"{path}/{wrong}", key=None).status == 404
    packed = server.request("GET", f"{path}/d%C3%BCn.tar.zst", key=None).data
    unpacked = zstandard.ZstdDecompressor().stream_reader(packed).read()
    assert "d\u00fcn/f\u00fcnf".encode() in unpacked
    assert b"hdrcharset" not in unpacked  # Which GNU tar warns of; only names that are no UTF-8 need it.
