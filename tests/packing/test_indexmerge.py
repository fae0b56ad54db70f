"""Indexes made of parts of others: the same as encoding what the parts hold."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from hitsave.objects.digest import Digest
from hitsave.packing.index import Index, IndexedPack, encode_index
from hitsave.packing.indexmerge import IndexPart, MergedIndex
from hitsave.packing.pack import ENTRY_RECORD, Block, PackTable


@st.composite
def packs(draw: st.DrawFn) -> IndexedPack:
    blocks = tuple(Block(24 + 10 * number, 10, 1000, 0) for number in range(draw(st.integers(1, 3))))
    # Few digests, so that packs share some.
    digests = draw(st.lists(st.integers(0, 40), max_size=12))
    entries = {
        ENTRY_RECORD.pack(bytes([number * 6, number]) * 16, draw(st.integers(0, len(blocks) - 1)), at, 5, 1)
        for at, number in enumerate(digests)
    }
    return IndexedPack(Digest(os.urandom(32)), 500, PackTable(blocks, tuple(sorted(entries))))


def merge(parts: list[IndexPart]) -> bytes:
    return b"".join(MergedIndex(parts).pieces())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(packs(), max_size=3), min_size=1, max_size=4))
def test_whole_indexes(groups: list[list[IndexedPack]]) -> None:
    parts = [IndexPart(Index(encode_index(group))) for group in groups]
    assert merge(parts) == encode_index(pack for group in groups for pack in group)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(packs(), max_size=3), min_size=1, max_size=3), st.data())
def test_chosen_packs_and_entries(groups: list[list[IndexedPack]], data: st.DataObject) -> None:
    parts: list[IndexPart] = []
    expected: list[IndexedPack] = []
    for group in groups:
        index = Index(encode_index(group))
        marks = data.draw(st.lists(st.booleans(), min_size=index.entry_count, max_size=index.entry_count))
        only = bytes(marks)
        chosen = {pack.digest for pack in group if data.draw(st.booleans())}
        parts.append(IndexPart(index, chosen, only))
        expected += [pack for pack in index.tables(only=only) if pack.digest in chosen]
    merged = MergedIndex(parts)
    assert b"".join(merged.pieces()) == encode_index(expected)
    assert merged.entries == sum(len(pack.table.records) for pack in expected)


@given(st.lists(packs(), min_size=1, max_size=3), st.data())
def test_of_a_pack_that_several_have_all_entries_are_taken(several: list[IndexedPack], data: st.DataObject) -> None:
    """Collections leave out dead entries, so that each of two indexes may have what the other one lacks."""
    parts: list[IndexPart] = []
    held: list[set[bytes]] = [set() for _ in several]
    for _ in range(data.draw(st.integers(1, 3))):
        partial: list[IndexedPack] = []
        for pack, kept in zip(several, held, strict=True):
            records = tuple(record for record in pack.table.records if data.draw(st.booleans()))
            kept.update(records)
            partial.append(pack._replace(table=PackTable(pack.table.blocks, records)))
        parts.append(IndexPart(Index(encode_index(partial))))
    whole = [
        pack._replace(table=PackTable(pack.table.blocks, tuple(sorted(kept))))
        for pack, kept in zip(several, held, strict=True)
    ]
    merged = MergedIndex(parts)
    assert b"".join(merged.pieces()) == encode_index(whole)
    assert merged.entries == sum(map(len, held))


def test_nothing() -> None:
    assert merge([]) == encode_index([])
    assert merge([IndexPart(Index(encode_index([])))]) == encode_index([])
