"""Marking: what is reachable, without recursion and without forgiving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.errors import MalformedObject, ObjectNotFound
from hitsave.objects.digest import Digest, ObjectKind, blob_digest, evaluation_digest, tree_digest
from hitsave.objects.encoding import encode_tree, tree_from
from hitsave.objects.evaluation import (
    Acceptance,
    BlobLink,
    Evaluation,
    Extra,
    ShownArgument,
    TakenSnapshot,
    encode_evaluation,
)
from hitsave.objects.graph import Link, links, reachable
from hitsave.objects.model import EntryKind, TreeEntry
from tests.objects.values import modest


class Store:
    """Trees in memory; counts how often each was read."""

    def __init__(self) -> None:
        self.trees: dict[Digest, bytes] = {}
        self.reads: list[Digest] = []

    def put(self, children: Mapping[bytes, tuple[Digest, EntryKind]]) -> Digest:
        """Keep a tree."""
        encoded = encode_tree(
            tree_from(TreeEntry(name, kind, digest, 1, 1) for name, (digest, kind) in children.items())
        )
        digest = tree_digest(encoded)
        self.trees[digest] = encoded
        return digest

    def load(self, digest: Digest) -> bytes:
        """Read a tree."""
        self.reads.append(digest)
        try:
            return self.trees[digest]
        except KeyError:
            raise ObjectNotFound(str(digest)) from None


FILE = EntryKind.FILE
TREE = EntryKind.TREE
BLOB = blob_digest(b"content")


def test_links_name_every_entry_with_its_kind() -> None:
    digests = [Digest(bytes([number]) * 32) for number in range(4)]
    entries = [TreeEntry(b"%d" % kind, kind, digests[kind - 1], 10 + kind) for kind in EntryKind]
    found = list(links(ObjectKind.TREE, encode_tree(tree_from(entries))))
    beneath = (ObjectKind.BLOB, ObjectKind.BLOB, ObjectKind.TREE, ObjectKind.BLOB)
    assert found == [Link(digests[at], beneath[at], 11 + at) for at in range(4)]
    assert list(links(ObjectKind.BLOB, b"hst\x01 any bytes")) == []


def test_an_evaluation_links_to_all_that_it_needs() -> None:
    digests = [Digest(bytes([number]) * 32) for number in range(8)]
    evaluation = Evaluation(
        function="a.f",
        code=Digest(b"\x33" * 32),
        arguments=Digest(b"\x44" * 32),
        manifest=BlobLink(digests[0], 10),
        result=BlobLink(digests[1], 11),
        buffers=(BlobLink(digests[2], 12), BlobLink(digests[3], 13)),
        reason=BlobLink(digests[4], 14),
        display=BlobLink(digests[7], 17),
        snapshots=(
            TakenSnapshot(digests[5], ObjectKind.TREE, 15, "cats/a"),
            TakenSnapshot(digests[6], ObjectKind.BLOB, 16),
        ),
        shown=(ShownArgument("x", Digest(b"\x55" * 32), "5"),),
        extras=(Extra("a.g", Digest(b"\x66" * 32)),),
    )
    kinds = [ObjectKind.TREE if number == 5 else ObjectKind.BLOB for number in range(8)]
    found = list(links(ObjectKind.EVALUATION, encode_evaluation(evaluation)))
    assert sorted(found) == [Link(digests[number], kinds[number], 10 + number) for number in range(8)]
    without = replace(evaluation, display=None, reason=None, buffers=(), snapshots=())
    assert {link.digest for link in links(ObjectKind.EVALUATION, encode_evaluation(without))} == set(digests[:2])


def test_an_acceptance_links_to_its_manifest() -> None:
    acceptance = Acceptance(function="a.f", accepts=BLOB, code=Digest(bytes(32)), manifest=BlobLink(BLOB, 7))
    found = list(links(ObjectKind.EVALUATION, encode_evaluation(acceptance)))
    assert found == [Link(BLOB, ObjectKind.BLOB, 7)]


def test_what_an_evaluation_links_to_is_marked_with_all_beneath() -> None:
    store = Store()
    tree = store.put({b"file": (BLOB, FILE)})
    manifest, result = blob_digest(b"manifest"), blob_digest(b"result")
    encoded = encode_evaluation(
        Evaluation(
            function="a.f",
            code=Digest(bytes(32)),
            arguments=Digest(bytes(32)),
            manifest=BlobLink(manifest, 8),
            result=BlobLink(result, 6),
            snapshots=(TakenSnapshot(tree, ObjectKind.TREE, 7),),
        )
    )
    evaluation = evaluation_digest(encoded)
    store.trees[evaluation] = encoded
    found = reachable([(evaluation, ObjectKind.EVALUATION)], store.load)
    assert found == {
        evaluation: ObjectKind.EVALUATION,
        tree: ObjectKind.TREE,
        **dict.fromkeys((manifest, result, BLOB), ObjectKind.BLOB),
    }


def test_an_evaluation_that_cannot_be_decoded_stops_the_mark() -> None:
    store = Store()
    store.trees[BLOB] = b"{}\n"
    with pytest.raises(MalformedObject):
        reachable([(BLOB, ObjectKind.EVALUATION)], store.load)


def test_a_blob_is_never_loaded() -> None:
    store = Store()
    assert reachable([(BLOB, ObjectKind.BLOB)], store.load) == {BLOB: ObjectKind.BLOB}
    assert not store.reads


def test_nothing_is_reachable_from_nothing() -> None:
    assert reachable([], Store().load) == {}


def test_a_diamond_is_read_once() -> None:
    store = Store()
    bottom = store.put({b"file": (BLOB, FILE)})
    left = store.put({b"l": (bottom, TREE), b"same": (BLOB, FILE)})
    right = store.put({b"r": (bottom, TREE), b"again": (bottom, TREE)})
    top = store.put({b"a": (left, TREE), b"b": (right, TREE), b"c": (left, TREE)})
    found = reachable([(top, ObjectKind.TREE), (left, ObjectKind.TREE), (top, ObjectKind.TREE)], store.load)
    assert found == {**dict.fromkeys((top, left, right, bottom), ObjectKind.TREE), BLOB: ObjectKind.BLOB}
    assert sorted(store.reads) == sorted((top, left, right, bottom))


def test_diamonds_on_diamonds_are_not_paths() -> None:
    store = Store()
    digest = store.put({})
    for _ in range(200):  # 2^200 paths from the top to the bottom.
        digest = store.put({b"a": (digest, TREE), b"b": (digest, TREE)})
    assert len(reachable([(digest, ObjectKind.TREE)], store.load)) == 201


def test_a_chain_of_a_hundred_thousand_directories_does_not_recurse() -> None:
    store = Store()
    digest = store.put({b"file": (BLOB, FILE)})
    for _ in range(100_000):
        digest = store.put({b"d": (digest, TREE)})
    assert len(reachable([(digest, ObjectKind.TREE)], store.load)) == 100_002


def test_a_missing_tree_stops_the_mark() -> None:
    store = Store()
    lost = Digest(b"\x11" * 32)
    top = store.put({b"a": (lost, TREE), b"b": (store.put({}), TREE)})
    with pytest.raises(ObjectNotFound, match=str(lost)):
        reachable([(top, ObjectKind.TREE)], store.load)


def test_a_malformed_tree_stops_the_mark() -> None:
    store = Store()
    store.trees[BLOB] = b"not a tree"
    with pytest.raises(MalformedObject):
        reachable([(store.put({b"a": (BLOB, TREE)}), ObjectKind.TREE)], store.load)


def test_any_other_error_of_load_comes_through() -> None:
    def load(digest: Digest) -> bytes:
        raise PermissionError(str(digest))

    with pytest.raises(PermissionError):
        reachable([(BLOB, ObjectKind.TREE)], load)


def test_a_second_mark_costs_only_what_is_new() -> None:
    store = Store()
    shared = store.put({b"file": (BLOB, FILE)})
    first = store.put({b"shared": (shared, TREE)})
    second = store.put({b"shared": (shared, TREE), b"other": (blob_digest(b"other"), FILE)})
    seen: dict[Digest, ObjectKind] = {}
    assert reachable([(first, ObjectKind.TREE)], store.load, seen) is seen
    assert seen.keys() == {first, shared, BLOB}
    store.reads.clear()
    assert reachable([(second, ObjectKind.TREE), (first, ObjectKind.TREE)], store.load, seen) is seen
    assert store.reads == [second]
    assert seen.keys() == {first, second, shared, BLOB, blob_digest(b"other")}


def test_what_is_seen_is_not_looked_into() -> None:
    store = Store()
    unreadable = Digest(b"\x22" * 32)
    top = store.put({b"a": (unreadable, TREE)})
    assert reachable([(top, ObjectKind.TREE)], store.load, {unreadable: ObjectKind.TREE}).keys() == {top, unreadable}


@modest
@given(
    st.lists(st.lists(st.integers(0, 30), max_size=4), min_size=1, max_size=15),
    st.lists(st.integers(0, 30), max_size=4),
    st.lists(st.integers(0, 30), max_size=4),
)
def test_marks_agree_with_a_search_by_sets(shape: list[list[int]], first: list[int], second: list[int]) -> None:
    """Tree number n names blobs and trees before it, so that any shape is a graph without cycles."""
    store = Store()
    made: list[tuple[Digest, EntryKind]] = [(blob_digest(bytes([number])), FILE) for number in range(3)]
    beneath: dict[Digest, set[Digest]] = {digest: {digest} for digest, _ in made}
    for children in shape:
        inner = [made[child % len(made)] for child in children]
        digest = store.put({b"%d" % at: child for at, child in enumerate(inner)})
        made.append((digest, TREE))
        beneath[digest] = {digest}.union(*(beneath[child] for child, _ in inner))
    kinds = {digest: ObjectKind.TREE if kind is TREE else ObjectKind.BLOB for digest, kind in made}

    def mark(picked: list[int], seen: dict[Digest, ObjectKind]) -> set[Digest]:
        roots = [made[number % len(made)][0] for number in picked]
        reachable([(root, kinds[root]) for root in roots], store.load, seen)
        return set().union(*(beneath[root] for root in roots))

    seen: dict[Digest, ObjectKind] = {}
    expected = mark(first, seen)
    assert seen == {digest: kinds[digest] for digest in expected}
    expected |= mark(second, seen)
    assert seen == {digest: kinds[digest] for digest in expected}
    assert len(store.reads) == len(set(store.reads))
