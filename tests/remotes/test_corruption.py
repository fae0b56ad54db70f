"""A wrong byte anywhere in a remote is an error that says where, and never reaches the cache."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hitsave.cache.intake import WHOLE_FROM
from hitsave.errors import HitsaveError, ObjectError, RemoteCorrupt, RemoteError
from hitsave.maintenance.verify import verify as verify_cache
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.refs import Ref, snapshot_ref
from hitsave.packing.blocks import BlockEntry, Codec, EntryKindInPack
from hitsave.packing.index import IndexedPack
from hitsave.packing.pack import NONCE_SIZE, PackBuilder
from hitsave.packing.recipe import Chunk, Recipe, encode_recipe
from hitsave.remotes.collection.collect import collect
from hitsave.remotes.collection.dropping import drop_refs
from hitsave.remotes.commits.keys import pack_key
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.reading.reader import Reader
from hitsave.remotes.verification.verify import RemoteReport, verify
from tests.remotes.content import ANN, SMALL_CHUNKS, Folder, Machine, keep, memory_remote, noise, read_folder
from tests.remotes.transports import MemoryStore, MemoryTransport, Result, WrappedTransport

BIG = b"".join(b"line %d\n" % number for number in range(20_000))
SMALL: Folder = {**{b"%d" % number: noise(60, number) for number in range(12)}, b"text": b"text " * 300}
LARGE: Folder = {b"large": BIG, b"deep": {b"file": b"deep"}}
PART = (b"3", b"large")
assert len(BIG) > WHOLE_FROM


class Damageable:
    """A small remote, of which damaged copies are made."""

    def __init__(self, machine: Machine, scratch: Path) -> None:
        self._scratch = scratch
        self._unused: Machine | None = None
        self.small, self.large = keep(machine.cache, SMALL)[0], keep(machine.cache, LARGE)[0]
        self.store = memory_remote()
        for ref in self.refs:
            machine.push(MemoryTransport(self.store), ref)

    @property
    def refs(self) -> list[Ref]:
        return [self.small, self.large]

    def blank(self) -> Machine:
        """A machine that has seen nothing of the remote; one that a fetch has not changed is used again."""
        if self._unused is None:
            self._unused = Machine(Path(tempfile.mkdtemp(dir=self._scratch)))
        shutil.rmtree(self._unused.folder / "remotes", ignore_errors=True)
        return self._unused

    def with_value(self, key: str, content: bytes | None) -> MemoryTransport:
        """The remote with another value under a key, or without that key."""
        copied = MemoryStore()
        copied.values = {other: value for other, value in self.store.values.items() if other != key}
        if content is not None:
            copied.values[key] = content
        return MemoryTransport(copied)

    def fetch(self, transport: MemoryTransport, part: bool) -> HitsaveError | None:
        """What was wrong. Nothing but an error that says so may come out of a fetch, or the right content."""
        machine = self.blank()
        try:
            held = machine.remote(transport).latest().refs()
            assert {ref.digest for ref in held.values()} <= {ref.digest for ref in self.refs}
            machine.fetch(transport, *self.refs, include=PART.__contains__ if part else None)
        except (RemoteError, ObjectError) as error:
            self._check_unchanged(machine)
            return error
        self._unused = None
        self._check_right(machine, part)
        machine.cache.close()
        return None

    def _check_unchanged(self, machine: Machine) -> None:
        assert machine.cache.refs() == machine.cache.packs() == []
        for folder in ("objects", "tmp"):
            assert not any((machine.cache.path / folder).iterdir())

    def _check_right(self, machine: Machine, part: bool) -> None:
        assert verify_cache(machine.cache).faults == ()
        assert machine.cache.refs() == sorted(self.refs, key=lambda ref: ref.name)
        if part:
            assert machine.cache.read(blob_digest(noise(60, 3))) == noise(60, 3)
            assert machine.cache.read(blob_digest(BIG)) == BIG
        else:
            assert read_folder(machine.cache, self.small.digest) == SMALL
            assert read_folder(machine.cache, self.large.digest) == LARGE

    def verify(self, transport: MemoryTransport) -> RemoteReport:
        """The remote's faults."""
        return verify(self.blank().remote(transport))


@pytest.fixture
def remote(ann: Machine, tmp_path: Path) -> Damageable:
    return Damageable(ann, tmp_path)


def places(store: MemoryStore, most: int) -> Iterator[tuple[str, int]]:
    """Bytes of all values, every one of short values."""
    chance = random.Random(1)
    for key, value in sorted(store.values.items()):
        count = min(len(value), most)
        yield from ((key, at) for at in sorted(chance.sample(range(len(value)), count)))


def flipped(content: bytes, at: int, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    damaged[at] ^= 1 << chance.randrange(8)
    return bytes(damaged)


@pytest.mark.parametrize("part", [False, True], ids=["all", "part"])
def test_any_flipped_bit(remote: Damageable, part: bool) -> None:
    chance = random.Random(2)
    refused = 0
    chosen = [*places(remote.store, 32)]
    assert len(chosen) > 300
    assert remote.fetch(MemoryTransport(remote.store), part) is None
    for key, at in chosen:
        error = remote.fetch(remote.with_value(key, flipped(remote.store.values[key], at, chance)), part)
        refused += error is not None
        assert "\n" not in str(error)
        if error is not None and not key.startswith("commits/"):
            # A commit that is flipped may name another file; that one is named then.
            assert key in str(error) or (key == "format" and "belongs to another remote" in str(error))
            assert isinstance(error, RemoteCorrupt)
    assert refused > len(chosen) / 3


@pytest.mark.parametrize("part", [False, True], ids=["all", "part"])
def test_any_value_that_is_cut_short_or_empty_or_longer_or_gone(remote: Damageable, part: bool) -> None:
    for key, value in remote.store.values.items():
        for content in (None, b"", value[:1], value[: len(value) // 2], value[:-1], value + b"x", value[::-1]):
            if content == value:
                continue
            error = remote.fetch(remote.with_value(key, content), part)
            if content is not None and (len(content) > len(value) or key.endswith("1")) and error is None:
                continue  # A reader of ranges does not see what follows, nor one of the newest commit the others.
            if key == "commits/00000000000000000001":
                assert error is None
            elif key == "commits/00000000000000000002" and content is None:
                assert isinstance(error, ObjectError)  # The remote as it was before.
            elif content is None or not key.startswith("packs/"):
                assert key in str(error) or (key == "format" and content is None)
            elif error is not None:
                assert key in str(error)


def test_values_that_stand_in_each_others_places(remote: Damageable) -> None:
    keys = sorted(remote.store.values)
    for key in keys:
        for other in keys:
            if key != other:
                error = remote.fetch(remote.with_value(key, remote.store.values[other]), part=False)
                assert (error is None) == (key == "commits/00000000000000000001")


# -- verification


def test_a_sound_remote(remote: Damageable) -> None:
    report = remote.verify(MemoryTransport(remote.store))
    assert report.faults == ()
    assert report.refs == 2
    packs = [value for key, value in remote.store.values.items() if key.startswith("packs/")]
    assert report.size == sum(map(len, packs))
    assert report.objects == (len(SMALL) + 1) + 3 + (4 + 1)  # Blobs and trees; chunks and their recipe.


def test_every_flipped_bit_of_a_pack_is_reported(remote: Damageable) -> None:
    chance = random.Random(3)
    owned = 0
    for key, at in places(remote.store, 60):
        if not key.startswith("packs/"):
            continue
        damaged = remote.with_value(key, flipped(remote.store.values[key], at, chance))
        faults = remote.verify(damaged).faults
        assert faults[0].digest is None
        assert key in faults[0].where
        assert "another digest" in faults[0].reason
        names = {str(ref.name) for ref in remote.refs}
        # What cannot be fetched any more is told by its owner; a wrong byte in a pack's own table harms nobody.
        lost = {owner for fault in faults for owner in fault.owners}
        assert lost <= names
        assert bool(faults[1:]) == bool(lost) == bool(faults[0].owners)
        assert (remote.fetch(damaged, part=False) is None) <= (not lost)
        owned += bool(lost)
    assert owned > 20


def test_a_missing_pack_is_reported_with_all_that_is_lost(remote: Damageable) -> None:
    for key in MemoryTransport(remote.store).list("packs/"):
        faults = remote.verify(remote.with_value(key, None)).faults
        assert key in faults[0].where
        owners = {owner for fault in faults for owner in fault.owners}
        assert len(owners) == 1
        assert faults[0].owners == tuple(owners)
        assert all(key in fault.reason for fault in faults[1:])


def test_only_those_who_need_it_are_named(ann: Machine, bob: Machine) -> None:
    """One chunk of a file that two share, a small file of one, and a file of nobody in the same pack."""
    shared = noise(3 * SMALL_CHUNKS)
    refs = keep(ann.cache, {b"large": shared, b"a": noise(50, 1)}, {b"b": noise(50, 2), b"other": shared}, {b"c": b"c"})
    memory = MemoryTransport(memory_remote())
    ann.push(memory, *refs)
    names = [str(ref.name) for ref in refs]

    def owners_after(piece: bytes) -> dict[Digest | None, tuple[str, ...]]:
        (key,) = [key for key in memory.list("packs/") if piece in memory.get(key)]
        content = memory.get(key)
        at = content.index(piece) + 10
        memory.store.values[key] = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        report = verify(bob.remote(memory))
        memory.store.values[key] = content
        return {fault.digest: fault.owners for fault in report.faults}

    both = tuple(sorted(names[:2]))
    assert owners_after(shared[SMALL_CHUNKS : 2 * SMALL_CHUNKS]) == {None: both, blob_digest(shared): both}
    assert verify(bob.remote(memory)).faults == ()


def test_a_sample_reads_a_part(ann: Machine, bob: Machine) -> None:
    memory = MemoryTransport(memory_remote())
    for number in range(10):
        ann.push(memory, *keep(ann.cache, {b"%d" % number: noise(100, number)}))
    whole = verify(bob.remote(memory))
    sampled = verify(bob.remote(memory), sample=0.3, seed=1)
    assert sampled == verify(bob.remote(memory), sample=0.3, seed=1)
    assert sampled.objects == 6
    assert whole.objects == 20
    assert sampled.refs == whole.refs == 10
    assert verify(bob.remote(memory), sample=0.0, seed=1).objects == 2


def test_what_is_not_in_a_sample_must_be_there_all_the_same(ann: Machine, bob: Machine) -> None:
    memory = MemoryTransport(memory_remote())
    for number in range(10):
        ann.push(memory, *keep(ann.cache, {b"%d" % number: noise(100, number)}))
    for number, key in enumerate(memory.list("packs/")):
        content = memory.store.values.pop(key)
        if number % 2:
            memory.store.values[key] = content[:-1]
        (fault, *lost) = verify(bob.remote(memory), sample=0.1, seed=1).faults
        assert key in fault.where
        assert bool(lost) == (number % 2 == 0)
        memory.store.values[key] = content
    assert verify(bob.remote(memory), sample=0.1, seed=1).faults == ()


def test_a_collection_beside_a_verification_is_no_fault(ann: Machine, bob: Machine) -> None:
    memory = MemoryTransport(memory_remote())
    refs = keep(ann.cache, {b"kept": b"kept"}, {b"dropped": b"dropped"})
    for ref in refs:
        ann.push(memory, ref)
    drop_refs(ann.remote(memory), ANN, [refs[0].name])

    class Meanwhile(WrappedTransport):
        collected = 0

        def around(self, name: str, key: str, action: Callable[[], Result]) -> Result:
            if key.startswith("packs/") and not self.collected:
                self.collected += 1
                collect(ann.remote(memory), replace(ANN, now=ANN.now + 10 * 86400), keep=0)
            return action()

    before = memory.list("packs/")
    watched = Meanwhile(memory)
    report = verify(bob.remote(watched))
    assert watched.collected == 1
    assert len(memory.list("packs/")) < len(before)
    assert (report.faults, report.refs) == ((), 1)


def test_a_newest_commit_that_cannot_be_read_is_an_error(remote: Damageable) -> None:
    key = "commits/00000000000000000002"
    with pytest.raises(RemoteCorrupt) as caught:
        remote.verify(remote.with_value(key, remote.store.values[key][:-1]))
    assert caught.value.key == key


@pytest.mark.parametrize("prefix", ["indexes/", "refs/", "commits/00000000000000000001"])
@pytest.mark.parametrize("change", [lambda value: value[:-1], lambda value: None], ids=["shorter", "gone"])
def test_any_other_file_that_is_damaged_is_reported(
    remote: Damageable, prefix: str, change: Callable[[bytes], bytes | None]
) -> None:
    keys = MemoryTransport(remote.store).list(prefix)
    assert keys
    for key in keys:
        damaged = remote.with_value(key, change(remote.store.values[key]))
        faults = remote.verify(damaged).faults
        assert key in faults[0].where
        # What only an index leads to is lost with it.
        lost = {owner for fault in faults for owner in fault.owners}
        assert len(lost) == (prefix == "indexes/")
        assert lost == {owner for fault in faults[1:] for owner in fault.owners}


def test_this_machines_copies_are_not_believed(ann: Machine, remote: Damageable) -> None:
    """Who has pushed has a copy of all indexes and ref segments, and reads none of them from the remote."""
    assert verify(ann.remote(MemoryTransport(remote.store))).faults == ()
    keys = [key for key in remote.store.values if key.startswith(("indexes/", "refs/"))]
    assert len(keys) == 4
    for key in keys:
        damaged = remote.with_value(key, flipped(remote.store.values[key], 20, random.Random(4)))
        (fault,) = verify(ann.remote(damaged)).faults
        assert key in fault.where


# -- what a writer did wrong, under right digests


def publish(machine: Machine, memory: MemoryTransport, ref: Ref, *entries: tuple[bytes, int, bytes]) -> Digest:
    """Commit a pack with these entries, whatever they hold, and a ref; the pack's name."""
    builder = PackBuilder(bytes(NONCE_SIZE))
    pieces = [builder.header()]
    for digest, kind, content in entries:
        pieces.append(builder.block(Codec.RAW, content, len(content), [BlockEntry(digest, kind, 0, len(content))]))
    pieces.append(builder.finish())
    memory.put(pack_key(builder.digest), b"".join(pieces))
    remote = machine.remote(memory)
    pack = IndexedPack(builder.digest, builder.length, builder.table)
    remote.append(remote.latest(), Session.begin(0), ANN, "push", [pack], {ref.name: ref})
    return builder.digest


def blob_ref(content: bytes) -> Ref:
    digest = blob_digest(content)
    return Ref(snapshot_ref(digest), digest, ObjectKind.BLOB)


FIRST, SECOND = noise(SMALL_CHUNKS, 1), noise(SMALL_CHUNKS, 2)
WHOLE = FIRST + SECOND
WRONG = noise(2 * SMALL_CHUNKS)


def recipe_of(blob: bytes, *chunks: bytes) -> tuple[bytes, int, bytes]:
    named = tuple(Chunk(blob_digest(chunk), len(chunk)) for chunk in chunks)
    recipe = Recipe(blob_digest(blob), sum(map(len, chunks)), named)
    return blob_digest(blob), EntryKindInPack.RECIPE, encode_recipe(recipe)


def chunk_of(content: bytes) -> tuple[bytes, int, bytes]:
    return blob_digest(content), EntryKindInPack.BLOB, content


@pytest.mark.parametrize(
    "entries",
    [
        [recipe_of(WHOLE, FIRST, WRONG[:100]), chunk_of(FIRST), chunk_of(WRONG[:100])],
        [recipe_of(WHOLE, SECOND, FIRST), chunk_of(FIRST), chunk_of(SECOND)],
        [recipe_of(WHOLE, WHOLE[:-1]), chunk_of(WHOLE[:-1])],
        [(blob_digest(WHOLE), EntryKindInPack.RECIPE, b"no recipe")],
        [(blob_digest(WHOLE), EntryKindInPack.BLOB, WRONG)],
        [(blob_digest(WHOLE), EntryKindInPack.TREE, WHOLE)],
        [(blob_digest(WHOLE), EntryKindInPack.BLOB, b"")],
    ],
    ids=["other chunks", "another order", "shorter", "no recipe", "other content", "a tree", "empty"],
)
def test_content_that_is_not_what_its_name_says(
    ann: Machine, bob: Machine, memory: MemoryTransport, entries: list[tuple[bytes, int, bytes]]
) -> None:
    ref = blob_ref(WHOLE)
    pack = publish(ann, memory, ref, *entries)
    with pytest.raises(RemoteCorrupt) as caught:
        bob.fetch(memory, ref)
    assert caught.value.key == pack_key(pack)
    assert str(ref.digest) in str(caught.value)
    with pytest.raises(RemoteCorrupt):
        Reader(bob.remote(memory), bob.remote(memory).latest()).read(ref.digest)
    assert bob.cache.refs() == []
    assert not any((bob.cache.path / "objects").iterdir())
    assert list((bob.cache.path / "tmp").iterdir()) == []


def test_a_recipe_without_its_chunks(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    ref = blob_ref(WHOLE)
    publish(ann, memory, ref, recipe_of(WHOLE, FIRST, SECOND), chunk_of(FIRST))
    with pytest.raises(ObjectError, match=str(blob_digest(SECOND))):
        bob.fetch(memory, ref)
    (fault,) = verify(bob.remote(memory)).faults
    assert fault.digest == ref.digest
    assert fault.owners == (str(ref.name),)
    assert str(blob_digest(SECOND)) in fault.reason


def test_a_ref_without_its_object(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    ref = blob_ref(WHOLE)
    publish(ann, memory, ref, chunk_of(b"another"))
    (fault,) = verify(bob.remote(memory)).faults
    assert (fault.digest, fault.owners) == (ref.digest, (str(ref.name),))
    tree = Ref(snapshot_ref(ref.digest), ref.digest, ObjectKind.TREE)
    with pytest.raises(ObjectError):
        bob.fetch(memory, tree)
