"""Collections of a remote: what goes, what stays, and for how long. Interleavings are in `test_collection_stateful`."""

from __future__ import annotations

from pathlib import Path

import pytest

from hitsave.errors import ObjectNotFound, RefError, RemoteCorrupt
from hitsave.objects.refs import Ref
from hitsave.packing.commit import decode_commit
from hitsave.remotes.collection import packplan, retention
from hitsave.remotes.collection.collect import Collected, collect
from hitsave.remotes.collection.dropping import bring_back, drop_refs
from hitsave.remotes.commits.keys import COMMITS, pack_key
from hitsave.remotes.commits.log import Author
from hitsave.remotes.transports.folder import FolderTransport
from hitsave.remotes.transports.protocol import Transport
from hitsave.remotes.writing.push import push
from tests.remotes.content import SMALL_CHUNKS, Machine, check_remote, keep, noise, read_folder
from tests.remotes.transports import CountingTransport, FaultyTransport, Lost, MemoryTransport

DAY = 86400
NOW = 1_800_000_000


def at(days: float) -> Author:
    return Author("ann@lab", NOW + round(days * DAY))


def gc(machine: Machine, transport: Transport, days: float, keep_days: float = 14, *drop: Ref) -> Collected:
    return collect(machine.remote(transport), at(days), round(keep_days * DAY), [ref.name for ref in drop])


def push_at(machine: Machine, transport: Transport, days: float, *refs: Ref) -> None:
    push(machine.remote(transport), machine.cache, refs, at(days))


def forget(machine: Machine, transport: Transport, days: float, *refs: Ref) -> None:
    dropped = drop_refs(machine.remote(transport), at(days), [ref.name for ref in refs])
    assert [ref.name for ref in dropped] == [ref.name for ref in refs]


def files(transport: MemoryTransport) -> set[str]:
    return set(transport.list(""))


@pytest.fixture
def two(ann: Machine, memory: MemoryTransport) -> tuple[Ref, Ref]:
    """Two versions that share one file, pushed one after the other."""
    (old,) = keep(ann.cache, {b"same": noise(3000, 1), b"large": noise(5 * SMALL_CHUNKS, 2), b"old": noise(9000, 3)})
    push_at(ann, memory, 0, old)
    (new,) = keep(ann.cache, {b"same": noise(3000, 1), b"large": noise(5 * SMALL_CHUNKS, 4), b"new": noise(9000, 5)})
    push_at(ann, memory, 1, new)
    return old, new


# -- what goes and what stays


def test_a_remote_with_nothing_to_collect_is_left_alone(
    ann: Machine, memory: MemoryTransport, two: tuple[Ref, Ref]
) -> None:
    before = dict(memory.store.values)
    assert gc(ann, memory, 2) == Collected()
    assert gc(ann, memory, 2, 14) == Collected()
    assert memory.store.values == before


def test_an_empty_remote(ann: Machine, memory: MemoryTransport) -> None:
    assert gc(ann, memory, 0) == Collected()


def test_what_is_forgotten_goes_when_nobody_can_bring_it_back(
    ann: Machine, bob: Machine, memory: MemoryTransport, two: tuple[Ref, Ref]
) -> None:
    old, new = two
    whole = memory.store.size()
    forget(ann, memory, 2, old)
    soon = gc(ann, memory, 3)
    assert (soon.freed, soon.objects > 0, soon.kept > 0) == (0, True, True)
    assert memory.store.size() >= whole
    check_remote(bob, memory, new)
    late = gc(ann, memory, 18)
    assert late.freed > 5 * SMALL_CHUNKS
    assert memory.store.size() < 0.6 * whole
    check_remote(bob, memory, new)
    bob.fetch(memory, new)
    assert read_folder(bob.cache, new.digest)[b"same"] == noise(3000, 1)
    assert gc(ann, memory, 19) == Collected()


def test_dropping_and_collecting_at_once(
    ann: Machine, bob: Machine, memory: MemoryTransport, two: tuple[Ref, Ref]
) -> None:
    old, new = two
    done = gc(ann, memory, 2, 0, old)
    assert [ref.name for ref in done.dropped] == [old.name]
    assert done.freed > 5 * SMALL_CHUNKS
    assert len(memory.list(COMMITS)) == 1
    check_remote(bob, memory, new)


def test_when_everything_is_dropped_nothing_is_left(
    ann: Machine, memory: MemoryTransport, two: tuple[Ref, Ref]
) -> None:
    gc(ann, memory, 2, 0, *two)
    assert files(memory) == {"format", *memory.list(COMMITS)}
    assert len(memory.list(COMMITS)) == 1
    assert ann.remote(memory).latest().refs() == {}


def test_a_dry_run_changes_nothing_and_tells_the_same(
    ann: Machine, memory: MemoryTransport, two: tuple[Ref, Ref]
) -> None:
    old, _ = two
    before = dict(memory.store.values)
    told = collect(ann.remote(memory), at(2), 0, [old.name], dry_run=True)
    assert memory.store.values == before
    done = gc(ann, memory, 2, 0, old)
    assert (told.dropped, told.objects, told.size) == (done.dropped, done.objects, done.size)
    assert told.freed <= done.freed


def test_what_was_pushed_again_after_it_was_dropped_is_whole(
    ann: Machine, bob: Machine, memory: MemoryTransport, two: tuple[Ref, Ref]
) -> None:
    """Dead entries stay in packs that are mostly alive. Whoever has such an object sends it with all beneath it."""
    old, new = two
    (third,) = keep(
        ann.cache, {b"deep": {b"deeper": {b"a": noise(2000, 6), b"b": noise(70_000, 7)}}, b"c": noise(90_000, 8)}
    )
    push_at(ann, memory, 1, third)
    (fourth,) = keep(ann.cache, {b"c": noise(90_000, 8)})
    push_at(ann, memory, 1, fourth)
    gc(ann, memory, 2, 0, old, third)
    check_remote(bob, memory, new, fourth)
    push_at(ann, memory, 3, third)
    check_remote(bob, memory, new, third, fourth)
    bob.fetch(memory, third)


# -- packs


def test_packs_that_are_mostly_dead_are_rewritten(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    many = [{b"%d" % number: noise(4000, number)} for number in range(40)]
    refs = keep(ann.cache, *many)
    push_at(ann, memory, 0, *refs)
    assert len(memory.list("packs/")) == 1
    (before,) = memory.list("packs/")
    dense = gc(ann, memory, 1, 0, *refs[:5])
    assert (dense.rewritten, memory.list("packs/")) == (0, [before])
    sparse = gc(ann, memory, 2, 0, *refs[5:25])
    assert 15 * 4000 < sparse.rewritten < 16 * 5000
    assert before not in memory.list("packs/")
    check_remote(bob, memory, *refs[25:])
    bob.fetch(memory, *refs[25:])
    assert [read_folder(bob.cache, ref.digest) for ref in refs[25:]] == many[25:]


def test_many_small_packs_are_put_together(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    refs = []
    for number in range(packplan.MOST_SMALL + 2):
        refs += keep(ann.cache, {b"name": noise(500, number)})
        push_at(ann, memory, 0, refs[-1])
    assert len(memory.list("packs/")) == packplan.MOST_SMALL + 2
    gc(ann, memory, 1, 0)
    assert len(memory.list("packs/")) == len(memory.list("indexes/")) == len(memory.list("refs/")) == 1
    check_remote(bob, memory, *refs)
    assert gc(ann, memory, 2, 0) == Collected()


# -- requests


def test_a_collection_lists_the_remote_once_and_asks_each_dead_pack_once_whose_it_is(
    ann: Machine, memory: MemoryTransport, two: tuple[Ref, Ref]
) -> None:
    packs = memory.list("packs/")
    counting = CountingTransport(memory)
    gc(ann, counting, 2, 0, *two)
    assert memory.list("packs/") == []
    scanned = [key for name, key in counting.keys if name == "scan"]
    assert scanned == ["packs/", "indexes/", "refs/", "probe/", "claims/", "public/"]
    assert sorted(counting.got("packs/")) == packs


def test_a_collection_that_was_overtaken_lists_the_remote_again(
    ann: Machine, bob: Machine, memory: MemoryTransport, two: tuple[Ref, Ref]
) -> None:
    (other,) = keep(bob.cache, {b"of bob": noise(9000, 6)})

    class Meanwhile(CountingTransport):
        """Somebody pushes before the first commit of the collection."""

        def put(self, key: str, content: object) -> None:
            if key.startswith(COMMITS) and not self.made(COMMITS):
                push_at(bob, memory, 2, other)
            super().put(key, content)  # type: ignore[arg-type]

    counting = Meanwhile(memory)
    gc(ann, counting, 2, 0, *two)
    lists = ["packs/", "indexes/", "refs/"]
    assert [key for name, key in counting.keys if name == "scan"] == [*lists, *lists, "probe/", "claims/", "public/"]
    check_remote(bob, memory, other)
    assert len(memory.list("packs/")) == len(memory.list("indexes/")) == len(memory.list("refs/")) == 1


# -- bringing back


def test_what_was_dropped_comes_back_while_its_commit_is_retained(
    ann: Machine, bob: Machine, memory: MemoryTransport, two: tuple[Ref, Ref]
) -> None:
    old, new = two
    forget(ann, memory, 2, old)
    gc(ann, memory, 3)
    undone = bring_back(bob.remote(memory), at(4))
    assert (undone.operation, [ref.name for ref in undone.refs]) == ("forget", [old.name])
    check_remote(bob, memory, old, new)
    bob.fetch(memory, old)
    gc(ann, memory, 40, 0)
    check_remote(bob, memory, old, new)
    with pytest.raises(RefError, match="nothing to undo"):
        bring_back(ann.remote(memory), at(41))


def test_a_collection_that_dropped_refs_can_be_undone(
    ann: Machine, bob: Machine, memory: MemoryTransport, two: tuple[Ref, Ref]
) -> None:
    old, new = two
    gc(ann, memory, 2, 14, old, new)
    assert ann.remote(memory).latest().refs() == {}
    undone = bring_back(ann.remote(memory), at(3))
    assert (undone.operation, len(undone.refs)) == ("gc", 2)
    check_remote(bob, memory, old, new)


def test_what_has_expired_does_not_come_back(ann: Machine, memory: MemoryTransport, two: tuple[Ref, Ref]) -> None:
    forget(ann, memory, 2, two[0])
    gc(ann, memory, 30)
    with pytest.raises(RefError, match="nothing to undo"):
        bring_back(ann.remote(memory), at(31))


# -- sessions


def test_what_a_dead_push_left_goes_after_a_day_and_a_live_one_is_left_alone(
    ann: Machine, bob: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = FolderTransport(tmp_path / "remote")
    ann.remote(transport, create=True)
    (old,) = keep(ann.cache, {b"a": b"a"})
    push_at(ann, transport, 0, old)
    (new,) = keep(ann.cache, {b"b": noise(9000)})
    dying = FaultyTransport(transport, 3, after=True)
    with pytest.raises(Lost):
        ann.push(dying, new)
    orphans = set(transport.list("packs/")) - {pack_key(pack) for pack in bob.remote(transport).latest().pack_lengths()}
    assert len(orphans) == 1
    # The store's clock is that of this machine; so is `now`.
    modified = max(listed.modified for listed in transport.scan("packs/"))
    collect(bob.remote(transport), Author("bob", modified + retention.ORPHAN_LIFE - 5), 0)
    assert orphans <= set(transport.list("packs/"))
    collect(bob.remote(transport), Author("bob", modified + retention.ORPHAN_LIFE + 5), 0)
    assert not orphans & set(transport.list("packs/"))
    fences = decode_commit(transport.get(transport.list(COMMITS)[-1])).fenced
    assert fences
    # The session that was taken for dead wakes, and starts over.
    ann.push(transport, new)
    check_remote(bob, transport, old, new)


def test_a_push_during_which_its_session_is_fenced_starts_over(
    ann: Machine, bob: Machine, memory: MemoryTransport
) -> None:
    (old,) = keep(ann.cache, {b"a": b"a"})
    ann.push(memory, old)
    (new,) = keep(ann.cache, {b"b": noise(9000)})

    class Meanwhile(CountingTransport):
        """A collection takes everybody for dead between the packs of a push and its commit."""

        def put(self, key: str, content: object) -> None:
            if key.startswith(COMMITS) and not self.requests["delete"]:
                self.requests["delete"] += 1
                collect(bob.remote(memory), Author("bob", NOW), 0)
            super().put(key, content)  # type: ignore[arg-type]

    meanwhile = Meanwhile(memory)
    ann.push(meanwhile, new)
    assert len(meanwhile.made("packs/")) == 2
    check_remote(bob, memory, old, new)
    bob.fetch(memory, new)


# -- damage


@pytest.mark.parametrize("length", [0, 10, 24, 5000])
def test_a_pack_that_does_not_say_whose_it_is_goes_with_the_commits_that_named_it(
    ann: Machine, bob: Machine, memory: MemoryTransport, length: int
) -> None:
    (old,) = keep(ann.cache, {b"old": noise(9000, 1)})
    push_at(ann, memory, 0, old)
    (pack,) = memory.list("packs/")
    (new,) = keep(ann.cache, {b"new": noise(9000, 2)})
    push_at(ann, memory, 1, new)
    memory.store.values[pack] = bytes(length)
    gc(ann, memory, 2, 14, old)
    gc(ann, memory, 15)
    assert pack in memory.list("packs/")
    assert gc(ann, memory, 30).freed >= length
    assert pack not in memory.list("packs/")
    check_remote(bob, memory, new)
    assert gc(ann, memory, 31) == Collected()


def test_nothing_goes_of_which_somebody_may_be_the_owner(
    ann: Machine, memory: MemoryTransport, two: tuple[Ref, Ref]
) -> None:
    """A session that may still commit, and strangers' files."""
    strange = "packs/00/" + "0" * 64 + ".pack"
    memory.store.values[strange] = b"no pack"
    (_, pack) = memory.list("packs/")[:2]
    memory.store.values[pack] = bytes(1000)
    gc(ann, memory, 2, 0, *two)
    assert memory.list("packs/") == [strange, pack]
    gc(ann, memory, 40, 0)
    assert memory.list("packs/") == [strange, pack]


@pytest.mark.parametrize(("prefix", "kept_at_the_end"), [("packs/", 230), ("indexes/", 0), ("refs/", 0)])
def test_what_cannot_be_followed_forbids_the_collection(
    ann: Machine, bob: Machine, memory: MemoryTransport, prefix: str, kept_at_the_end: int
) -> None:
    (old,) = keep(ann.cache, {b"a": {b"b": noise(9000, 1)}})
    (new,) = keep(ann.cache, {b"a": {b"b": noise(9000, 2)}})
    push_at(ann, memory, 0, old)
    push_at(ann, memory, 0, new)
    for key in memory.list(prefix):
        content = memory.store.values[key]
        end = len(content) - kept_at_the_end
        memory.store.values[key] = content[:24] + bytes(end - 24) + content[end:]
    before = dict(memory.store.values)
    with pytest.raises((RemoteCorrupt, ObjectNotFound)):
        gc(bob, memory, 30, 0, old)
    assert {key: value for key, value in memory.store.values.items() if key in before} == before
