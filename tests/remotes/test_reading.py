"""How little is read: requests and bytes are counted, of remotes in which there is much more than what is asked for."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hitsave.errors import ObjectNotFound, RemoteCorrupt
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.refs import Ref, snapshot_ref
from hitsave.packing.blocks import BLOCK_TARGET
from hitsave.packing.index import Index
from hitsave.remotes.commits.indexes import CommittedIndex
from hitsave.remotes.commits.indexparts import Job, Search
from hitsave.remotes.commits.keys import index_key
from hitsave.remotes.commits.pages import PAGE
from hitsave.remotes.reading.reader import Reader
from hitsave.remotes.transports.protocol import Transport
from hitsave.snapshots.partial import include_globs
from tests.remotes.content import SMALL_CHUNKS, Folder, Machine, keep, memory_remote, noise, read_folder
from tests.remotes.crowds import crowd, join_crowd, newest, put_index, rewrite
from tests.remotes.transports import CountingTransport, MemoryStore, MemoryTransport

#: Format, two lists of commits, a commit; header, fan-out, bucket, block records of the root; the root;
#: bucket of the inner tree, which lies in the same block; bucket and content of the file; refs. Pack records came with
#: the header.
REQUESTS_FOR_ONE_FILE = 13


def many_folders(folders: int, files: int) -> Folder:
    return {
        b"%03d" % outer: {b"%03d" % inner: b"%d %d" % (outer, inner) for inner in range(files)}
        for outer in range(folders)
    }


@pytest.fixture
def large_from_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Indexes count as large that are quickly made."""
    monkeypatch.setattr("hitsave.remotes.commits.indexes.WHOLE_UP_TO", 64 * 1024)
    monkeypatch.setattr("hitsave.remotes.commits.indexparts.REQUEST", 1024)
    monkeypatch.setattr("hitsave.remotes.commits.pages.REQUEST", 1024)


little = pytest.mark.usefixtures("large_from_little")


def in_large_index(ann: Machine, folder: Folder, entries: int = 100_000) -> tuple[MemoryTransport, Ref]:
    """A remote with a folder in an index with many others."""
    memory = MemoryTransport(memory_remote())
    (ref,) = keep(ann.cache, folder)
    ann.push(memory, ref)
    join_crowd(memory.store, entries)
    return memory, ref


# -- one file of very many


def test_one_file_of_very_many_takes_a_handful_of_requests(ann: Machine, bob: Machine) -> None:
    folder = {b"inner": {b"file": b"content"}, **{b"%d" % number: noise(99_000, number) for number in range(12)}}
    memory, ref = in_large_index(ann, folder)
    counting = CountingTransport(memory)
    bob.fetch(counting, ref, include=lambda path: path == b"inner/file")
    assert bob.cache.read(blob_digest(b"content")) == b"content"
    assert counting.total <= REQUESTS_FOR_ONE_FILE
    assert counting.requests["download"] == 0
    assert newest(memory.store).indexes[0].length > 4_800_000
    assert counting.received_from["indexes"] < 100_000
    assert counting.received_from["packs"] < 350_000  # One block of trees and one of files.


def test_one_file_of_many_folders_reads_its_own_folder_only(ann: Machine, bob: Machine) -> None:
    folder: Folder = {
        b"%04d" % outer: {b"%02d" % inner: noise(64, 100 * outer + inner) for inner in range(50)}
        for outer in range(800)
    }
    memory = MemoryTransport(memory_remote())
    (ref,) = keep(ann.cache, folder)
    ann.push(memory, ref)
    counting = CountingTransport(memory)
    bob.fetch(counting, ref, include=include_globs(["/0123/45"]))
    assert bob.cache.read(blob_digest(noise(64, 12_345))) == noise(64, 12_345)
    assert len(bob.cache.missing(ann.cache.reachable([(ref.digest, ref.kind)]))) == 800 * 51 + 1 - 3
    assert counting.received_from["packs"] < 3 * BLOCK_TARGET + 50_000  # Two blocks with trees, one with files.
    assert len(counting.got("packs/")) <= 3
    assert bob.cache.is_partial(ref.name)


def test_a_small_dataset_of_a_large_remote_on_a_cold_machine(ann: Machine, bob: Machine) -> None:
    """Ten indexes, of which one has what is asked for."""
    memory, ref = in_large_index(ann, many_folders(4, 25), 100_000)
    files = [*newest(memory.store).indexes]
    files += [put_index(memory.store, crowd(30_000, seed)) for seed in range(1, 10)]
    random.Random(1).shuffle(files)
    rewrite(memory.store, files)
    counting = CountingTransport(memory)
    bob.fetch(counting, ref)
    assert read_folder(bob.cache, ref.digest) == many_folders(4, 25)
    assert sum(file.length for file in files) > 17_000_000
    assert counting.received_from["indexes"] < 500_000
    assert counting.requests["download"] <= 1  # The pack.
    # What nobody found anything in was asked three times at most: header, fan-out and bucket.
    asked = [len(counting.got(index_key(file))) for file in files]
    assert set(sorted(asked)[:9]) <= {2, 3}


@little
def test_an_index_is_fetched_whole_when_much_of_it_is_needed(ann: Machine, bob: Machine) -> None:
    folder = many_folders(5, 100)
    memory, ref = in_large_index(ann, folder, 3000)
    (file,) = newest(memory.store).indexes
    counting = CountingTransport(memory)
    bob.fetch(counting, ref)
    assert read_folder(bob.cache, ref.digest) == folder
    assert ("download", index_key(file)) in counting.keys
    assert counting.received_from["indexes"] < 1.2 * file.length
    counting.reset()
    again = Machine(bob.folder)  # A new process has the copy.
    (file_only,) = [Ref(snapshot_ref(blob_digest(b"0 0")), blob_digest(b"0 0"), ObjectKind.BLOB)]
    shutil.rmtree(bob.folder / "cache")
    again.cache.close()
    again = Machine(bob.folder)
    again.fetch(counting, file_only)
    assert counting.got("indexes/") == []


# -- lookups by parts


def steps(search: Search[object]) -> tuple[int, object]:
    """Carry out a search: in how many rounds it made requests, and its answer."""
    rounds = 0
    while True:
        try:
            jobs: list[Job] = next(search)
        except StopIteration as end:
            return rounds, end.value
        rounds += bool(jobs)
        for job in jobs:
            job()


@pytest.fixture
def large(tmp_path: Path) -> tuple[Callable[[], CommittedIndex], Index, CountingTransport]:
    """A way to open a large index anew, the same index whole, and the transport that it is read through."""
    ann = Machine(tmp_path / "ann")
    memory, _ = in_large_index(ann, {b"file": b"content"}, 60_000)
    ann.cache.close()
    (file,) = newest(memory.store).indexes
    counting = CountingTransport(memory)
    return (
        lambda: CommittedIndex(counting, tmp_path / "copy", file),
        Index(memory.store.values[index_key(file)]),
        counting,
    )


@pytest.mark.parametrize("count", [1, 2, 30, 60])
def test_lookups_take_few_rounds_however_many_there_are(
    large: tuple[Callable[[], CommittedIndex], Index, CountingTransport], count: int
) -> None:
    opened, whole, counting = large
    chance = random.Random(count)
    every = [digest for digest, _ in whole.digests()]
    wanted = [*chance.sample(every, count), *(Digest(chance.randbytes(32)) for _ in range(10))]
    index = opened()
    rounds, found = steps(index.find(wanted))
    assert rounds <= 4
    assert found == whole.find_many(wanted)
    assert found == {digest: whole.find(digest) for digest in wanted[:count]}
    assert not index.here
    assert counting.received < count * 20_000 + 200_000 < 2_900_000
    counting.reset()
    assert steps(index.find(wanted)) == (0, found)
    assert counting.total == 0


def test_the_edges_of_an_index(large: tuple[Callable[[], CommittedIndex], Index, CountingTransport]) -> None:
    opened, whole, _ = large
    every = [digest for digest, _ in whole.digests()]
    wanted = [every[0], every[-1], Digest(bytes(32)), Digest(b"\xff" * 32)]
    assert steps(opened().find(wanted))[1] == whole.find_many(wanted)
    assert len(whole.find_many(wanted)) == 2


def test_abbreviations_are_completed_by_parts(
    large: tuple[Callable[[], CommittedIndex], Index, CountingTransport],
) -> None:
    opened, whole, counting = large
    every = [digest for digest, _ in whole.digests()]
    for digest in random.Random(4).sample(every, 5):
        for digits in (4, 7, 64):
            low = bytes.fromhex(str(digest)[:digits].ljust(64, "0"))
            high = bytes.fromhex(str(digest)[:digits].ljust(64, "f"))
            counting.reset()
            rounds, found = steps(opened().complete(low, high, 20))
            assert found == list(whole.find_prefix(low, high))
            assert rounds <= 3
            assert counting.received < 4096 + 24 * PAGE + 2 * 16 * 1024
    assert steps(opened().complete(bytes(32), b"\xff" * 32, 20))[1] == every[:20]


def test_bits_that_no_writer_should_take(
    large: tuple[Callable[[], CommittedIndex], Index, CountingTransport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the fan-out lies is guessed; a reader accepts others."""
    opened, whole, _ = large
    wanted = [digest for digest, _ in whole.digests()][:: 60_000 // 30]
    monkeypatch.setattr("hitsave.packing.indexlayout.fanout_bits", lambda entries: 3)
    assert steps(opened().find(wanted))[1] == whole.find_many(wanted)


# -- what is damaged is never taken for what is missing


def damaged(store: MemoryStore, key: str, at: int, by: int = 1) -> MemoryTransport:
    copied = MemoryStore()
    copied.values = dict(store.values)
    content = bytearray(copied.values[key])
    content[at] ^= by
    copied.values[key] = bytes(content)
    return MemoryTransport(copied)


def layout_places(content: bytes, index: Index, wanted: list[Digest]) -> list[int]:
    """Bytes that a lookup of these digests reads: of all kinds of records, and some others."""
    places = [0, 5, 8, 12, 16, 20, *range(32, 32 + 48, 5)]
    for digest in wanted:
        at = content.index(digest, len(content) - 48 * index.entry_count)
        places += [at, at + 31, *range(at + 32, at + 46)]
    blocks_at = 32 + 48 * len(index.packs)
    fanout_at = len(content) - 48 * index.entry_count - (4 << content[5])
    places += [blocks_at + 24 * number + 3 for number in range(20)]
    for digest in wanted:
        bucket = int.from_bytes(digest[:4], "big") >> (32 - content[5])
        places += [fanout_at + 4 * bucket + byte for byte in range(-4 if bucket else 0, 4)]
    return places


def refused(machine: Machine, transport: Transport, ref: Ref) -> RemoteCorrupt | None:
    """What was wrong, where a fetch was refused."""
    try:
        machine.fetch(transport, ref)
    except RemoteCorrupt as error:
        return error
    return None


@little
def test_any_damage_of_a_large_index(ann: Machine, new_machine: Callable[[], Machine]) -> None:
    folder: Folder = {b"inner": {b"file": b"content"}}
    memory, ref = in_large_index(ann, folder, 5000)
    (file,) = newest(memory.store).indexes
    content = memory.store.values[index_key(file)]
    index = Index(content)
    wanted = list(ann.cache.reachable([(ref.digest, ref.kind)]))
    blocks = {location.block for location in index.find_many(wanted).values()}
    assert len(blocks) == 2
    named = 0
    places = layout_places(content, index, wanted)
    for at in [*places, *random.Random(1).sample(range(len(content)), 20)]:
        bob = new_machine()
        transport = CountingTransport(damaged(memory.store, index_key(file), at, 0x81))
        error = refused(bob, transport, ref)
        if error is not None:
            assert error.key == index_key(file)
            assert bob.cache.refs() == []
            named += 1
        else:
            assert read_folder(bob.cache, ref.digest) == folder
    assert named > 60


@little
@pytest.mark.parametrize("how", ["short", "empty", "gone", "swapped"])
def test_an_index_that_is_another(ann: Machine, bob: Machine, how: str) -> None:
    memory, ref = in_large_index(ann, {b"file": b"content"}, 5000)
    (file,) = newest(memory.store).indexes
    key = index_key(file)
    content = memory.store.values.pop(key)
    if how != "gone":
        other = memory.store.values[index_key(put_index(memory.store, crowd(5000, 5)))]
        memory.store.values[key] = {"short": content[:20_000], "empty": b"", "swapped": other}[how]
    with pytest.raises(RemoteCorrupt) as caught:
        bob.fetch(memory, ref)
    assert caught.value.key == key


@little
def test_what_is_nowhere_is_said_to_be_missing_when_the_indexes_were_checked(ann: Machine, bob: Machine) -> None:
    memory, ref = in_large_index(ann, {b"file": b"content"}, 5000)
    (file,) = newest(memory.store).indexes
    counting = CountingTransport(memory)
    with pytest.raises(ObjectNotFound):
        bob.fetch(counting, Ref(snapshot_ref(blob_digest(b"no")), blob_digest(b"no"), ObjectKind.BLOB))
    assert ("download", index_key(file)) in counting.keys
    bob.fetch(memory, ref)


@little
def test_a_copy_that_was_damaged_on_this_machine(ann: Machine, new_machine: Callable[[], Machine]) -> None:
    folder = many_folders(10, 100)
    memory, ref = in_large_index(ann, folder, 5000)
    bob = new_machine()
    bob.fetch(memory, ref)
    (copy,) = (path for path in (bob.folder / "remotes").rglob("*.index") if path.stat().st_size > 100_000)
    content = copy.read_bytes()
    index = Index(content)
    at = content.index(ref.digest, len(content) - 48 * index.entry_count)
    for place in (at, at + 33, 0):
        copy.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        cleo = new_machine()
        shutil.copytree(bob.folder / "remotes", cleo.folder / "remotes")
        cleo.fetch(memory, ref)
        assert read_folder(cleo.cache, ref.digest) == folder
        (repaired,) = (path for path in (cleo.folder / "remotes").rglob(copy.name))
        assert repaired.read_bytes() == content


# -- what a writer asks


@little
def test_a_writer_relies_on_nothing_that_an_index_of_another_remote_names(
    ann: Machine, bob: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both indexes have one length, so that only their content tells them apart."""
    mine, ref = in_large_index(ann, {b"file": b"mine"}, 5000)
    theirs, other = in_large_index(ann, {b"file": b"them"}, 5000)
    (file,) = newest(mine.store).indexes
    (stranger,) = newest(theirs.store).indexes
    assert file.length == stranger.length
    there = list(ann.cache.reachable([(ref.digest, ref.kind)]))
    elsewhere = list(ann.cache.reachable([(other.digest, other.kind)]))
    counting = CountingTransport(mine)
    view = bob.remote(counting).latest()
    counting.reset()
    assert view.has_many([*there, *elsewhere]) == set(there)
    assert counting.received < 50_000
    assert counting.got("packs/") == [f"packs/{pack.hex()[:2]}/{pack}.pack" for pack in packs_of(view.find(there[0]))]
    assert view.has(there[0])
    assert not view.has(elsewhere[0])
    mine.store.values[index_key(file)] = theirs.store.values[index_key(stranger)]
    with pytest.raises(RemoteCorrupt) as caught:
        bob.remote(mine).latest().has_many(elsewhere)
    assert caught.value.key == index_key(file)


def packs_of(location: object) -> list[Digest]:
    assert isinstance(location, tuple)
    return [location[2]]


# -- a part of a large blob


def test_a_part_of_a_large_blob_is_few_requests(ann: Machine, bob: Machine) -> None:
    memory = MemoryTransport(memory_remote())
    large = noise(100 * SMALL_CHUNKS)
    digest = blob_digest(large)
    with ann.cache.intake() as intake:
        intake.add(ObjectKind.BLOB, large)
        ref = Ref(snapshot_ref(digest), digest, ObjectKind.BLOB)
        intake.publish([ref])
    ann.push(memory, ref)
    counting = CountingTransport(memory)
    remote = bob.remote(counting)
    reader = Reader(remote, remote.latest())
    counting.reset()
    at = 30 * SMALL_CHUNKS + 77
    assert reader.read_range(digest, at, 20 * SMALL_CHUNKS) == large[at : at + 20 * SMALL_CHUNKS]
    assert len(counting.got("packs/")) == 2
    assert counting.received < 23 * SMALL_CHUNKS + 500_000
