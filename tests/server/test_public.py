"""What is public, as anybody asks for it: no key, a range, an archive, a page."""

from __future__ import annotations

import io
import os
import tarfile
import time
import zipfile
from pathlib import Path
from urllib.parse import urljoin

import pytest
import zstandard

from tests.cli.world import User, World, assert_same
from tests.server.inprocess import Running
from tests.server.wire import head, raw, status

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
    assert "Content-Range" in answer.headers["Access-Control-Expose-Headers"]  # Scripts of pages read parts, too.
    assert server.request("GET", f"{path}/a%20%231%3F.txt", key=None, headers={"Range": "bytes=10-"}).status == 416
    whole = server.request("GET", f"{path}/a%20%231%3F.txt", key=None, headers={"Range": f"bytes=0-{'9' * 30}"})
    assert (whole.status, whole.data) == (206, b"0123456789")
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


def test_what_a_reader_has_already_is_not_sent_again(ann: User, server: Running) -> None:
    link = ann.do("snapshot", "--public", "--yes", "data").said.splitlines()[-1].removeprefix(server.url)
    path = f"{link}/a%20%231%3F.txt"
    tag = server.request("GET", path, key=None).headers["ETag"]
    for has in (tag, f"W/{tag}", f'"x", {tag}', f'"x,y" ,W/{tag},"z"', "*"):
        assert server.request("GET", path, key=None, headers={"If-None-Match": has}).status == 304, has
    lines = (b'If-None-Match: "x"', f"If-None-Match: {tag}".encode(), b"Range: bytes=0-1")
    assert status(raw(server, head("GET", path, "", *lines))) == 304
    for lacks in ('"x"', tag.strip('"'), f"x{tag}", ""):
        assert server.request("GET", path, key=None, headers={"If-None-Match": lacks}).status == 200, lacks
    for still, expected in ((tag, 206), (f"W/{tag}", 200), ('"x"', 200), ("Tue, 24 Nov 2026 00:00:00 GMT", 200)):
        answer = server.request("GET", path, key=None, headers={"If-Range": still, "Range": "bytes=0-1"})
        assert (answer.status, answer.headers["ETag"]) == (expected, tag)


def test_parts_are_for_get_alone_and_one_at_a_time(ann: User, server: Running) -> None:
    link = ann.do("snapshot", "--public", "--yes", "data").said.splitlines()[-1].removeprefix(server.url)
    path = f"{link}/a%20%231%3F.txt"
    whole = server.request("HEAD", path, key=None, headers={"Range": "bytes=2-4"})
    assert (whole.status, whole.headers["Content-Length"], whole.data) == (200, "10", b"")
    for several in ("0-,0-,0-", "0-1,3-4", ",".join(["0-"] * 5000)):
        answer = server.request("GET", path, key=None, headers={"Range": f"bytes={several}"})
        assert (answer.status, answer.data) == (200, b"0123456789")


def test_that_nothing_is_public_yet_is_not_remembered(server: Running) -> None:
    for path in ("/public/", f"/public/{'0' * 64}", f"/public/{'0' * 64}/a.zip"):
        answer = server.request("GET", path, key=None)
        assert (answer.status, answer.headers["Cache-Control"]) == (404, "public, no-cache")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_names_that_are_no_text_are_in_one_kind_of_archive(ann: User, server: Running) -> None:
    names = {b"data/caf\xe8", b"data/caf\xe9"}
    for name in names:
        (ann.data / os.fsdecode(name.removeprefix(b"data/"))).write_bytes(name)
    path = ann.do("snapshot", "--public", "--yes", "data").said.splitlines()[-1].removeprefix(server.url)
    for asked in (f"{path}.zip", f"{path}?archive=zip"):
        refused = server.request("GET", asked, key=None)
        assert (refused.status, refused.json()["kind"]) == (409, "names")
        assert ".tar.zst" in refused.json()["error"]
    assert server.request("GET", f"{path}/sub%20dir.zip", key=None).status == 200
    one = server.request("GET", f"{path}/caf%E9", key=None)
    assert (one.data, one.headers["Content-Disposition"].rpartition("''")[2]) == (b"data/caf\xe9", "caf%25E9")
    packed = server.request("GET", f"{path}.tar.zst", key=None).data
    with tarfile.open(fileobj=io.BytesIO(zstandard.ZstdDecompressor().stream_reader(packed).read())) as archive:
        assert names < set(map(os.fsencode, archive.getnames()))


def test_pictures_are_shown_as_browsers_show_them_and_nothing_can_run(ann: User, server: Running) -> None:
    ann.write({"p.png": b"\x89PNG", "p.svg": b"<svg onload='alert(1)'/>", "p.txt": b"<style>"})
    path = ann.do("snapshot", "--public", "--yes", "data").said.splitlines()[-1].removeprefix(server.url)
    for name, styled in {"p.png": True, "p.svg": False, "p.txt": False}.items():
        headers = server.request("GET", f"{path}/{name}", key=None).headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("sandbox; default-src 'none'; ")
        assert ("style-src 'unsafe-inline'" in policy) is styled
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Type"] != "image/svg+xml"
