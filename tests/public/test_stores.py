"""Public files in every kind of store that hosts can stand before, with names that are awkward in URLs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import urllib3

from hitsave.objects.digest import blob_digest
from hitsave.objects.refs import Ref, public_ref
from hitsave.progress import Silent
from hitsave.remotes.collection.collect import collect
from hitsave.remotes.collection.withdrawing import settle_files, take_back
from hitsave.remotes.public.layout import PUBLIC, PublicUrl, file_key, inner_key, list_key, parse_public_url
from hitsave.remotes.public.places import public_base
from hitsave.remotes.public.publish import CacheSource
from hitsave.remotes.public.settling import PublicSnapshot
from hitsave.remotes.transports.bucketurls import open_bucket, parse_bucket_url
from hitsave.remotes.transports.folder import FolderTransport
from hitsave.remotes.transports.protocol import Transport
from tests.remotes.buckets import fresh_url, in_memory
from tests.remotes.content import ANN, Machine, keep, keep_blob, noise
from tests.remotes.servers import stores

NAMES = [b"a #1?%25.txt", "é ü.txt".encode(), b'~[x]*{y}|^`"', b"100%", b"a+b=c&d", b"%41", b"a;b:c@d$!'(),"]
FILES = {name: b"content of " + name for name in NAMES}

STORES: dict[str, Callable[[Path], Transport]] = {"folder": FolderTransport, "bucket": lambda folder: in_memory()}


@pytest.mark.parametrize("store", STORES)
def test_publishing_taking_back_and_collecting(store: str, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "ann")
    [tree] = keep(machine.cache, {b"deep": FILES, b"empty": b""})
    [other] = keep(machine.cache, {b"other": b"x"})
    blob = keep_blob(machine.cache, noise(300_000))
    transport = STORES[store](tmp_path / "remote")
    remote = machine.remote(transport, create=True)
    wanted: set[str] = {list_key(other.digest), inner_key(other.digest, b"other")}
    for ref in (tree, other, blob):
        machine.push(transport, Ref(public_ref(ref.digest), ref.digest, ref.kind))
        for _ in range(2):  # The second time finds it done.
            assert settle_files(remote, PublicSnapshot(ref.digest, ref.kind), Silent(), CacheSource(machine.cache))
    keys = {inner_key(tree.digest, b"deep/" + name): content for name, content in FILES.items()}
    keys[inner_key(tree.digest, b"empty")] = b""
    assert {key: transport.get(key) for key in keys} == keys
    mine = {*keys, list_key(tree.digest), file_key(blob.digest)}
    assert {*transport.list(PUBLIC)} == mine | wanted
    for ref in (tree, blob):
        assert take_back(remote, ANN, ref.digest, Silent()) is not None
        assert take_back(remote, ANN, ref.digest, Silent()) is None
    assert {*transport.list(PUBLIC)} == wanted
    for key in mine:
        transport.put(key, b"left over")
    assert {found.key for found in collect(remote, ANN, 10**9).public} == mine
    assert {*transport.list(PUBLIC)} == wanted
    machine.cache.close()


def test_a_bucket_gives_files_at_their_links() -> None:
    """What the store makes of a key is what the link to a file names."""
    endpoint = stores.moto()
    url, digest = fresh_url("s3", endpoint), blob_digest(b"")
    base, transport = public_base(url, {}), open_bucket(url, stores.keys())
    assert base is not None
    owner = stores.s3_client(endpoint)
    for name, content in FILES.items():
        transport.put(inner_key(digest, name), content)
        key = parse_bucket_url(url).prefix + inner_key(digest, name)
        link = PublicUrl(base, digest, name)
        assert parse_public_url(str(link)) == link
        assert urllib3.request("GET", str(link)).status == 403
        owner.put_object_acl(Bucket=stores.BUCKET, Key=key, ACL="public-read")
        assert urllib3.request("GET", str(link)).data == content


def test_no_folder_is_left_of_what_was_taken_back(tmp_path: Path) -> None:
    """A web server may list folders; their names are as private as what was in them."""
    transport = FolderTransport(tmp_path)
    above = f"{PUBLIC}{'0' * 64}"
    for key in (f"{above}/a/b/c", f"{above}/a/d", f"{PUBLIC}{'1' * 64}/a"):
        transport.put(key, b"x")
    transport.delete([f"{above}/a/b/c"])
    assert not (tmp_path / above / "a/b").exists()
    assert transport.list(PUBLIC) == [f"{above}/a/d", f"{PUBLIC}{'1' * 64}/a"]
    transport.delete([f"{above}/a/d", f"{PUBLIC}{'1' * 64}/a"])
    assert [*(tmp_path / PUBLIC).iterdir()] == []
    transport.put(f"{above}/a/d", b"x")
    transport.sync()


def test_folders_that_somebody_removes_meanwhile_are_made_again(tmp_path: Path) -> None:
    """Two put a file each into the same folder, and remove it, many times: neither meets an error."""
    keys = [f"{PUBLIC}{'0' * 64}/a/b/{name}" for name in "cd"]
    failed: list[BaseException] = []

    def work(key: str) -> None:
        transport = FolderTransport(tmp_path)
        try:
            for _ in range(300):
                transport.put(key, b"x")
                transport.sync()
                assert transport.get(key) == b"x"
                transport.delete([key])
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert [*(tmp_path / PUBLIC).iterdir()] == []
