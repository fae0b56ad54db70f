"""What is stored is not what it says it is: refs and trees that anybody with a key to write may have made."""

from __future__ import annotations

import contextlib
import io
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import urllib3
import zstandard

from hitsave.cache.intake import Intake
from hitsave.cache.store import Cache
from hitsave.objects.digest import Digest, ObjectKind, blob_digest, parse_digest
from hitsave.objects.encoding import encode_tree, tree_from
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Ref, public_ref, snapshot_ref
from hitsave.packing.blocks import BlockEntry, EntryKindInPack
from hitsave.packing.pack import PackBuilder
from hitsave.server.access import Role
from hitsave.server.pages import datasets
from hitsave.server.public import archives
from hitsave.server.public.archives import ARCHIVES, Content, archive_pieces
from hitsave.server.settings import ServerLimits
from hitsave.server.streaming import Torn
from tests.remotes.content import noise
from tests.server.inprocess import CREATE, Running, running
from tests.server.pages.exhibits import Visitor, add_tree, put
from tests.server.pages.places import Place
from tests.server.wire import PATIENT, connect, faults, head, logged, raw, status

PAGES = ("/experiments", "/evaluations", "/datasets", "/snapshots", "/blobs", "/links")
LATEST = (1 << 63) - 1


@contextlib.contextmanager
def holding(folder: Path, make: Callable[[Intake], Sequence[Ref]]) -> Iterator[tuple[Running, Digest]]:
    """A server of a store with these refs, and the first one's digest."""
    with Cache.open(folder / "cache") as cache:
        with cache.intake() as intake:
            refs = make(intake)
            intake.publish(refs)
        Place.in_folder(folder).take(cache, *refs)
    with running(folder / "data", store=str(folder / "store")) as server:
        yield server, refs[0].digest


def shared(tree: Digest, path: str = "x", created: int = 5, kind: ObjectKind = ObjectKind.TREE) -> list[Ref]:
    """A directory that is a snapshot, and public."""
    return [Ref(name(tree), tree, kind, created, "ann", path) for name in (public_ref, snapshot_ref)]


def forms(server: Running, digest: Digest) -> dict[str, int]:
    """What becomes of each form in which somebody may ask for what is public; 0 where the answer ends early."""
    found = {}
    for form in ("", "/", ".zip", ".tar.zst", ".trees", "/a"):
        try:
            found[form] = server.request("GET", f"/public/{digest}{form}", key=None).status
        except urllib3.exceptions.HTTPError:
            found[form] = 0
    return found


def test_refs_that_say_something_odd_are_shown_all_the_same(tmp_path: Path) -> None:
    odd = [(path, 5) for path in ("é", "%C3%A9", "%", "a%00b", "\u202e", "", "/")]
    odd += [("x", created) for created in (0, 1 << 40, LATEST)]

    def make(intake: Intake) -> list[Ref]:
        trees = [add_tree(intake, {b"a": b"%d" % number}) for number in range(len(odd))]
        return [ref for tree, (path, created) in zip(trees, odd, strict=True) for ref in shared(tree, path, created)]

    with holding(tmp_path, make) as (server, _), logged() as records:
        visitor = Visitor.with_role(server, Role.ADMIN)
        assert [visitor.get(page).status for page in PAGES] == [200] * len(PAGES)
        links = visitor.get("/links").links(f"{server.url}/public/")
        assert len(links) == len(odd)
        for link in links:
            assert set(forms(server, parse_digest(link.rpartition("/")[2])).values()) == {200}
    assert faults(records) == []


@pytest.mark.parametrize("path", ["x/..", "..", ".", "a/%2E%2E", "x/%00", "a" * 256])
def test_an_archive_leads_nowhere_else(tmp_path: Path, path: str) -> None:
    with holding(tmp_path, lambda intake: shared(add_tree(intake, {b"a": b"x"}), path)) as (server, digest):
        packed = server.request("GET", f"/public/{digest}.zip", key=None).data
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            names = archive.namelist()
        packed = server.request("GET", f"/public/{digest}.tar.zst", key=None).data
        plain = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
        with tarfile.open(fileobj=io.BytesIO(plain)) as archive_too:
            names += archive_too.getnames()
    assert {name.partition("/")[0] for name in names} <= {digest.short, "%2E%2E"}


@pytest.mark.parametrize("size", [0, 1, 10**6, LATEST])
def test_a_file_of_another_size_than_its_entry_says(tmp_path: Path, size: int) -> None:
    def make(intake: Intake) -> list[Ref]:
        blob = put(intake, b"hello" * 1000)
        entry = TreeEntry(b"a", EntryKind.FILE, blob.digest, size)
        return shared(intake.add(ObjectKind.TREE, encode_tree(tree_from([entry]))))

    with holding(tmp_path, make) as (server, digest), logged() as records:
        visitor = Visitor.with_role(server, Role.ADMIN)
        for page in (*PAGES, f"/objects/{digest}", f"/objects/{digest}/a"):
            assert visitor.get(page).status == 200
        assert set(forms_by_bytes(server, digest)) == {200}
        cookie = f"Cookie: hitsave_session={visitor.cookie}".encode()
        assert len(raw(server, head("GET", f"/content/{digest}/a", "", cookie))) < 10_000
    assert faults(records) == []


def forms_by_bytes(server: Running, digest: Digest) -> list[int]:
    """The statuses; what follows need not be what was said."""
    return [status(raw(server, head("GET", f"/public/{digest}{form}"))) for form in ("", "/", ".zip", ".tar.zst", "/a")]


@pytest.mark.parametrize("kind", [EntryKind.TREE, EntryKind.SYMLINK])
def test_a_file_that_is_said_to_be_small_is_not_read_whole(
    tmp_path: Path, kind: EntryKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = noise(3 << 20)

    def make(intake: Intake) -> list[Ref]:
        entry = TreeEntry(b"a", kind, put(intake, large).digest, 5)
        return shared(intake.add(ObjectKind.TREE, encode_tree(tree_from([entry]))))

    with holding(tmp_path, make) as (server, digest), logged() as records:
        contents, loaded = server.site.repository.contents, list[Digest]()
        load = contents.load

        def load_and_note(wanted: Digest) -> bytes:
            loaded.append(wanted)
            return load(wanted)

        monkeypatch.setattr(contents, "load", load_and_note)
        visitor = Visitor.with_role(server, Role.ADMIN)
        for page in (*PAGES, f"/objects/{digest}", f"/objects/{digest}/a", f"/objects/{digest}/a/b"):
            assert visitor.get(page).status in (200, 404)
        for form in ("", "/", ".zip", ".tar.zst", "/a", "/a/b"):
            assert status(raw(server, head("GET", f"/public/{digest}{form}"))) in (200, 404, 502)
        assert loaded.count(digest) == 1
        assert blob_digest(large) not in loaded
    assert faults(records) == []


def test_a_ref_of_another_kind_than_what_it_names(tmp_path: Path) -> None:
    def make(intake: Intake) -> list[Ref]:
        return shared(add_tree(intake, {b"a": b"x"}), kind=ObjectKind.BLOB)

    with holding(tmp_path, make) as (server, digest), logged() as records:
        visitor = Visitor.with_role(server, Role.ADMIN)
        assert [visitor.get(page).status for page in PAGES] == [200] * len(PAGES)
        assert set(forms(server, digest).values()) <= {404, 502}
    assert faults(records) == []


def test_what_differs_without_end_is_counted_to_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def doubled(intake: Intake, content: bytes) -> Digest:
        blob = put(intake, content)
        entries = [TreeEntry(name, EntryKind.FILE, blob.digest, 1) for name in (b"a", b"b")]
        for depth in range(40):
            tree = intake.add(ObjectKind.TREE, encode_tree(tree_from(entries)))
            entries = [TreeEntry(name, EntryKind.TREE, tree, 2 << depth, 2 << depth) for name in (b"a", b"b")]
        return tree

    roots: list[Digest] = []

    def make(intake: Intake) -> list[Ref]:
        roots.extend(doubled(intake, content) for content in (b"1", b"2"))
        return [ref for root in roots for ref in shared(root)]

    monkeypatch.setattr(datasets, "MOST_COUNTED", 1500)
    with holding(tmp_path, make) as (server, _), logged() as records:
        visitor = Visitor.with_role(server, Role.ADMIN)
        page = visitor.get(f"/datasets/changes?old={roots[0]}&new={roots[1]}")
        assert page.status == 200
        assert "at least 1,500 changed" in page.text
        assert "1,500 or more are listed" in page.text
        assert [visitor.get(other).status for other in PAGES] == [200] * len(PAGES)
    assert faults(records) == []


def test_directories_without_end_fill_no_memory(tmp_path: Path) -> None:
    def make(intake: Intake) -> list[Ref]:
        blob = put(intake, b"hello")
        entry = TreeEntry(b"a", EntryKind.FILE, blob.digest, 5)
        for _ in range(500):
            tree = intake.add(ObjectKind.TREE, encode_tree(tree_from([entry])))
            entry = TreeEntry(b"d" * 250, EntryKind.TREE, tree, 5, 1)
        return shared(tree)

    with holding(tmp_path, make) as (server, digest), logged() as records:
        found = forms(server, digest)
        assert (found[".zip"], found[".tar.zst"], found[""], found[".trees"]) == (0, 0, 200, 200)
        visitor = Visitor.with_role(server, Role.ADMIN)
        deep = "/".join(["d" * 250] * 40)
        for page in (*PAGES, f"/objects/{digest}/{deep}"):
            assert visitor.get(page).status == 200
    assert faults(records) == []


NAMES = (b"a?b", b"c#d", b"\r\nX: y", b"%2e%2e", b"..%2f", b"\\..\\x", b"\xff", b"<script>.html", b"x.svg", b"C:")


def test_names_are_only_names(tmp_path: Path) -> None:
    def make(intake: Intake) -> list[Ref]:
        inner = add_tree(intake, dict.fromkeys(NAMES, b"<svg onload=alert(1)>"))
        return shared(intake.add(ObjectKind.TREE, encode_tree(tree_from([_folder(b"q?x", inner)]))))

    with holding(tmp_path, make) as (server, digest), logged() as records:
        visitor = Visitor.with_role(server, Role.ADMIN)
        folder = f"{digest}/q%3Fx"
        listed = server.request("GET", f"/public/{folder}/", key=None).json()["entries"]
        assert len(listed) == len(NAMES)
        for url in (row["url"].removeprefix("./") for row in listed):
            answer = server.request("GET", f"/public/{folder}/{url}", key=None)
            assert answer.status == 200
            assert "X" not in answer.headers
            assert answer.headers["Content-Security-Policy"].startswith("sandbox")
            assert answer.headers["Content-Type"] in ("application/octet-stream", "text/plain; charset=utf-8")
            assert "<svg" not in visitor.get(f"/objects/{folder}/{url}").text
            saved = server.request(
                "GET",
                f"/content/{folder}/{url}",
                key=None,
                headers={"Cookie": f"hitsave_session={visitor.cookie}"},
            )
            assert saved.headers["Content-Disposition"].startswith("attachment")
        page = server.request("GET", f"/public/{folder}", key=None, headers={"Accept": "text/html"})
        assert page.status == 307
        assert page.headers["Location"] == f"/public/{folder}/"
    assert faults(records) == []


def _folder(name: bytes, digest: Digest) -> TreeEntry:
    return TreeEntry(name, EntryKind.TREE, digest, len(NAMES) * 21, len(NAMES))


def test_a_head_is_not_a_reading(tmp_path: Path) -> None:
    """An archive of all is made for who takes it; without that, a short request would have the whole store read."""
    with holding(tmp_path, lambda intake: shared(add_tree(intake, {b"a": b"x" * 100_000}))) as (server, digest):
        for path in (server.store / "packs").rglob("*.pack"):
            path.chmod(0o644)
            path.write_bytes(bytes(path.stat().st_size))
        for form in (".zip", ".tar.zst"):
            assert server.request("HEAD", f"/public/{digest}{form}", key=None).status in (200, 502)
            with logged() as records:
                raw(server, head("HEAD", f"/public/{digest}{form}"))
            assert faults(records) == []


def test_an_upload_ends_with_its_key(server: Running) -> None:
    key = server.key(Role.WRITE)
    principal = server.site.keys.check(key)
    assert principal is not None
    content = b"x" * 200_000
    lines = (b"If-None-Match: *", b"Content-Length: %d" % len(content))
    with connect(server) as connection:
        connection.sendall(head("PUT", "/store/v1/keys/probe/late", key, *lines) + content[:100_000])
        until = time.monotonic() + PATIENT
        while not server.uploads() and time.monotonic() < until:
            time.sleep(0.01)
        server.site.keys.revoke(principal.key_id)
        connection.sendall(content[100_000:])
        answer = connection.recv(1 << 16)
    assert status(answer) == 401
    assert "probe/late" not in server.holds()
    assert server.request("PUT", "/store/v1/keys/probe/late", key=key, headers=CREATE, body=b"x").status == 401


@pytest.mark.parametrize("key_id", ["%00", "a" * 9000, "%FF", "aaaaaaaa", "%F0%9F%98%80", "aaaaaaa%0a"])
def test_what_is_no_key_is_not_looked_for(server: Running, key_id: str) -> None:
    key = server.key()
    assert server.request("DELETE", f"/store/v1/api-keys/{key_id}", key=key).status == 404
    assert server.request("GET", f"/keys/{key_id}/revoke", key=key).status == 404
    number = "9" * 5000
    assert server.request("GET", f"/evaluations/{'a' * 64}/figures/{number}", key=key).status == 404


def test_a_directory_of_very_many_is_told_in_pieces(tmp_path: Path) -> None:
    def make(intake: Intake) -> list[Ref]:
        blob = put(intake, b"x").digest
        entries = [TreeEntry(b"%06d" % number, EntryKind.FILE, blob, 1) for number in range(20_001)]
        return shared(intake.add(ObjectKind.TREE, encode_tree(tree_from(entries))))

    with holding(tmp_path, make) as (server, digest), logged() as records:
        found = server.request("GET", f"/public/{digest}", key=None).json()
        assert [row["name"] for row in found["entries"]] == [f"{number:06}" for number in range(20_001)]
        page = server.request("GET", f"/public/{digest}/", key=None, headers={"Accept": "text/html"})
        assert page.status == 413
        assert len(page.data) < 2000
    assert faults(records) == []


def test_who_wants_a_large_directory_at_once_shares_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(intake: Intake) -> list[Ref]:
        blob = put(intake, b"x").digest
        entries = [TreeEntry(b"%06d" % number, EntryKind.FILE, blob, 1) for number in range(20_001)]
        return shared(intake.add(ObjectKind.TREE, encode_tree(tree_from(entries))))

    with holding(tmp_path, make) as (server, digest):
        contents, loaded = server.site.repository.contents, list[Digest]()
        load = contents.load

        def load_and_note(wanted: Digest) -> bytes:
            loaded.append(wanted)
            return load(wanted)

        monkeypatch.setattr(contents, "load", load_and_note)
        with ThreadPoolExecutor(8) as threads:
            asked = [threads.submit(server.request, "GET", f"/public/{digest}/{at:06}", key=None) for at in range(8)]
            assert {answer.result().data for answer in asked} == {b"x"}
        assert loaded.count(digest) == 1


def test_many_small_files_are_sent_together(tmp_path: Path) -> None:
    def make(intake: Intake) -> list[Ref]:
        return shared(add_tree(intake, {b"%d" % number: b"x%d" % number for number in range(500)}))

    with holding(tmp_path, make) as (server, digest):
        source = server.site.repository.contents
        entries = list(source.children(digest).items())
        for kind in ARCHIVES:
            pieces = list(archive_pieces(kind, entries, Content(source.open, source.link_target), "top", 5))
            assert len(pieces) < 20


def test_archives_hold_no_more_together_than_one_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_MOST_LISTED", 3 * 600)
    entry = TreeEntry(b"d", EntryKind.TREE, Digest(bytes(32)), 0, 0)
    content = Content(lambda _: io.BytesIO(), lambda _: b"")
    large = bytes(1 << 20)

    def begun(count: int) -> Iterator[bytes]:
        """An archive of so many entries that is being made as long as it is not closed."""
        file = TreeEntry(b"f", EntryKind.FILE, Digest(bytes(32)), len(large))
        entries = [(b"%d" % number, entry) for number in range(count - 1)]
        one = archive_pieces(
            "zip", [*entries, (b"f", file)], content._replace(open=lambda _: io.BytesIO(large)), "t", 5
        )
        next(one)
        return one

    first = begun(2)
    with pytest.raises(Torn, match="too many"):
        begun(2)
    second = begun(1)
    for one in (first, second):
        assert b"".join(one)
    assert b"".join(begun(3))


def test_a_pack_is_not_hashed_over_and_over(tmp_path: Path) -> None:
    content = bytes(1000)
    builder = PackBuilder(bytes(16))
    entries = [BlockEntry(blob_digest(content[at:]), EntryKindInPack.BLOB, at, 1000 - at) for at in range(100)]
    data = builder.header() + bytes(builder.block(0, content, 1000, entries)) + builder.finish()
    for most, expected in ((50_000, 422), (100_000, 201)):
        with running(tmp_path / f"{most}", ServerLimits(decoded=most)) as server:
            name = f"packs/{str(builder.digest)[:2]}/{builder.digest}.pack"
            assert server.put(name, data, server.key())[0] == expected
