"""Large files whose list of chunks is cut into parts: sent, read, collected and verified like any other."""

from __future__ import annotations

import pytest

from hitsave.errors import RemoteCorrupt
from hitsave.packing import recipe as recipes
from hitsave.packing.blocks import EntryKindInPack
from hitsave.remotes.collection.collect import collect
from hitsave.remotes.commits.log import Author
from hitsave.remotes.verification.verify import verify
from tests.remotes.content import SMALL_CHUNKS, Machine, check_remote, keep, noise, read_folder
from tests.remotes.transports import CountingTransport, MemoryTransport

CHUNKS = 600
LARGE = noise(CHUNKS * SMALL_CHUNKS)
#: With fixed chunks, a byte that is changed in its place changes one chunk.
CHANGED = LARGE[: 300 * SMALL_CHUNKS] + b"x" + LARGE[300 * SMALL_CHUNKS + 1 :]


@pytest.fixture(autouse=True)
def short_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "MOST_CHUNKS", 64)


def kinds_in(machine: Machine, transport: MemoryTransport) -> list[int]:
    view = machine.remote(transport).latest()
    return [entry.kind for pack in view.packs() for entry in pack.table.entries()]


def test_a_change_sends_a_part_of_the_list(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    (before,) = keep(ann.cache, {b"large": LARGE})
    (after,) = keep(ann.cache, {b"large": CHANGED})
    ann.push(memory, before)
    kinds = kinds_in(ann, memory)
    assert kinds.count(EntryKindInPack.RECIPE) == 1
    assert kinds.count(EntryKindInPack.BLOB) > CHUNKS + CHUNKS // 64
    counting = CountingTransport(memory)
    pushed = ann.push(counting, after)
    # A chunk, a part or two of at most 64 records, the list of parts, and the tree: not the list of 600 chunks.
    assert pushed.sent - SMALL_CHUNKS < 2 * 64 * 36 + 2000 < CHUNKS * 36
    check_remote(bob, memory, before, after)
    bob.fetch(memory, before, after)
    assert read_folder(bob.cache, before.digest) == {b"large": LARGE}
    assert read_folder(bob.cache, after.digest) == {b"large": CHANGED}


def test_a_collection_keeps_the_parts_that_are_needed(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    (before,) = keep(ann.cache, {b"large": LARGE})
    (after,) = keep(ann.cache, {b"large": CHANGED})
    ann.push(memory, before, after)
    done = collect(ann.remote(memory), Author("ann", 1), 0, [before.name])
    assert done.objects >= 3
    check_remote(bob, memory, after)
    bob.fetch(memory, after)
    assert read_folder(bob.cache, after.digest) == {b"large": CHANGED}


def test_a_part_that_is_damaged_is_an_error(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    (ref,) = keep(ann.cache, {b"large": LARGE})
    ann.push(memory, ref)
    view = ann.remote(memory).latest()
    (recipe,) = [
        (pack, entry) for pack in view.packs() for entry in pack.table.entries() if entry.kind == EntryKindInPack.RECIPE
    ]
    pack, entry = recipe
    block = pack.table.blocks[entry.block]
    key = f"packs/{pack.digest.hex()[:2]}/{pack.digest}.pack"
    content = bytearray(memory.store.values[key])
    content[block.offset + 5] ^= 1  # The parts lie before the recipe.
    memory.store.values[key] = bytes(content)
    with pytest.raises(RemoteCorrupt, match=str(pack.digest)):
        bob.fetch(memory, ref)
    assert str(ref.name) in {owner for fault in verify(bob.remote(memory)).faults for owner in fault.owners}
