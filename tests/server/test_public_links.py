"""Symbolic links in what is public: told and restored as links, and followed for who asks for what they lead to."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard

from hitsave.cache.intake import Intake
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.encoding import encode_tree, tree_from
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Ref
from tests.cli.world import User, World, assert_same
from tests.public.static import static_host
from tests.server.inprocess import Running
from tests.server.pages.exhibits import add_tree, put
from tests.server.test_liars import LATEST, forms, holding, shared
from tests.server.wire import faults, logged

LINK = {"Accept": "inode/symlink, */*;q=0.5"}
LINKS = {
    "latest.csv": "v2/table.csv",
    "latest": "v2",
    "v1/newer": "../v2",
    "v1/up": "../latest/table.csv",
    "nowhere": "not here",
    "twin": "v2",
    "page.html": "v2/table.csv",
}


@pytest.fixture
def ann(tmp_path: Path) -> User:
    user = World(tmp_path / "people").user()
    user.do("config", "set", "symlinks", "store")
    # The text of a file that is also that of a link, and a target that is as long as a file.
    user.write({"v1/table.csv": b"old", "v2/table.csv": b"new\n" * 500, "v2/text": b"v2", "exact": b"123456789012"})
    for name, target in LINKS.items():
        (user.data / name).symlink_to(target)
    return user


@pytest.fixture
def link(ann: User, server: Running) -> str:
    ann.variables["HITSAVE_KEY"] = server.key()
    ann.do("remote", "add", "origin", server.url)
    return ann.do("snapshot", "--public", "--yes", "data").said.splitlines()[-1]


@pytest.fixture
def stranger(tmp_path: Path) -> User:
    return World(tmp_path / "strangers").user(git=False)


def test_links_are_restored_from_a_server(ann: User, link: str, stranger: User) -> None:
    stranger.do("snapshot", "--restore", link, "out")
    assert_same(ann.data, stranger.workspace / "out")
    assert os.readlink(stranger.workspace / "out" / "v1" / "newer") == "../v2"


def test_links_are_restored_from_static_files(tmp_path: Path, ann: User, stranger: User) -> None:
    folder = tmp_path / "remote"
    folder.mkdir()
    with static_host(folder) as host:
        ann.do("remote", "add", "origin", folder)
        ann.do("config", "set", "public_url", host.url)
        link = ann.do("snapshot", "--public", "--yes", "data").said.splitlines()[-1]
        stranger.do("snapshot", "--restore", link, "out")
        assert_same(ann.data, stranger.workspace / "out")
        check_what_links_lead_to(ann, link, World(tmp_path / "others").user(git=False))


def test_where_a_link_leads_is_checked(tmp_path: Path, ann: User, stranger: User) -> None:
    folder = tmp_path / "remote"
    folder.mkdir()
    with static_host(folder) as host:
        ann.do("remote", "add", "origin", folder)
        ann.do("config", "set", "public_url", host.url)
        link = ann.do("snapshot", "--public", "--yes", "data").said.splitlines()[-1]
        for lie, said in ((b"v1", "another digest"), (b"v22", "longer than 2 bytes")):
            host.instead = lambda path, lie=lie: (200, lie) if path.endswith(("/latest", "/twin", "/text")) else None  # type: ignore[misc]
            for path in ("", "/latest", "/latest/table.csv"):
                assert said in stranger.refused("snapshot", "--restore", link + path, "out")
            assert not (stranger.workspace / "out").exists()


def test_an_address_of_a_link_restores_what_it_leads_to(ann: User, link: str, stranger: User) -> None:
    check_what_links_lead_to(ann, link, stranger)


def check_what_links_lead_to(ann: User, link: str, stranger: User) -> None:
    for number, path in enumerate(("latest.csv", "latest/table.csv", "v1/up", "v1/newer/table.csv")):
        stranger.do("snapshot", "--restore", f"{link}/{path}", f"out{number}")
        place = stranger.workspace / f"out{number}"
        assert (place.is_symlink(), place.read_bytes()) == (False, b"new\n" * 500)
    stranger.do("snapshot", "--restore", f"{link}/latest", "folder")
    assert_same(ann.data / "v2", stranger.workspace / "folder")
    assert "no public/" in stranger.refused("snapshot", "--restore", f"{link}/nowhere", "nothing")


def test_a_server_says_what_is_a_link_and_follows_it(link: str, server: Running) -> None:
    path = link.removeprefix(server.url)
    rows = {row["name"]: row for row in server.request("GET", path, key=None).json()["entries"]}
    told = {name: row["target"] for name, row in rows.items() if row["kind"] == "symlink"}
    assert told == {name: target for name, target in LINKS.items() if "/" not in name}
    assert rows["exact"]["target"] is rows["v1"]["target"] is None
    for name, target in told.items():
        assert rows[name]["digest"] == str(blob_digest(target.encode()))
    assert server.request("GET", f"{path}/latest.csv", key=None).data == b"new\n" * 500
    assert server.request("GET", f"{path}/latest/table.csv", key=None).data == b"new\n" * 500
    assert server.request("GET", f"{path}/nowhere", key=None).status == 404
    page = server.request("GET", f"{path}/", key=None, headers={"Accept": "text/html"}).data.decode()
    for target in told.values():
        assert f"→ {target}" in page


def test_a_link_itself_is_had_by_its_type(link: str, server: Running) -> None:
    path = link.removeprefix(server.url)
    for name in ("latest.csv", "latest", "nowhere", "v1/newer", "page.html"):
        answer = server.request("GET", f"{path}/{name}", key=None, headers=LINK)
        assert (answer.status, answer.data.decode()) == (200, LINKS[name])
        assert answer.headers["ETag"] == f'"{blob_digest(LINKS[name].encode())}"'
        assert answer.headers["Content-Type"] == "inode/symlink"
        assert answer.headers["Vary"] == "Accept"
    assert server.request("GET", f"{path}/v2/text", key=None, headers=LINK).headers["Content-Type"] != "inode/symlink"
    assert server.request("GET", f"{path}/latest/text", key=None, headers=LINK).data == b"v2"
    assert server.request("GET", path, key=None, headers=LINK).json()["entries"]


def test_archives_hold_links_as_links(ann: User, link: str, server: Running, tmp_path: Path) -> None:
    path = link.removeprefix(server.url)
    packed = server.request("GET", f"{path}.tar.zst", key=None).data
    with tarfile.open(fileobj=io.BytesIO(zstandard.ZstdDecompressor().stream_reader(packed).read())) as archive:
        archive.extractall(tmp_path / "tar", filter="data")
    assert_same(ann.data, tmp_path / "tar" / "data")
    with zipfile.ZipFile(io.BytesIO(server.request("GET", f"{path}.zip", key=None).data)) as unpacked:
        told = unpacked.getinfo("data/v1/newer")
        assert (told.external_attr >> 28, unpacked.read(told)) == (0o12, b"../v2")
    inner = server.request("GET", f"{path}/v1.tar.zst", key=None).data
    with tarfile.open(fileobj=io.BytesIO(zstandard.ZstdDecompressor().stream_reader(inner).read())) as archive:
        assert archive.getmember("v1/newer").linkname == "../v2"


def entry(intake: Intake, name: bytes, target: bytes, size: int | None = None) -> TreeEntry:
    """A link, as anybody who may write can make one."""
    blob = put(intake, target)
    return TreeEntry(name, EntryKind.SYMLINK, blob.digest, len(target) if size is None else size)


@pytest.mark.parametrize("target", [b"/etc/passwd", b"../out", b"a/../../out", b"", b"a\0b"])
def test_links_that_lead_out_are_in_no_archive_and_not_restored(tmp_path: Path, stranger: User, target: bytes) -> None:
    def make(intake: Intake) -> list[Ref]:
        return shared(intake.add(ObjectKind.TREE, encode_tree(tree_from([entry(intake, b"a", target)]))))

    with holding(tmp_path, make) as (server, digest), logged() as records:
        for form, expected in (("", 200), ("/", 200), (".trees", 200), ("/a", 404), (".zip", 0), (".tar.zst", 0)):
            assert forms(server, digest)[form] == expected, form
        link = f"{server.url}/public/{digest}"
        assert "out of the directory" in stranger.refused("snapshot", "--restore", link, "out")
        assert "no public/" in stranger.refused("snapshot", "--restore", f"{link}/a", "out")
        assert not (stranger.workspace / "out").exists()
    assert faults(records) == []


@pytest.mark.parametrize("size", [0, 1, 5, 4096, LATEST])
def test_a_link_of_another_length_than_its_entry_says(tmp_path: Path, stranger: User, size: int) -> None:
    def make(intake: Intake) -> list[Ref]:
        return shared(intake.add(ObjectKind.TREE, encode_tree(tree_from([entry(intake, b"a", b"nowhere", size)]))))

    with holding(tmp_path, make) as (server, digest), logged() as records:
        (row,) = server.request("GET", f"/public/{digest}", key=None).json()["entries"]
        assert row["target"] in (None, "nowhere")
        link = f"{server.url}/public/{digest}"
        for path in ("", "/a") if size < 5 else ():  # What is cut short is asked for again, for a while.
            assert stranger.refused("snapshot", "--restore", link + path, "out")
    assert faults(records) == []


@pytest.mark.parametrize("lost", [blob_digest(b"lost"), None])
def test_links_that_are_lost_are_listed_all_the_same(tmp_path: Path, lost: Digest | None) -> None:
    def make(intake: Intake) -> list[Ref]:
        inner = add_tree(intake, {b"a": b"x"})
        broken = TreeEntry(b"lost", EntryKind.SYMLINK, lost or inner, 4)
        return shared(intake.add(ObjectKind.TREE, encode_tree(tree_from([broken, entry(intake, b"well", b"lost")]))))

    with holding(tmp_path, make) as (server, digest), logged() as records:
        rows = server.request("GET", f"/public/{digest}", key=None).json()["entries"]
        assert [(row["name"], row["kind"]) for row in rows] == [("lost", "symlink"), ("well", "symlink")]
        page = server.request("GET", f"/public/{digest}/", key=None, headers={"Accept": "text/html"})
        assert page.status == 200
        for path in ("lost", "well"):
            assert server.request("GET", f"/public/{digest}/{path}", key=None).status in (404, 502)
    assert faults(records) == []
