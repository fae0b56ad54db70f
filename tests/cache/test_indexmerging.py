"""Indexes stay few, however many publications there are."""

from __future__ import annotations

import random

import pytest

from hitsave.cache.indexmerging import choose_indexes, merge_small_indexes
from hitsave.cache.store import Cache
from hitsave.maintenance.collect import collect, forget
from hitsave.maintenance.verify import verify
from hitsave.objects.refs import Ref, snapshot_ref
from tests.cache.calls import a_call, add_call, result_of
from tests.cache.content import files_of, store

NOW = 1000


def test_of_no_size_many_indexes_remain_and_entries_are_seldom_written() -> None:
    chance = random.Random(1)
    indexes: dict[bytes, int] = {}
    written = 0
    for number in range(3000):
        indexes[b"%d" % number] = chance.randint(600, 1200)
        while names := choose_indexes(indexes):
            total = sum(indexes.pop(name) for name in names)
            indexes[b"merged %d" % number + names[0]] = total
            written += total
    entries = sum(indexes.values())
    assert len([count for count in indexes.values() if count <= 1 << 18]) <= 3 * 6
    assert len(indexes) <= 3 * 6 + entries / (1 << 18)
    assert written <= 6 * entries


def call(cache: Cache, number: int) -> Ref:
    evaluation, result = a_call(number)
    with cache.intake(inbox=True) as intake:
        ref = add_call(intake, evaluation, result)
        intake.publish([ref])
    return ref


def test_everything_is_found_after_a_merge(cache: Cache) -> None:
    trees = [store(cache, {b"a": b"%d" % number}) for number in range(10)]
    refs = []
    with Cache.open(cache.path) as other:
        for number in range(20):
            refs.append(call(cache, number))
            cache.pack_inbox()
            assert result_of(other, refs[number // 2].digest)
        for opened in (cache, other):
            assert len(opened.packset.indexes()) <= 9
            assert [files_of(opened, tree) for tree in trees] == [{b"a": b"%d" % number} for number in range(10)]
            assert [result_of(opened, ref.digest) for ref in refs] == [b"result of %d" % n for n in range(20)]
    assert len(list((cache.path / "indexes").iterdir())) == len(cache.packset.indexes())
    assert verify(cache).faults == ()
    forget(cache, [ref.name for ref in refs[:10]], NOW)
    assert len(collect(cache, NOW).objects) == 20
    assert verify(cache).faults == ()
    assert [result_of(cache, ref.digest) for ref in refs[10:]] == [b"result of %d" % n for n in range(10, 20)]


def test_nothing_comes_back_that_was_collected_meanwhile(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    trees = [store(cache, {b"a": b"%d" % number}) for number in range(5)]
    with Cache.open(cache.path) as other, cache.intake() as workshop:
        forget(other, [snapshot_ref(trees[0])], NOW)
        writing = cache.database.writing
        collected: list[int] = []

        def collected_before() -> object:
            monkeypatch.undo()
            collected.append(len(collect(other, NOW).objects))
            return writing()

        monkeypatch.setattr(cache.database, "writing", collected_before)
        assert merge_small_indexes(cache.path, cache.database, cache.packset, workshop.folder) == 0
        assert collected == [2]
        assert not cache.has(trees[0])
        assert merge_small_indexes(cache.path, cache.database, cache.packset, workshop.folder) == 4
    assert not cache.has(trees[0])
    assert [files_of(cache, tree) for tree in trees[1:]] == [{b"a": b"%d" % number} for number in range(1, 5)]
    assert verify(cache).faults == ()
