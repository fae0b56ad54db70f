"""Mark and sweep in the cache, and the way back."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from hitsave.cache.intake import WHOLE_FROM
from hitsave.cache.store import Cache
from hitsave.errors import CorruptObject, RefError, ReliedOnLost
from hitsave.maintenance import collect as collecting
from hitsave.maintenance.collect import collect, forget, undo
from hitsave.maintenance.verify import verify
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.encoding import encode_tree, tree_from
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import snapshot_ref
from tests.cache.content import add_tree, all_files_of, files_of, ref_to, store

DAY = 24 * 3600


def numbered(first: int, last: int) -> dict[bytes, bytes]:
    return {b"%04d" % number: b"%d," % number * 100 for number in range(first, last)}


def drop(cache: Cache, *digests: Digest, now: int = 1000) -> None:
    forget(cache, [snapshot_ref(digest) for digest in digests], now)


def test_what_is_owned_stays(cache: Cache) -> None:
    digest = store(cache, numbered(0, 50))
    assert collect(cache, now=1000).objects == ()
    assert files_of(cache, digest) == numbered(0, 50)


def test_what_two_own_stays_until_both_forget(cache: Cache) -> None:
    shared = os.urandom(WHOLE_FROM)
    first = store(cache, {**numbered(0, 60), b"shared": shared, b"own": os.urandom(WHOLE_FROM)})
    second = store(cache, {**numbered(40, 90), b"shared": shared})
    drop(cache, first)
    collected = collect(cache, now=1000)
    assert len(collected.objects) == 40 + 1 + 1  # Small files, the one large file of its own, the tree.
    assert not cache.has(first)
    assert files_of(cache, second) == {**numbered(40, 90), b"shared": shared}
    assert verify(cache).faults == ()
    drop(cache, second)
    collect(cache, now=1000, keep_seconds=0)
    assert [path for path in cache.path.rglob("*") if path.suffix == ".pack" or len(path.name) == 64] == []


def test_a_dry_run_names_the_former_owner_and_takes_nothing(cache: Cache) -> None:
    digest = store(cache, numbered(0, 3))
    drop(cache, digest)
    before = sorted(cache.path.rglob("*"))
    collected = collect(cache, now=1000, dry_run=True)
    assert {item.former_owner for item in collected.objects} == {f"snapshots/{digest}"}
    assert collected.freed_bytes == sum(map(len, numbered(0, 3).values())) + len(cache.read(digest))
    assert sorted(cache.path.rglob("*")) == before


def test_undo_brings_back_objects_and_their_refs(cache: Cache) -> None:
    files = {**numbered(0, 60), b"large": os.urandom(WHOLE_FROM)}
    first = store(cache, files)
    second = store(cache, numbered(30, 90))
    drop(cache, first)
    collect(cache, now=1000)
    undone = undo(cache)
    assert undone.operation == "gc"
    assert [ref.digest for ref in undone.refs] == [first]
    assert files_of(cache, first) == files
    assert files_of(cache, second) == numbered(30, 90)
    assert verify(cache).faults == ()
    assert collect(cache, now=1000).objects == ()


def test_undo_of_forget(cache: Cache) -> None:
    digest = store(cache, numbered(0, 5))
    drop(cache, digest)
    assert cache.refs() == []
    assert undo(cache).operation == "forget"
    assert [ref.digest for ref in cache.refs()] == [digest]
    with pytest.raises(RefError, match="nothing to undo"):
        undo(cache)


def test_undo_goes_back_step_by_step(cache: Cache) -> None:
    first, second = store(cache, numbered(0, 5)), store(cache, numbered(10, 15))
    drop(cache, first)
    collect(cache, now=1000)
    drop(cache, second)
    collect(cache, now=1001)
    undo(cache)
    assert cache.has(second)
    assert not cache.has(first)
    undo(cache)
    assert files_of(cache, first) == numbered(0, 5)


def test_the_trash_is_emptied_when_it_is_old(cache: Cache) -> None:
    digest = store(cache, numbered(0, 5))
    drop(cache, digest)
    collect(cache, now=1000, keep_seconds=14 * DAY)
    assert collect(cache, now=1000 + 13 * DAY, keep_seconds=14 * DAY).purged_bytes == 0
    assert collect(cache, now=1000 + 14 * DAY, keep_seconds=14 * DAY).purged_bytes > 0
    with pytest.raises(RefError, match="nothing to undo"):
        undo(cache)


def test_forget_is_all_or_nothing(cache: Cache) -> None:
    digest = store(cache, numbered(0, 5))
    with pytest.raises(RefError, match="there is no ref"):
        forget(cache, [snapshot_ref(digest), snapshot_ref(blob_digest(b"?"))], 1000)
    assert len(cache.refs()) == 1


def test_a_tree_that_cannot_be_read_forbids_the_sweep(cache: Cache) -> None:
    store(cache, numbered(0, 5))
    pack = cache.pack_path(cache.packs()[0].digest)
    orphan = store(cache, numbered(10, 15))
    drop(cache, orphan)
    pack.chmod(0o644)
    pack.write_bytes(bytes(pack.stat().st_size))
    cache.packset.forget_files()
    with pytest.raises(CorruptObject, match="nothing was collected"):
        collect(cache, now=1000)
    assert cache.has(orphan)


def test_an_intake_that_relied_on_what_was_collected_is_told(cache: Cache) -> None:
    old = store(cache, numbered(0, 10))
    with cache.intake() as intake:
        digest = add_tree(intake, numbered(0, 20))
        drop(cache, old)
        collect(cache, now=1000)
        with pytest.raises(ReliedOnLost):
            intake.publish([ref_to(digest)])
    assert cache.refs() == []
    assert store(cache, numbered(0, 20)) == digest
    assert files_of(cache, digest) == numbered(0, 20)


def test_an_intake_under_way_loses_nothing_of_its_own(cache: Cache) -> None:
    with cache.intake() as intake:
        digest = add_tree(intake, {**numbered(0, 20), b"large": b"z" * WHOLE_FROM})
        collect(cache, now=1000)
        intake.publish([ref_to(digest)])
    assert files_of(cache, digest) == {**numbered(0, 20), b"large": b"z" * WHOLE_FROM}


def test_leftovers_of_dead_processes_are_removed(cache: Cache) -> None:
    store(cache, numbered(0, 5))
    dead = cache.path / "tmp" / "0123456789abcdef"
    dead.mkdir()
    (dead / "lock").touch()
    (dead / "pack").write_bytes(b"half a pack")
    (cache.path / "packs" / f"{'0' * 64}.pack").write_bytes(b"nobody's")
    collect(cache, now=1000)
    assert not dead.exists()
    assert len(list((cache.path / "packs").iterdir())) == 1


def test_what_was_fetched_beneath_a_partial_ref_meanwhile_stays(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    with Cache.open(cache.path.parent / "elsewhere") as elsewhere, elsewhere.intake() as intake:
        inner = add_tree(intake, {b"file": b"content"})
        content = encode_tree(tree_from([TreeEntry(b"inner", EntryKind.TREE, inner, len(b"content"))]))
        outer = intake.add(ObjectKind.TREE, content)
        intake.publish([ref_to(outer)])
    with cache.intake() as intake:
        intake.add(ObjectKind.TREE, content)
        intake.publish([ref_to(outer)], partial=True)

    def fetch_the_rest() -> None:
        with cache.intake() as intake:
            add_tree(intake, {b"file": b"content"})
            intake.publish([ref_to(outer)], [outer])

    _before_finding_dead(monkeypatch, fetch_the_rest)
    collect(cache, now=1000)
    assert all_files_of(cache, outer, ObjectKind.TREE) == {b"inner/file": b"content"}
    assert verify(cache).faults == ()


def test_the_same_things_added_and_forgotten_without_end_do_not_keep_it_from_its_end(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(cache, store(cache, numbered(0, 10)))
    other = store(cache, numbered(10, 20))
    drop(cache, other)
    marked = collecting.mark

    def forget_and_mark(cache: Cache, seen: collecting.Live | None = None) -> collecting.Live:
        if seen is None and cache.ref(snapshot_ref(other)) is not None:
            drop(cache, other)
        return marked(cache, seen)

    monkeypatch.setattr(collecting, "mark", forget_and_mark)
    _before_finding_dead(monkeypatch, lambda: store(cache, numbered(10, 20)))
    assert len(collect(cache, now=1000).objects) == 10 + 1
    assert files_of(cache, other) == numbered(10, 20)


def _before_finding_dead(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let something else happen in each attempt of a collection, between its two looks."""
    find_dead = collecting.find_dead

    def act_and_find(*arguments: Any) -> list[collecting.Dead]:
        act()
        return find_dead(*arguments)

    monkeypatch.setattr(collecting, "find_dead", act_and_find)
