"""Transfers side by side, packs that no cache keeps, and readers beside a collection."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from hitsave.cache.intake import WHOLE_FROM
from hitsave.errors import RemoteCorrupt
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.refs import Ref, snapshot_ref
from hitsave.packing.blocks import BlockEntry, Codec, EntryKindInPack
from hitsave.packing.commit import commit_digest, decode_commit, encode_commit
from hitsave.packing.index import IndexedPack
from hitsave.packing.pack import PackBuilder
from hitsave.packing.recipe import Chunk, Recipe, encode_recipe
from hitsave.remotes.commits.keys import commit_key, pack_key
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.reading.ranges import LONGEST_RANGE
from hitsave.remotes.reading.reader import Reader
from tests.remotes.content import ANN, SMALL_CHUNKS, Folder, Machine, keep, keep_blob, memory_remote, noise, read_folder
from tests.remotes.crowds import newest
from tests.remotes.transports import CountingTransport, MemoryStore, MemoryTransport, Result, WrappedTransport

_PATIENCE = 30


class Together(WrappedTransport):
    """Some requests go on only when all of them are under way: `count` of a kind for packs, after the first `skip`."""

    def __init__(self, inner: MemoryTransport, kind: str, count: int, skip: int = 0) -> None:
        super().__init__(inner)
        self.parallel = count
        self._kind = kind
        self._waiting = range(skip, skip + count)
        self._barrier = threading.Barrier(count)
        self._lock = threading.Lock()
        self.seen = 0

    def around(self, name: str, key: str, action: Callable[[], Result]) -> Result:
        if name == self._kind and key.startswith("packs/"):
            with self._lock:
                number = self.seen
                self.seen += 1
            if number in self._waiting:
                self._barrier.wait(_PATIENCE)
        return action()


def test_ranges_of_a_large_file_come_side_by_side(ann: Machine, bob: Machine) -> None:
    memory = MemoryTransport(memory_remote())
    content = noise(5 * LONGEST_RANGE)
    ref = keep_blob(ann.cache, content)
    ann.push(memory, ref)
    together = Together(memory, "get", 4, skip=1)  # The recipe goes alone.
    bob.fetch(together, ref)
    assert bob.cache.path_of(ref.digest).read_bytes() == content
    assert together.seen < 16


def test_several_files_follow_one_another(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    """Recipes and chunks of many files come in few requests."""
    folder = {b"%02d" % number: noise(3 * SMALL_CHUNKS + number, number) for number in range(60)}
    (ref,) = keep(ann.cache, folder)
    ann.push(memory, ref)
    counting = CountingTransport(memory)
    bob.fetch(counting, ref)
    assert read_folder(bob.cache, ref.digest) == folder
    packs = len(memory.list("packs/"))
    assert len(counting.got("packs/")) <= 2 + 2 * packs < 10


def test_parts_of_small_objects_come_side_by_side(
    ann: Machine, bob: Machine, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = {b"%04d" % number: noise(20_000, number) for number in range(400)}
    (ref,) = keep(ann.cache, folder)
    ann.push(memory, ref)
    monkeypatch.setattr("hitsave.remotes.reading.ranges.NEAR", 0)
    together = Together(memory, "get", 4, skip=1)  # The tree goes alone.
    bob.fetch(together, ref, include=lambda path: path[-2:] == b"07")
    assert together.seen >= 5
    assert len(bob.cache.missing(map(blob_digest, folder.values()))) < 397


def test_whole_packs_come_side_by_side(
    ann: Machine, bob: Machine, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = []
    for number in range(4):
        refs += keep(ann.cache, {b"%d" % inner: noise(3000, 100 * number + inner) for inner in range(50)})
        ann.push(memory, refs[-1])
    together = Together(memory, "download", 3)
    bob.fetch(together, *refs)
    assert together.seen == 4
    assert all(bob.cache.owns_whole(ref.digest) for ref in refs)


class Interrupting(WrappedTransport):
    """Ctrl-C, or an error, at one of the requests for packs."""

    def __init__(self, inner: MemoryTransport, at: int, error: BaseException) -> None:
        super().__init__(inner)
        self.parallel = 4
        self._at = at
        self._error = error
        self._lock = threading.Lock()
        self._seen = 0

    def around(self, name: str, key: str, action: Callable[[], Result]) -> Result:
        if name in ("get", "download") and key.startswith("packs/"):
            with self._lock:
                self._seen += 1
                if self._seen == self._at:
                    raise self._error
        return action()


@pytest.mark.parametrize("at", range(1, 9))
@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError("here")], ids=["interrupt", "error"])
def test_an_end_in_the_middle_leaves_nothing(
    ann: Machine, bob: Machine, memory: MemoryTransport, at: int, error: BaseException
) -> None:
    small: Folder = {b"%d" % number: noise(30_000, number) for number in range(20)}
    refs = keep(ann.cache, small), keep(ann.cache, {b"large": noise(3 * LONGEST_RANGE, 77)})
    for (ref,) in refs:
        ann.push(memory, ref)
    before = threading.active_count()
    with pytest.raises(type(error)):
        bob.fetch(Interrupting(memory, at, error), *(ref for (ref,) in refs))
    assert threading.active_count() == before
    assert bob.cache.refs() == bob.cache.packs() == []
    assert list((bob.cache.path / "tmp").iterdir()) == []
    bob.fetch(memory, *(ref for (ref,) in refs))


# -- packs that no cache keeps


def put_pack(machine: Machine, memory: MemoryTransport, ref: Ref, *entries: tuple[bytes, int, bytes]) -> Digest:
    """Commit a pack with these entries, all in one block."""
    remote = machine.remote(memory)
    view = remote.latest()
    session = Session.begin(view.number)
    builder = PackBuilder(session.token)
    block = b"".join(content for _, _, content in entries)
    places: list[BlockEntry] = []
    for digest, kind, content in entries:
        at = places[-1].offset + places[-1].length if places else 0
        places.append(BlockEntry(digest, kind, at, len(content)))
    pieces = [builder.header(), builder.block(Codec.RAW, block, len(block), places), builder.finish()]
    memory.put(pack_key(builder.digest), b"".join(pieces))
    remote.append(
        view, session, ANN, "push", [IndexedPack(builder.digest, builder.length, builder.table)], {ref.name: ref}
    )
    return builder.digest


def blob(content: bytes) -> tuple[bytes, int, bytes]:
    return blob_digest(content), EntryKindInPack.BLOB, content


def recipe(*chunks: bytes) -> tuple[bytes, int, bytes]:
    whole = b"".join(chunks)
    made = Recipe(blob_digest(whole), len(whole), tuple(Chunk(blob_digest(chunk), len(chunk)) for chunk in chunks))
    return made.blob, EntryKindInPack.RECIPE, encode_recipe(made)


@pytest.mark.parametrize("beside", ["a recipe", "a large blob"])
def test_what_is_wanted_is_taken_out_of_a_pack_that_no_cache_keeps(
    ann: Machine, bob: Machine, memory: MemoryTransport, beside: str
) -> None:
    small = [noise(100_000, seed) for seed in range(4)]
    others = [recipe(small[0], small[1])] if beside == "a recipe" else [blob(noise(WHOLE_FROM, 9))]
    refs = [Ref(snapshot_ref(blob_digest(content)), blob_digest(content), ObjectKind.BLOB) for content in small]
    pack = put_pack(ann, memory, refs[0], *map(blob, small), *others)
    counting = CountingTransport(memory)
    bob.fetch(counting, *refs)
    assert counting.got("packs/") == [pack_key(pack)]
    assert [bob.cache.read(ref.digest) for ref in refs] == small
    assert pack not in {found.digest for found in bob.cache.packs()}
    assert bob.cache.missing([Digest(others[0][0])])


def test_a_damaged_pack_that_no_cache_keeps(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    small = [noise(100_000, seed) for seed in range(4)]
    refs = [Ref(snapshot_ref(blob_digest(content)), blob_digest(content), ObjectKind.BLOB) for content in small]
    pack = put_pack(ann, memory, refs[0], *map(blob, small), blob(noise(WHOLE_FROM, 9)))
    content = bytearray(memory.store.values[pack_key(pack)])
    content[150_000] ^= 1
    memory.store.values[pack_key(pack)] = bytes(content)
    with pytest.raises(RemoteCorrupt, match=str(refs[1].digest)) as caught:
        bob.fetch(memory, *refs)
    assert caught.value.key == pack_key(pack)
    assert bob.cache.packs() == []


# -- beside a collection

MIXED: Folder = {
    b"large": noise(5 * SMALL_CHUNKS),
    b"deep": {b"%d" % number: noise(1000, number) for number in range(50)},
}


class Collected(WrappedTransport):
    """A remote of which everything moves into other packs and indexes right before a request for what was there."""

    def __init__(self, old: MemoryStore, new: MemoryStore, at: str) -> None:
        super().__init__(MemoryTransport(old))
        self._old = old
        self._new = new
        self._at = at
        self.collected = False

    def around(self, name: str, key: str, action: Callable[[], Result]) -> Result:
        if key.startswith(self._at) and name in ("get", "download") and not self.collected:
            self.collected = True
            self._collect()
        return action()

    def _collect(self) -> None:
        before = self._old.values[commit_key(1)]
        after = replace(
            decode_commit(self._new.values[commit_key(1)]),
            number=2,
            parent=commit_digest(before),
            identity=decode_commit(before).identity,
        )
        for key in list(self._old.values):
            if key.startswith(("packs/", "indexes/", "refs/")):
                del self._old.values[key]
        self._old.values |= {key: value for key, value in self._new.values.items() if not key.startswith("commits/")}
        self._old.values[commit_key(2)] = encode_commit(after)


@pytest.fixture
def moved(ann: Machine) -> tuple[Ref, MemoryStore, MemoryStore]:
    """A ref, and two remotes that hold it in packs of other names."""
    (ref,) = keep(ann.cache, MIXED)
    stores = memory_remote(), memory_remote()
    for store in stores:
        ann.push(MemoryTransport(store), ref)
    first, second = (set(MemoryTransport(store).list("packs/")) for store in stores)
    assert first
    assert not first & second
    return ref, *stores


@pytest.mark.parametrize("at", ["indexes/", "packs/"])
def test_a_fetch_beside_a_collection_starts_over(
    bob: Machine, moved: tuple[Ref, MemoryStore, MemoryStore], at: str
) -> None:
    ref, *stores = moved
    transport = Collected(*stores, at)
    bob.fetch(transport, ref)
    assert transport.collected
    assert read_folder(bob.cache, ref.digest) == MIXED


@pytest.mark.parametrize("at", ["indexes/", "packs/"])
def test_a_reader_beside_a_collection_looks_again(
    bob: Machine, moved: tuple[Ref, MemoryStore, MemoryStore], at: str
) -> None:
    _, *stores = moved
    large = MIXED[b"large"]
    assert isinstance(large, bytes)
    transport = Collected(*stores, at)
    remote = bob.remote(transport)
    reader = Reader(remote, remote.latest())
    assert reader.read_range(blob_digest(large), 70_000, 10) == large[70_000:70_010]
    assert transport.collected
    assert reader.read(blob_digest(large)) == large


@pytest.mark.parametrize("kind", ["indexes/", "packs/"])
def test_what_the_newest_commit_leads_to_and_is_missing_is_corruption(
    bob: Machine, moved: tuple[Ref, MemoryStore, MemoryStore], kind: str
) -> None:
    ref, store, _ = moved
    for key in MemoryTransport(store).list(kind):
        del store.values[key]
    with pytest.raises(RemoteCorrupt, match="is missing"):
        bob.fetch(MemoryTransport(store), ref)
    remote = bob.remote(MemoryTransport(store))
    with pytest.raises(RemoteCorrupt, match="is missing"):
        Reader(remote, remote.latest()).read(ref.digest)
    assert newest(store).number == 1
