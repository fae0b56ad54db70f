"""What a push sends and what a fetch brings: all that was asked for, and no more than that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitsave.cache.intake import WHOLE_FROM
from hitsave.cache.store import Cache
from hitsave.errors import CorruptObject, ObjectNotFound
from hitsave.maintenance.collect import collect, forget
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.model import EntryKind
from hitsave.objects.refs import Ref, snapshot_ref
from hitsave.packing.blocks import BLOCK_TARGET, BlockEntry, Codec
from hitsave.packing.commit import decode_commit
from hitsave.packing.pack import NONCE_SIZE, PackBuilder
from hitsave.packing.packreader import pack_contents, read_table
from hitsave.progress import Silent
from hitsave.remotes.reading.fetch import Fetched, fetch
from hitsave.remotes.reading.reader import Reader, Shelf
from hitsave.remotes.transports.folder import FolderTransport
from hitsave.remotes.writing.push import Pushed, push
from tests.remotes.conftest import NewMachine
from tests.remotes.content import (
    ANN,
    SMALL_CHUNKS,
    Folder,
    Machine,
    Special,
    check_remote,
    keep,
    keep_blob,
    memory_remote,
    noise,
    put_folder,
    read_folder,
)
from tests.remotes.transports import CountingTransport, MemoryTransport

MIXED: Folder = {
    b"empty": b"",
    b"small": b"small",
    b"text": b"some text\n" * 1000,
    b"noise": noise(50_000),
    b"large": noise(WHOLE_FROM, 1),
    b"larger": noise(5 * SMALL_CHUNKS + 17, 2),
    b"zeros": bytes(9 * SMALL_CHUNKS),
    b"program": Special(EntryKind.EXECUTABLE, b"#!/bin/sh\n"),
    b"large program": Special(EntryKind.EXECUTABLE, noise(WHOLE_FROM + 1, 3)),
    b"link": Special(EntryKind.SYMLINK, b"deep/file"),
    b"hollow": {},
    b"deep": {b"file": b"deep", b"deeper": {b"file": b"deeper", b"again": b"small"}},
    b"\xff\xfe": b"a name that is not UTF-8",
}


def numbered(count: int, start: int = 0) -> Folder:
    return {b"%05d" % number: b"file %d\n" % number * 20 for number in range(start, start + count)}


def remote_contents(memory: MemoryTransport) -> dict[Digest, bytes]:
    """Every entry of every pack that lies in a remote, decoded."""
    found: dict[Digest, bytes] = {}
    for key in memory.list("packs/"):
        content = memory.get(key)

        def read(offset: int, length: int, content: bytes = content) -> bytes:
            return content[offset : offset + length]

        table = read_table(read, len(content), Digest(bytes.fromhex(key[-69:-5])))
        found |= {Digest(entry.digest): bytes(piece) for entry, piece in pack_contents(read, table)}
    return found


# -- all of it


def test_what_was_pushed_is_fetched(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    (ref,) = keep(ann.cache, MIXED)
    pushed = ann.push(memory, ref)
    fetched = bob.fetch(memory, ref)
    assert read_folder(bob.cache, ref.digest) == MIXED
    assert bob.cache.refs() == [ref]
    assert bob.cache.owns_whole(ref.digest)
    needed = ann.cache.reachable([(ref.digest, ref.kind)])
    assert pushed.objects == fetched.objects == len(needed)
    assert pushed.size == fetched.size == sum(len(ann.cache.read(digest)) for digest in needed)
    assert pushed.refs == 1
    check_remote(bob, memory, ref)


def test_through_a_folder(ann: Machine, bob: Machine, tmp_path: Path) -> None:
    (ref,) = keep(ann.cache, MIXED)
    transport = FolderTransport(tmp_path / "remote")
    ann.remote(transport, create=True)
    ann.push(transport, ref)
    bob.fetch(transport, ref)
    assert read_folder(bob.cache, ref.digest) == MIXED
    check_remote(bob, transport, ref)
    assert list((tmp_path / "remote" / "tmp").iterdir()) == []


@pytest.mark.parametrize("length", [0, 1, SMALL_CHUNKS, WHOLE_FROM - 1, WHOLE_FROM, 5 * SMALL_CHUNKS, 3 << 20])
@pytest.mark.parametrize("chunk", [4096, SMALL_CHUNKS, 1 << 20])
def test_single_blobs(ann: Machine, bob: Machine, length: int, chunk: int) -> None:
    memory = MemoryTransport(memory_remote(chunk))
    ref = keep_blob(ann.cache, noise(length))
    ann.push(memory, ref)
    bob.fetch(memory, ref)
    assert bob.cache.read(ref.digest) == noise(length)
    check_remote(bob, memory, ref)


names = st.binary(min_size=1, max_size=3).filter(lambda name: name not in (b".", b"..") and not set(name) & set(b"/\0"))
lengths = st.sampled_from([0, 1, 100, SMALL_CHUNKS, WHOLE_FROM - 1, WHOLE_FROM, 3 * SMALL_CHUNKS, 3 * SMALL_CHUNKS + 1])
files = st.builds(noise, lengths, st.integers(0, 3))
folders = st.recursive(
    st.dictionaries(names, files, max_size=4), lambda inner: st.dictionaries(names, inner | files, max_size=4)
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=folders, second=folders)
def test_any_two_folders(new_machine: NewMachine, first: Folder, second: Folder) -> None:
    memory = MemoryTransport(memory_remote())
    ann, bob = new_machine(), new_machine()
    refs = keep(ann.cache, first, second)
    ann.push(memory, refs[0])
    bob.fetch(memory, refs[0])
    assert read_folder(bob.cache, refs[0].digest) == first
    ann.push(memory, refs[1])
    bob.fetch(memory, *refs)
    assert read_folder(bob.cache, refs[1].digest) == second
    check_remote(bob, memory, *refs)


def test_blobs_of_one_chunk_beside_one_of_two(ann: Machine, bob: Machine) -> None:
    """A blob that a cache keeps as a file may be a single chunk in a remote, and lie in a pack with recipes."""
    memory = MemoryTransport(memory_remote(1 << 20))
    folder = {b"%d" % number: noise(900_000, number) for number in range(10)} | {b"large": noise(1_500_000, 10)}
    (ref,) = keep(ann.cache, folder)
    ann.push(memory, ref)
    bob.fetch(memory, ref)
    assert read_folder(bob.cache, ref.digest) == folder
    for content in folder.values():
        assert bob.cache.path_of(blob_digest(content)).read_bytes() == content
    cleo = Machine(bob.folder.parent / "cleo")
    again = MemoryTransport(memory_remote())
    bob.push(again, ref)
    cleo.fetch(again, ref)
    assert read_folder(cleo.cache, ref.digest) == folder


def test_many_packs(ann: Machine, bob: Machine, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hitsave.remotes.writing.packstream.PACK_TARGET", 200_000)
    monkeypatch.setattr("hitsave.cache.packwriter.PACK_TARGET", 200_000)
    folder: Folder = {
        **{b"small %d" % number: noise(40_000, number) for number in range(20)},
        **{b"large %d" % number: noise(WHOLE_FROM + number, 100 + number) for number in range(10)},
    }
    (ref,) = keep(ann.cache, folder)
    pushed = ann.push(memory, ref)
    assert pushed.packs == len(memory.list("packs/")) > 5
    bob.fetch(memory, ref)
    assert read_folder(bob.cache, ref.digest) == folder
    check_remote(bob, memory, ref)


def test_what_was_fetched_can_be_pushed_elsewhere(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    (ref,) = keep(ann.cache, MIXED)
    ann.push(memory, ref)
    bob.fetch(memory, ref)
    other = MemoryTransport(memory_remote(4096))
    bob.push(other, ref)
    cleo = Machine(bob.folder.parent / "cleo")
    cleo.fetch(other, ref)
    assert read_folder(cleo.cache, ref.digest) == MIXED


# -- nothing twice


def test_a_push_with_nothing_new_sends_nothing(ann: Machine, memory: MemoryTransport) -> None:
    refs = keep(ann.cache, *(numbered(5, start) for start in range(0, 500, 10)))
    ann.push(memory, *refs)
    counting = CountingTransport(memory)
    assert ann.push(counting, *refs) == Pushed()
    assert counting.sent == 0
    assert counting.total <= 3  # The format, a list, the commit.
    assert memory.list("commits/") == ["commits/00000000000000000001"]
    assert ann.push(counting) == Pushed()


def test_a_fetch_with_nothing_new_reads_no_pack(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    (ref,) = keep(ann.cache, MIXED)
    ann.push(memory, ref)
    bob.fetch(memory, ref)
    again = Machine(bob.folder)  # As a new process, which has not looked at its cache yet.
    counting = CountingTransport(memory)
    assert again.fetch(counting, ref) == Fetched()
    assert counting.got("packs/") == []


def test_another_ref_of_the_same_object_sends_no_content(ann: Machine, memory: MemoryTransport) -> None:
    (ref,) = keep(ann.cache, MIXED)
    ann.push(memory, ref)
    counting = CountingTransport(memory)
    other = Ref(snapshot_ref(blob_digest(b"another name")), ref.digest, ref.kind)
    pushed = ann.push(counting, other)
    assert pushed == Pushed(refs=1)
    assert counting.made("packs/") == counting.made("indexes/") == []


def test_a_new_version_sends_what_is_new(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    large = noise(20 * SMALL_CHUNKS)
    first: Folder = {**numbered(2000), b"large": large}
    second: Folder = {**first, b"00007": b"changed", b"new": b"new", b"large": large[:-10] + b"0123456789"}
    refs = keep(ann.cache, first)
    ann.push(memory, *refs)
    bob.fetch(memory, *refs)
    refs += keep(ann.cache, second)
    counting = CountingTransport(memory)
    pushed = ann.push(counting, refs[1])
    assert pushed.objects == 4  # Two small files, the large one, the tree.
    tree = len(ann.cache.read(refs[1].digest))
    assert pushed.sent < tree + SMALL_CHUNKS + 3000
    counting.reset()
    fetched = bob.fetch(counting, refs[1])
    assert fetched.objects == 4
    assert read_folder(bob.cache, refs[1].digest) == second
    check_remote(bob, memory, *refs)


def test_chunks_that_files_share_are_sent_once(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    shared = noise(10 * SMALL_CHUNKS)
    folder = {b"a": shared + noise(1000, 1), b"b": shared + noise(1000, 2), b"c": shared[: 3 * SMALL_CHUNKS]}
    refs = keep(ann.cache, folder)
    pushed = ann.push(memory, *refs)
    assert pushed.sent < len(shared) + 10_000
    later = {b"d": shared + noise(1000, 3)}
    refs += keep(ann.cache, later)
    assert ann.push(memory, refs[1]).sent < 10_000
    bob.fetch(memory, *refs)
    assert read_folder(bob.cache, refs[0].digest) == folder
    assert read_folder(bob.cache, refs[1].digest) == later


def test_a_file_of_zeros_is_a_request_or_two(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    ref = keep_blob(ann.cache, bytes(200 * SMALL_CHUNKS) + b"end")
    assert ann.push(memory, ref).sent < 30_000
    counting = CountingTransport(memory)
    assert bob.fetch(counting, ref).received < 30_000
    assert len(counting.got("packs/")) <= 4
    assert bob.cache.read(ref.digest) == bytes(200 * SMALL_CHUNKS) + b"end"


def test_bytes_are_counted_as_they_went(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    (ref,) = keep(ann.cache, {**MIXED, **numbered(3000)})
    counting = CountingTransport(memory)
    pushed = ann.push(counting, ref)
    assert pushed.sent == sum(len(memory.get(key)) for key in memory.list("packs/"))
    counting.reset()
    fetched = bob.fetch(counting, ref, include=lambda path: path.endswith(b"7"))
    assert 0 < fetched.received == counting.received_from["packs"]
    counting.reset()
    assert 0 < bob.fetch(counting, ref).received == counting.received_from["packs"]


# -- only what was asked for


def secrets_of(memory: MemoryTransport) -> list[bytes]:
    return [content for content in remote_contents(memory).values() if b"SECRET" in content]


def test_nothing_leaves_that_was_not_asked_for(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    """Secrets lie in the same packs and blocks, between what is pushed."""
    asked: Folder = {b"%04d" % (2 * number): b"asked %d " % number * 30 for number in range(2000)}
    secret: Folder = {b"%04d" % (2 * number + 1): b"SECRET %d " % number * 30 for number in range(2000)}
    large = {b"large": b"SECRET" * 40_000}
    with ann.cache.intake() as intake:
        for (name, content), (hidden, secret_content) in zip(asked.items(), secret.items(), strict=True):
            assert isinstance(content, bytes)
            assert isinstance(secret_content, bytes)
            intake.add(ObjectKind.BLOB, content)
            intake.add(ObjectKind.BLOB, secret_content)
            assert name < hidden
        digests = [put_folder(intake, folder) for folder in (asked, secret, large)]
        unowned = intake.add(ObjectKind.BLOB, b"SECRET that nobody owns")
        refs = [Ref(snapshot_ref(digest), digest, ObjectKind.TREE) for digest in digests]
        intake.publish(refs)
    assert len(ann.cache.packs()) == 1
    ann.push(memory, refs[0])
    assert secrets_of(memory) == []
    assert all(b"SECRET" not in memory.get(key) for key in memory.list(""))
    view = bob.remote(memory).latest()
    listed = {digest for index in view.indexes() for digest, _ in index.digests()}
    assert listed == set(ann.cache.reachable([(refs[0].digest, ObjectKind.TREE)])) == set(remote_contents(memory))
    assert unowned not in listed
    bob.fetch(memory, refs[0])
    assert read_folder(bob.cache, refs[0].digest) == asked
    with pytest.raises(ObjectNotFound):
        bob.fetch(memory, refs[1])


def test_what_was_forgotten_does_not_leave_with_its_pack(ann: Machine, memory: MemoryTransport) -> None:
    asked, secret = keep(ann.cache, numbered(100), {b"secret": b"SECRET"})
    forget(ann.cache, [secret.name], 1000)
    ann.push(memory, asked)
    assert secrets_of(memory) == []


def test_one_object_out_of_a_block(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    keep(ann.cache, {**numbered(500), b"secret": b"SECRET"})
    content = b"file 7\n" * 20
    ref = Ref(snapshot_ref(blob_digest(content)), blob_digest(content), ObjectKind.BLOB)
    ann.push(memory, ref)
    assert set(remote_contents(memory).values()) == {content}
    bob.fetch(memory, ref)
    assert bob.cache.read(ref.digest) == content


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.dictionaries(names, files, max_size=5), min_size=2, max_size=5), data=st.data())
def test_nothing_leaves_whatever_lies_beside_it(
    new_machine: NewMachine, parts: list[dict[bytes, bytes]], data: st.DataObject
) -> None:
    ann, memory = new_machine(), MemoryTransport(memory_remote())
    refs = keep(ann.cache, *parts)
    chosen = data.draw(st.sets(st.sampled_from(refs)))
    ann.push(memory, *chosen)
    allowed = ann.cache.reachable((ref.digest, ref.kind) for ref in chosen)
    chunks = {
        blob_digest(content[at : at + SMALL_CHUNKS])
        for content in (ann.cache.read(digest) for digest in allowed)
        for at in range(0, len(content), SMALL_CHUNKS)
    }
    assert set(remote_contents(memory)) <= set(allowed) | chunks


def test_bytes_that_belong_to_no_object_do_not_leave(ann: Machine, memory: MemoryTransport) -> None:
    """A block may hold more than its entries, where another program wrote it."""
    content = b"asked for"
    builder = PackBuilder(bytes(NONCE_SIZE))
    block = content + b"SECRET"
    pieces = [
        builder.header(),
        builder.block(Codec.RAW, block, len(block), [BlockEntry(blob_digest(content), 1, 0, len(content))]),
        builder.finish(),
    ]
    ref = Ref(snapshot_ref(blob_digest(content)), blob_digest(content), ObjectKind.BLOB)
    with ann.cache.intake() as intake:
        (intake.folder / "received").write_bytes(b"".join(pieces))
        intake.adopt_pack(intake.folder / "received", builder.digest)
        intake.publish([ref])
    ann.push(memory, ref)
    assert remote_contents(memory) == {ref.digest: content}
    assert all(b"SECRET" not in memory.get(key) for key in memory.list(""))


def blocks_of(content: bytes, name: Digest) -> list[bytes]:
    """The blocks of a pack, as they are stored."""
    table = read_table(lambda offset, length: content[offset : offset + length], len(content), name).table
    return [content[block.offset : block.offset + block.stored] for block in table.blocks]


@pytest.mark.parametrize("size", [200_000, 500_000, 8 << 20], ids=["larger", "of that size", "smaller"])
def test_blocks_of_packs_of_which_all_is_asked_go_as_they_are(
    ann: Machine, bob: Machine, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Whether the packs of the cache are larger or smaller than those that the push makes."""
    monkeypatch.setattr("hitsave.cache.packwriter.PACK_TARGET", 500_000)
    monkeypatch.setattr("hitsave.remotes.writing.packstream.PACK_TARGET", size)
    folders = [{b"%d" % number: noise(3000, seed + number) for number in range(200)} for seed in (0, 200)]
    refs = keep(ann.cache, *folders)
    pushed = ann.push(memory, *refs)
    here = [(ann.cache.pack_path(pack.digest).read_bytes(), pack.digest) for pack in ann.cache.packs()]
    there = [(memory.get(key), Digest(bytes.fromhex(key[-69:-5]))) for key in memory.list("packs/")]
    before, after = ([blocks_of(*pack) for pack in packs] for packs in (here, there))
    assert sorted(block for blocks in before for block in blocks) == sorted(
        block for blocks in after for block in blocks
    )
    assert len(here) == 3
    if size == 500_000:
        assert sorted(before) == sorted(after)
    else:
        assert (len(there) > 3) if size < 500_000 else (len(there) == 1)
    assert (pushed.packs, pushed.sent) == (len(there), sum(len(content) for content, _ in there))
    (session,) = {content[8:24].hex() for content, _ in there}
    assert session == decode_commit(memory.get("commits/00000000000000000001")).session
    check_remote(bob, memory, *refs)
    bob.fetch(memory, *refs)
    assert [read_folder(bob.cache, ref.digest) for ref in refs] == folders


# -- a part


def test_a_part_brings_only_what_is_needed(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    folder: Folder = {
        b"wanted": {b"%03d" % number: noise(3000, number) for number in range(100)},
        b"other": {b"%03d" % number: noise(3000, 1000 + number) for number in range(2000)},
        b"large": noise(30 * SMALL_CHUNKS, 5000),
    }
    (ref,) = keep(ann.cache, folder)
    ann.push(memory, ref)
    counting = CountingTransport(memory)
    fetched = bob.fetch(counting, ref, include=lambda path: path.startswith(b"wanted/"))
    trees = sum(len(ann.cache.read(d)) for d, k in ann.cache.reachable([(ref.digest, ref.kind)]).items() if k == 2)
    assert fetched.objects == 100 + 3
    assert counting.received < 100 * 3000 + trees + 2 * 300_000 + 200_000
    assert bob.cache.is_partial(ref.name)
    assert not bob.cache.owns_whole(ref.digest)
    absent = bob.cache.missing(bob.cache.reachable([(ref.digest, ref.kind)]))
    assert len(absent) == 2001
    bob.fetch(counting, ref)
    assert read_folder(bob.cache, ref.digest) == folder
    assert not bob.cache.is_partial(ref.name)


def test_a_part_takes_nothing_from_a_ref_that_is_whole(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    (ref,) = keep(ann.cache, MIXED)
    ann.push(memory, ref)
    bob.fetch(memory, ref)
    bob.fetch(memory, ref, include=lambda path: path == b"small")
    assert bob.cache.owns_whole(ref.digest)


def test_a_single_file_is_whole_beside_a_part(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    (tree,) = keep(ann.cache, MIXED)
    files = [keep_blob(ann.cache, noise(10)), keep_blob(ann.cache, noise(3 * SMALL_CHUNKS))]
    ann.push(memory, tree, *files)
    bob.fetch(memory, tree, *files, include=lambda path: path == b"small")
    assert [bob.cache.is_partial(ref.name) for ref in (tree, *files)] == [True, False, False]
    assert all(bob.cache.owns_whole(ref.digest) for ref in files)


def test_a_tree_that_stands_at_two_paths_is_fetched_for_both(
    ann: Machine, bob: Machine, memory: MemoryTransport
) -> None:
    inner: Folder = {b"a": b"content of a", b"b": b"content of b"}
    (ref,) = keep(ann.cache, {b"one": inner, b"two": inner})
    ann.push(memory, ref)
    bob.fetch(memory, ref, include=lambda path: path in (b"one/a", b"two/b"))
    assert bob.cache.has(blob_digest(b"content of a"))
    assert bob.cache.has(blob_digest(b"content of b"))


def test_one_small_file_out_of_a_large_pack_reads_ranges(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    folder = {b"%04d" % number: noise(20_000, number) for number in range(400)}
    (ref,) = keep(ann.cache, folder)
    ann.push(memory, ref)
    assert memory.store.size() > 8_000_000
    counting = CountingTransport(memory)
    wanted = blob_digest(folder[b"0123"])
    bob.fetch(counting, Ref(snapshot_ref(wanted), wanted, ObjectKind.BLOB))
    assert bob.cache.read(wanted) == folder[b"0123"]
    assert counting.requests["download"] == 0
    assert counting.received < 400_000


def test_most_of_it_is_here_already(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    shared = {b"%04d" % number: noise(20_000, number) for number in range(400)}
    (ref,) = keep(ann.cache, {**shared, b"new": b"new", b"large": noise(WHOLE_FROM)})
    ann.push(memory, ref)
    keep(bob.cache, shared)
    counting = CountingTransport(memory)
    fetched = bob.fetch(counting, ref)
    assert fetched.objects == 3
    assert counting.received < 1_000_000
    assert read_folder(bob.cache, ref.digest) == {**shared, b"new": b"new", b"large": noise(WHOLE_FROM)}


# -- what is missing, and what moves meanwhile


def test_what_the_remote_lacks_is_named_and_nothing_is_changed(
    ann: Machine, bob: Machine, memory: MemoryTransport
) -> None:
    (ref,) = keep(ann.cache, MIXED)
    with pytest.raises(ObjectNotFound, match=str(ref.digest)):
        bob.fetch(memory, ref)
    assert bob.cache.refs() == []


def test_what_the_cache_lacks_is_not_pushed(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    (ref,) = keep(ann.cache, MIXED)
    ann.push(memory, ref)
    bob.fetch(memory, ref, include=lambda path: path == b"small")
    other = MemoryTransport(memory_remote())
    with pytest.raises(ObjectNotFound, match="cannot be pushed"):
        bob.push(other, ref)
    assert other.list("") == ["format"]


@pytest.mark.parametrize("how", ["damaged", "missing"])
@pytest.mark.parametrize("all_of_it", [True, False])
def test_a_pack_of_the_cache_that_is_not_right_is_not_pushed(
    ann: Machine, memory: MemoryTransport, how: str, all_of_it: bool
) -> None:
    with ann.cache.intake() as intake:
        digests = [intake.add(ObjectKind.BLOB, noise(1000, seed)) for seed in (1, 2)]
        refs = [Ref(snapshot_ref(digest), digest, ObjectKind.BLOB) for digest in digests]
        intake.publish(refs)
    path = ann.cache.pack_path(ann.cache.packs()[0].digest)
    if how == "missing":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[100] ^= 1
        content[1100] ^= 1
        path.chmod(0o644)
        path.write_bytes(content)
    with pytest.raises(CorruptObject, match=r"\.pack"):
        ann.push(memory, *(refs if all_of_it else refs[:1]))
    assert memory.list("commits/") == []


@pytest.mark.parametrize("how", ["damaged", "truncated", "grown", "missing"])
def test_a_file_of_the_cache_that_is_not_right_is_not_pushed(ann: Machine, memory: MemoryTransport, how: str) -> None:
    content = noise(5 * SMALL_CHUNKS)
    ref = keep_blob(ann.cache, content)
    path = ann.cache.path_of(ref.digest)
    before = path.stat()
    path.chmod(0o644)
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes({"damaged": content[:-1] + b"x", "truncated": content[:-1], "grown": content + b"x"}[how])
        os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))
    with pytest.raises(CorruptObject, match=str(ref.digest)):
        ann.push(memory, ref)
    assert memory.list("commits/") == []


class Collecting(Silent):
    """Collects the cache, as another process would, when a push has found out what it needs."""

    def __init__(self, machine: Machine) -> None:
        self._folder = machine.folder
        self.rewritten = 0

    def start(self, what: str, size: int | None = None) -> None:
        with Cache.open(self._folder / "cache") as other:
            before = {pack.digest for pack in other.packs()}
            collect(other, now=2000, keep_seconds=0)
            self.rewritten += len(before - {pack.digest for pack in other.packs()})


def test_a_collection_that_rewrites_packs_meanwhile(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    """The packs that a push has looked at are gone when it comes to them."""
    owned: Folder = {b"%d" % number: noise(3000, number) for number in range(3)}
    refs = keep(ann.cache, owned, {b"%d" % number: noise(3000, 50 + number) for number in range(200)})
    refs += keep(ann.cache, numbered(5), {b"%d" % number: noise(3000, 300 + number) for number in range(200)})
    forget(ann.cache, [refs[1].name, refs[3].name], 1000)
    collecting = Collecting(ann)
    push(ann.remote(memory), ann.cache, [refs[0], refs[2]], ANN, collecting)
    assert collecting.rewritten == 2
    check_remote(ann, memory, refs[0], refs[2])
    bob.fetch(memory, refs[0], refs[2])
    assert read_folder(bob.cache, refs[0].digest) == owned
    assert read_folder(bob.cache, refs[2].digest) == numbered(5)


def test_what_is_forgotten_and_collected_meanwhile_is_not_pushed(ann: Machine, memory: MemoryTransport) -> None:
    ref = keep_blob(ann.cache, noise(WHOLE_FROM))

    class Forgetting(Collecting):
        def start(self, what: str, size: int | None = None) -> None:
            with Cache.open(ann.folder / "cache") as other:
                forget(other, [ref.name], 1000)
            super().start(what, size)

    with pytest.raises(ObjectNotFound, match=str(ref.digest)):
        push(ann.remote(memory), ann.cache, [ref], ANN, Forgetting(ann))
    assert memory.list("commits/") == []


# -- looking around without a fetch


def test_reading_single_objects_and_parts(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    large = noise(5 * SMALL_CHUNKS + 17)
    (ref,) = keep(ann.cache, {b"small": b"0123456789", b"large": large})
    ann.push(memory, ref)
    counting = CountingTransport(memory)
    remote = bob.remote(counting)
    view = remote.latest()
    reader = Reader(remote, view)
    digest = blob_digest(large)
    assert reader.read(digest) == large
    assert reader.size(digest) == len(large)
    assert reader.size(blob_digest(b"0123456789")) == 10
    for offset, length in (
        (0, 1),
        (SMALL_CHUNKS - 1, 2),
        (0, len(large)),
        (len(large) - 3, 10),
        (len(large), 5),
        (7, 0),
    ):
        assert reader.read_range(digest, offset, length) == large[offset : offset + length]
    assert reader.read_range(blob_digest(b"0123456789"), 3, 4) == b"3456"
    shelf = Shelf(view, reader)
    assert shelf.kind_of(digest) is ObjectKind.BLOB
    assert shelf.kind_of(ref.digest) is ObjectKind.TREE
    with pytest.raises(ObjectNotFound, match="memory:"):
        reader.read(blob_digest(b"nowhere"))
    assert reader.recipe(blob_digest(b"0123456789")) is None


def test_a_part_of_a_large_blob_reads_only_its_chunks(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    large = noise(100 * SMALL_CHUNKS)
    ref = keep_blob(ann.cache, large)
    ann.push(memory, ref)
    counting = CountingTransport(memory)
    remote = bob.remote(counting)
    reader = Reader(remote, remote.latest())
    counting.reset()
    assert reader.read_range(ref.digest, 50 * SMALL_CHUNKS - 5, 10) == large[50 * SMALL_CHUNKS - 5 :][:10]
    packs = [key for key in counting.keys if key[1].startswith("packs/")]
    assert len(packs) == 2  # The recipe, and two chunks that lie side by side.
    assert counting.received < 2 * BLOCK_TARGET + 20_000


def test_abbreviations(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    refs = keep(ann.cache, numbered(300))
    ann.push(memory, *refs)
    refs += keep(ann.cache, {b"other": b"other"})
    ann.push(memory, *refs)
    view = bob.remote(memory).latest()
    for ref in refs:
        for length in (7, 8, 63, 64):
            assert view.complete(str(ref.digest)[:length]) == [ref.digest]
    assert view.complete("0" * 64) == []
    every = sorted({digest for index in view.indexes() for digest, _ in index.digests()})
    assert view.complete("", most=1000) == every
    assert view.complete("a", most=1000) == [digest for digest in every if digest.hex()[0] == "a"]
    assert view.complete("", most=20) == every[:20]


def test_refs_that_lack_a_name_in_the_cache_can_be_fetched(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    (ref,) = keep(ann.cache, MIXED)
    ann.push(memory, ref)
    remote = bob.remote(memory)
    fetched = fetch(remote, bob.cache, [(ref.digest, ref.kind)])
    assert fetched.objects > 0
    assert read_folder(bob.cache, ref.digest) == MIXED
    assert bob.cache.refs() == []
