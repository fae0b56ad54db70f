"""Parts of blobs out of a remote: the right bytes, out of the chunks that they lie in, whatever happens meanwhile."""

from __future__ import annotations

import random

import pytest

from hitsave.errors import ObjectError, ObjectNotFound, RemoteCorrupt
from hitsave.objects.digest import Digest, blob_digest
from hitsave.packing import recipe as recipes
from hitsave.packing.blocks import BLOCK_TARGET
from hitsave.remotes.collection.collect import collect
from hitsave.remotes.commits.log import Author
from hitsave.remotes.reading.partfile import PartFile
from hitsave.remotes.reading.parts import Outline, Parts
from hitsave.remotes.transports.protocol import Transport
from tests.remotes.content import ANN, SMALL_CHUNKS, Machine, keep, keep_blob, noise
from tests.remotes.transports import CountingTransport, MemoryTransport

CHUNKS = 200
#: The same chunk stands in it many times.
LARGE = noise(100 * SMALL_CHUNKS) + 50 * noise(SMALL_CHUNKS, 1) + noise(50 * SMALL_CHUNKS - 17, 2)


def parts_of(machine: Machine, transport: Transport, kept_bytes: int = 1 << 20) -> Parts:
    remote = machine.remote(transport)
    return Parts(remote, remote.latest(), kept_bytes)


@pytest.fixture(params=[1024, 8], ids=["flat", "of parts"])
def large(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, ann: Machine, memory: MemoryTransport
) -> Digest:
    """A large blob in the remote, with its list of chunks in one piece, and cut into parts."""
    monkeypatch.setattr(recipes, "MOST_CHUNKS", request.param)
    ref = keep_blob(ann.cache, LARGE)
    ann.push(memory, ref)
    return ref.digest


def test_any_range(bob: Machine, memory: MemoryTransport, large: Digest) -> None:
    parts = parts_of(bob, memory)
    assert parts.size(large) == len(LARGE)
    chance = random.Random(1)
    edges = [0, 1, SMALL_CHUNKS - 1, SMALL_CHUNKS, SMALL_CHUNKS + 1, 99 * SMALL_CHUNKS, 149 * SMALL_CHUNKS, len(LARGE)]
    ranges = [(start, stop) for start in edges for stop in edges]
    ranges += [(chance.randrange(len(LARGE)), chance.randrange(len(LARGE) + 10)) for _ in range(50)]
    found = parts.read((large, start, stop) for start, stop in ranges)
    assert found == [LARGE[start:stop] for start, stop in ranges]
    assert parts.read((large, start, stop) for start, stop in ranges[-3:]) == found[-3:]


def test_any_reads_of_a_file(bob: Machine, memory: MemoryTransport, large: Digest) -> None:
    chance = random.Random(2)
    with PartFile(parts_of(bob, memory), large) as file:
        at = 0
        for _ in range(300):
            if chance.random() < 0.3:
                at = file.seek(chance.randrange(len(LARGE) + 10))
            length = chance.choice([1, 100, 60_000, 65_536, 65_537, 300_000])
            content = chance.choice([file.read, file.read1, lambda size: file.peek(size)[:0]])(length)
            assert content == LARGE[at : at + len(content)]
            at += len(content)
            assert file.tell() == at
        file.seek(-10, 2)
        assert file.read() == LARGE[-10:]
        target = bytearray(200_000)
        file.seek(5)
        assert file.readinto(target) == 200_000
        assert target == LARGE[5:200_005]


def test_only_the_chunks_of_a_range_are_read(bob: Machine, memory: MemoryTransport, large: Digest) -> None:
    counting = CountingTransport(memory)
    parts = parts_of(bob, counting)
    parts.size(large)
    counting.reset()
    at = 150 * SMALL_CHUNKS
    assert parts.read([(large, at + 5, at + 10)]) == [LARGE[at + 5 : at + 10]]
    assert counting.received_from["packs"] < 2 * BLOCK_TARGET + 20_000  # A block of chunks; one with a list's parts.
    counting.reset()
    assert parts.read([(large, at + 7, at + 9)]) == [LARGE[at + 7 : at + 9]]
    assert counting.total == 0


def test_what_is_kept_is_bounded(bob: Machine, memory: MemoryTransport, large: Digest) -> None:
    counting = CountingTransport(memory)
    parts = parts_of(bob, counting, kept_bytes=1 << 20)
    assert parts.read([(large, 0, len(LARGE))]) == [LARGE]
    held = sum(len(content) for content in parts.reader._blocks.values())
    assert 0 < held == parts.reader._held <= 1 << 20
    counting.reset()
    assert parts.read([(large, 0, 10)]) == [LARGE[:10]]
    assert counting.received_from["packs"] > 0


def test_a_chunk_that_stands_in_it_many_times_is_read_once(
    bob: Machine, memory: MemoryTransport, large: Digest
) -> None:
    counting = CountingTransport(memory)
    parts = parts_of(bob, counting)
    parts.read([(large, 0, 1)])
    counting.reset()
    same = slice(100 * SMALL_CHUNKS, 150 * SMALL_CHUNKS)
    assert parts.read([(large, same.start, same.stop)]) == [LARGE[same]]
    assert counting.received_from["packs"] < 3 * BLOCK_TARGET


def test_small_and_empty_blobs(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    (ref,) = keep(ann.cache, {b"small": b"0123456789", b"empty": b""})
    ann.push(memory, ref)
    parts = parts_of(bob, memory)
    small, empty = blob_digest(b"0123456789"), blob_digest(b"")
    assert parts.read([(small, 3, 5), (empty, 0, 5), (small, 8, 20), (small, 20, 30)]) == [b"34", b"", b"89", b""]
    with PartFile(parts, empty) as file:
        assert (file.size, file.read(), file.read(10)) == (0, b"", b"")
    with pytest.raises(ObjectError, match="is a tree"):
        parts.size(ref.digest)
    with pytest.raises(ObjectNotFound, match="memory:"):
        parts.size(blob_digest(b"nowhere"))


def test_damage_names_the_pack(ann: Machine, bob: Machine, memory: MemoryTransport, large: Digest) -> None:
    view = ann.remote(memory).latest()
    damaged = [
        (pack, pack.table.blocks[entry.block])
        for pack in view.packs()
        for entry in pack.table.entries()
        if entry.digest == blob_digest(LARGE[:SMALL_CHUNKS])
    ]
    ((pack, block),) = damaged
    key = f"packs/{pack.digest.hex()[:2]}/{pack.digest}.pack"
    content = bytearray(memory.store.values[key])
    content[block.offset + 5] ^= 1
    memory.store.values[key] = bytes(content)
    parts = parts_of(bob, memory)
    with pytest.raises(RemoteCorrupt, match=str(pack.digest)):
        parts.read([(large, 0, 10)])
    at = 180 * SMALL_CHUNKS
    assert parts.read([(large, at, at + 10)]) == [LARGE[at : at + 10]]


def test_a_collection_may_move_what_is_being_read(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    dropped, kept = keep(ann.cache, {b"other": noise(400 * SMALL_CHUNKS, 3)}, {b"large": LARGE})
    ann.push(memory, dropped, kept)
    parts = parts_of(bob, memory)
    blob = blob_digest(LARGE)
    with PartFile(parts, blob) as file:
        assert file.read(10) == LARGE[:10]
        before = {key for key in memory.store.values if key.startswith("packs/")}
        collect(ann.remote(memory), Author("ann", ANN.now + 86_400), 0, [dropped.name])
        assert before - memory.store.values.keys()
        assert file.read() == LARGE[10:]


def test_an_outline_tells_what_covers_a_range() -> None:
    chunks = [recipes.Chunk(Digest(bytes([number] * 32)), length) for number, length in enumerate((10, 5, 1, 20))]
    outline = Outline(chunks)
    owners = [number for number, chunk in enumerate(chunks) for _ in range(chunk.length)]
    for start in range(40):
        for stop in range(40):
            found = [piece.digest[0] for piece in outline.covering(start, stop)]
            assert found == sorted(set(owners[start:stop]))
