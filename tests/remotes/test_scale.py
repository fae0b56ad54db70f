"""What docs/scale.md says of large remotes: counts, and memory where it must not grow with the entries of indexes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection, Iterable
from pathlib import Path

import pytest

from benchmarks.scale import datasets
from benchmarks.scale.jobs import look_up_by_ranges, make_part, mark, merge, pushes
from benchmarks.scale.running import run_job, simulate
from benchmarks.scale.simulation import PER_BLOCK, PER_PACK, Simulation, chunk_digests, make_packs
from hitsave.errors import RemoteUnsuitable
from hitsave.objects.digest import blob_digest
from hitsave.objects.refs import Ref
from hitsave.packing import index as indexes
from hitsave.packing import recipe as recipes
from hitsave.packing import refsegment
from hitsave.packing.blocks import EntryKindInPack
from hitsave.packing.commit import Commit, decode_commit
from hitsave.packing.index import Index, IndexedPack, encode_index
from hitsave.remotes.collection import marks as marking
from hitsave.remotes.collection.collect import collect
from hitsave.remotes.collection.dropping import drop_refs
from hitsave.remotes.commits.committed import FULL, MOST_FILES
from hitsave.remotes.commits.indexes import WHOLE_UP_TO
from hitsave.remotes.commits.keys import COMMITS, commit_key, index_key
from hitsave.remotes.commits.log import Author
from hitsave.remotes.transports.protocol import Transport
from hitsave.remotes.verification import verify as verification
from hitsave.remotes.verification.verify import packs_of
from tests.remotes.content import ANN, SMALL_CHUNKS, Machine, check_remote, keep, keep_blob, noise, read_folder
from tests.remotes.transports import MemoryTransport, WrappedTransport

MIB = 1 << 20
linux = pytest.mark.skipif(sys.platform != "linux", reason="memory and reading are told by /proc")


# -- a large index


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    """An index of 200,000 chunks, and the two that it was merged from."""
    simulation = Simulation(tmp_path_factory.mktemp("scale"))
    for entries in (120_000, 80_000):
        make_part(simulation, entries)
    merge(simulation, 0)
    return simulation


def test_an_index_has_56_bytes_for_each_chunk_of_large_files(simulation: Simulation) -> None:
    (whole,) = simulation.load("whole")
    assert whole.entries == 200_000
    assert whole.length > WHOLE_UP_TO
    packs = -(-120_000 // PER_PACK) - (-80_000 // PER_PACK)
    blocks = -(-120_000 // PER_BLOCK) - (-80_000 // PER_BLOCK)
    fanout = 4 << (200_000 // 16).bit_length()
    assert whole.length == 32 + 48 * packs + 24 * blocks + fanout + 48 * 200_000
    assert 56 < whole.length / whole.entries < 57


@linux
def test_lookups_read_the_fanout_and_a_bucket_each_and_copy_nothing(simulation: Simulation) -> None:
    (whole,) = simulation.load("whole")
    figures = run_job(simulation.folder, "look_up", 1000)
    assert figures["requests"] == 0
    fanout = 4 << (200_000 // 16).bit_length()
    heads = 48 * 300 + fanout
    # A bucket has up to 32 entries; half of the lookups find one, and read a block record.
    assert 2000 * 16 * 24 < figures["read"] < heads + 2000 * 32 * 48 + 1000 * 24 + 100_000
    assert figures["read"] < whole.length / 2
    assert figures["grown"] < 4 * MIB


@pytest.mark.parametrize(("count", "requests", "received"), [(1, 6, 20_000), (100, 330, 1_500_000)])
def test_lookups_by_ranges(simulation: Simulation, count: int, requests: int, received: int) -> None:
    figures = look_up_by_ranges(simulation, count)
    for name in ("scattered, whole", "neighbours, whole"):
        made, read = figures[name]
        assert 0 < made <= requests
        assert 1000 < read < received
    # Of what lies side by side, the records of blocks come together.
    assert figures["neighbours, whole"][1] <= figures["scattered, whole"][1]


def test_many_lookups_fetch_the_index_instead(simulation: Simulation) -> None:
    (whole,) = simulation.load("whole")
    assert look_up_by_ranges(simulation, 10_000)["scattered, whole"] == (1, whole.length)


def test_marking_and_weighing(simulation: Simulation) -> None:
    figures = mark(simulation, 130_000)
    assert figures["dead"] == 70_000
    # All packs of the first part stay, and of the second those of which more than half was marked.
    assert figures["stay"] == -(-120_000 // PER_PACK) + 10_000 // PER_PACK
    assert figures["gone"] == -(-80_000 // PER_PACK) - 10_000 // PER_PACK


@pytest.mark.parametrize("ask", ["find", "find_many", "locations"])
def test_few_block_records_are_kept(monkeypatch: pytest.MonkeyPatch, ask: str) -> None:
    monkeypatch.setattr(indexes, "_MOST_KNOWN", 50)
    index = Index(encode_index(make_packs(0, 3000)))
    digests = chunk_digests(0, 0, 3000)
    if ask == "find":
        found = [index.find(digest) for digest in digests]
    elif ask == "find_many":
        found = [*index.find_many(digests).values()]
    else:
        found = [*index.locations()]
    assert len({(location.pack, location.block) for location in found if location}) == 1000
    assert sorted(location.digest for location in found if location) == sorted(digests)
    assert len(index._known_blocks) <= 50


@linux
@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_an_index_of_20_million_chunks(tmp_path: Path) -> None:
    whole = simulate(tmp_path, 20_000_000)
    assert whole.entries == 20_000_000
    assert whole.length > 48 * whole.entries
    merged = run_job(tmp_path, "merge", 0)
    assert merged["length"] == whole.length
    assert merged["peak"] < 200 * MIB
    found = run_job(tmp_path, "look_up", 100_000)
    assert found["peak"] < 150 * MIB
    assert found["read"] < 250 * MIB
    assert found["requests"] == 0
    for count, requests, received in ((1, 6, 24_000), (100, 400, 2_000_000), (10_000, 15_000, 150_000_000)):
        made, read = run_job(tmp_path, "look_up_by_ranges", count)["scattered, whole"]
        assert made <= requests
        assert read < received
    marked = run_job(tmp_path, "mark", 2_000_000)
    assert marked["dead"] == 18_000_000
    assert marked["peak"] < 200 * MIB


# -- merging


def test_what_a_push_puts_together_is_bounded() -> None:
    figures = pushes(Simulation(Path()), 3000)
    for size in (10, 1000, 100_000, FULL - 1):
        found = figures[f"of {size}"]
        assert found["most"] < 2 * FULL
        assert found["largest"] < 2 * FULL
        # Full ones, and no more than MOST_FILES of others.
        assert found["files"] <= MOST_FILES + 3000 * size // FULL
        assert found["rewritten"] < 5


def test_refs_that_are_too_many_for_one_segment(
    ann: Machine, bob: Machine, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stay in several, and all of them can be read."""
    monkeypatch.setattr(refsegment, "LARGEST_BLOCK", 2000)
    refs: list[Ref] = []
    for number in range(MOST_FILES + 9):
        refs += keep(ann.cache, {b"name": b"content %d" % number})
        ann.push(memory, refs[-1])
    commit = decode_commit(memory.get(memory.list(COMMITS)[-1]))
    assert MOST_FILES < len(commit.refs) <= len(refs)
    assert sum(file.entries for file in commit.refs) == len(refs)
    drop_refs(ann.remote(memory), ANN, [refs[0].name])
    check_remote(bob, memory, *refs[1:])
    many = keep(ann.cache, *({b"%d" % number: b"other"} for number in range(20)))
    with pytest.raises(RemoteUnsuitable, match="20 refs are more than a segment holds"):
        ann.push(memory, *many)
    check_remote(bob, memory, *refs[1:])


# -- collections


class Meeting(WrappedTransport):
    """Reading one of some keys waits until another one of them is read, too."""

    def __init__(self, inner: Transport, keys: Iterable[str]) -> None:
        super().__init__(inner)
        self._keys = {*keys}
        self._barrier = threading.Barrier(2)
        self.met: list[str] = []

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        if key in self._keys:
            self._barrier.wait(20)
            self.met.append(key)
        return super().get(key, start, length)


@pytest.fixture
def history(ann: Machine, memory: MemoryTransport) -> list[Ref]:
    """Nine commits, each with an index of its own."""
    refs: list[Ref] = []
    for number in range(9):
        refs += keep(ann.cache, {b"name": b"content %d" % number})
        ann.push(memory, refs[-1])
    return refs


def commit_in(memory: MemoryTransport, number: int) -> Commit:
    return decode_commit(memory.get(commit_key(number)))


def test_retained_commits_are_read_side_by_side(ann: Machine, memory: MemoryTransport, history: list[Ref]) -> None:
    older = [commit_key(number) for number in range(1, 9)]
    meeting = Meeting(memory, older)
    collect(ann.remote(meeting), ANN, 10**9, dry_run=True)
    assert sorted(meeting.met) == older


def test_indexes_of_old_commits_are_read_side_by_side_and_not_held(
    ann: Machine, bob: Machine, memory: MemoryTransport, history: list[Ref]
) -> None:
    collect(ann.remote(memory), Author("ann", ANN.now + 1), 10**9, [ref.name for ref in history[:8]])
    before, after = commit_in(memory, 9), commit_in(memory, 10)
    only_before = sorted(index_key(file) for file in before.indexes if file not in after.indexes)
    even = only_before[len(only_before) % 2 :]
    assert len(even) >= 8
    meeting = Meeting(memory, even)
    remote = bob.remote(meeting)
    collect(remote, Author("bob", ANN.now + 2), 10**9, dry_run=True)
    assert sorted(meeting.met) == even
    assert remote.files._opened.keys() == {*after.indexes}


@pytest.mark.parametrize("at_once", [1, 4096])
def test_chunks_are_marked_part_by_part(
    ann: Machine, bob: Machine, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Also where a file has the very content of a part, which is marked before as what it is."""
    monkeypatch.setattr(recipes, "MOST_CHUNKS", 8)
    monkeypatch.setattr(marking, "_PARTS_AT_ONCE", at_once)
    large = noise(40 * SMALL_CHUNKS)
    changed = large[: 20 * SMALL_CHUNKS] + b"x" + large[20 * SMALL_CHUNKS + 1 :]
    size = len(large)
    chunks = [large[at : at + SMALL_CHUNKS] for at in range(0, size, SMALL_CHUNKS)]
    flat = recipes.Recipe(
        blob_digest(large), size, tuple(recipes.Chunk(blob_digest(chunk), len(chunk)) for chunk in chunks)
    )
    _, parts = recipes.split_recipe(flat)
    assert len(parts) >= 5
    same = [keep_blob(ann.cache, content) for content in parts.values()]
    (before, after) = keep(ann.cache, {b"large": large}, {b"large": changed})
    ann.push(memory, *same, before, after)
    kinds = [entry.kind for pack in ann.remote(memory).latest().packs() for entry in pack.table.entries()]
    assert kinds.count(EntryKindInPack.RECIPE) == 2
    collect(ann.remote(memory), Author("ann", ANN.now), 0, [after.name])
    check_remote(bob, memory, *same, before)
    bob.fetch(memory, before)
    assert read_folder(bob.cache, before.digest) == {b"large": large}


# -- verification


def test_packs_are_verified_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    every = [*make_packs(0, 10 * PER_PACK), *make_packs(1, 50)]
    ours, theirs = Index(encode_index(every[:6])), Index(encode_index(every[5:]))
    chosen = {pack.digest for pack in every[1::2]}
    expected = sorted(pack for pack in every if pack.digest in chosen)
    asked: list[int] = []
    tables = Index.tables

    def count(index: Index, leave_out: Collection[bytes]) -> list[IndexedPack]:
        asked.append(len(index.packs) - len(leave_out))
        return tables(index, leave_out)

    monkeypatch.setattr(Index, "tables", count)
    for at_once, most in ((2 * PER_PACK, 2), (1, 1), (10**6, 3)):
        monkeypatch.setattr(verification, "_ENTRIES_AT_ONCE", at_once)
        asked.clear()
        found = list(packs_of([ours, theirs], chosen))
        assert sorted(found) == expected
        assert len(found) == len(chosen)
        assert max(asked) == most
        assert sum(asked) == len(chosen) + 1  # One of them is in both.


# -- a dataset of many files


def test_requests_do_not_grow_with_the_files(tmp_path: Path) -> None:
    made: list[list[int]] = []
    received: list[int] = []
    for files in (2000, 12_000):
        folder = tmp_path / str(files)
        folder.mkdir()
        simulation = Simulation(folder)
        datasets.keep(simulation, files)
        first, again = datasets.push(simulation, 0), datasets.push(simulation, 0)
        datasets.change(simulation, files)
        changed = datasets.push(simulation, 1)
        one, hundred = (datasets.pull(simulation, count)["cold, of one folder"] for count in (1, 100))
        figures = [first, again, changed, one, hundred]
        assert again["sent"] == 0
        assert 2 * 1000 * 40 > changed["sent"] > 1000
        made.append([found["requests"] for found in figures])
        received.append(again["received"] + changed["received"])
    assert made[0][:3] == made[1][:3]  # The index of the larger one is read by parts when it is pulled.
    assert max(made[0] + made[1]) <= 12  # A ref segment is one of them.
    assert made[0][1] == 2
    assert max(received) < 3000
