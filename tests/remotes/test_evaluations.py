"""Evaluations in a remote take with them what they need, and hold it there."""

from __future__ import annotations

import pytest

from hitsave.errors import CorruptObject
from hitsave.objects.digest import ObjectKind
from hitsave.objects.evaluation import TakenSnapshot
from hitsave.objects.graph import links
from hitsave.remotes.collection.collect import collect
from hitsave.remotes.collection.dropping import bring_back, drop_refs
from hitsave.remotes.verification.repair import repair
from hitsave.remotes.verification.verify import verify
from tests.cache.calls import a_call, add_call, keep_call, result_of
from tests.remotes.content import ANN, Machine, check_remote, noise, put_folder, read_folder
from tests.remotes.evaluations import BUFFERS, REASON, TAKEN, TAKEN_FILE, evaluation_of, keep_acceptance, keep_full_call
from tests.remotes.transports import MemoryTransport


def test_an_evaluation_goes_and_comes_with_all_that_it_needs(
    ann: Machine, bob: Machine, memory: MemoryTransport
) -> None:
    ref = keep_full_call(ann.cache)
    pushed = ann.push(memory, ref)
    assert pushed.objects == len(ann.cache.reachable([(ref.digest, ref.kind)])) == 11
    check_remote(bob, memory, ref)

    bob.fetch(memory, ref)
    assert bob.cache.ref(ref.name) == ref
    assert not bob.cache.is_partial(ref.name)
    assert result_of(bob.cache, ref.digest) == b"result of 1"
    evaluation = evaluation_of(bob.cache, ref.digest)
    tree, file = evaluation.snapshots
    assert read_folder(bob.cache, tree.digest) == TAKEN
    assert bob.cache.read(file.digest) == TAKEN_FILE
    assert evaluation.reason is not None
    assert bob.cache.read(evaluation.reason.digest) == REASON
    assert tuple(bob.cache.read(buffer.digest) for buffer in evaluation.buffers) == BUFFERS
    assert [row.digest for row in bob.cache.evaluations.of("pkg.f")] == [ref.digest]
    assert bob.fetch(memory, ref).objects == 0


def test_where_paths_decide_nothing_comes_that_lies_beneath_an_evaluation(
    ann: Machine, bob: Machine, memory: MemoryTransport
) -> None:
    ref = keep_full_call(ann.cache)
    ann.push(memory, ref)
    assert bob.fetch(memory, ref, include=lambda path: True).objects == 1
    assert bob.cache.missing(link.digest for link in links(ref.kind, bob.cache.read(ref.digest)))


def test_an_acceptance_goes_and_comes_with_its_manifest(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    ref = keep_acceptance(ann.cache)
    assert ann.push(memory, ref).objects == 2
    assert bob.fetch(memory, ref).objects == 2
    assert bob.cache.read(ref.digest) == ann.cache.read(ref.digest)
    check_remote(bob, memory, ref)


def test_a_remote_keeps_what_evaluations_need_and_no_more(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    ref, word, other = keep_full_call(ann.cache), keep_acceptance(ann.cache), keep_call(ann.cache, 2)
    ann.push(memory, ref, word, other)
    remote = ann.remote(memory)
    assert collect(remote, ANN, keep=0).objects == 0
    check_remote(ann, memory, ref, word, other)

    # The other call's manifest is the first one's as well: only the record and its result die.
    assert drop_refs(remote, ANN, [other.name]) == [other]
    assert collect(remote, ANN, keep=0, dry_run=True).objects == 2
    assert collect(remote, ANN, keep=10**9).objects == 2
    assert bring_back(remote, ANN).refs == (other,)
    check_remote(ann, memory, ref, word, other)

    drop_refs(remote, ANN, [other.name, ref.name])
    collect(remote, ANN, keep=0)
    check_remote(bob, memory, word)
    held = bob.remote(memory).latest()
    assert held.has(word.digest)
    assert not held.has(ref.digest)
    assert not held.has(other.digest)


def test_what_a_remote_lost_of_evaluations_is_named_and_comes_back_from_a_cache(
    ann: Machine, bob: Machine, memory: MemoryTransport
) -> None:
    ref, word = keep_full_call(ann.cache), keep_acceptance(ann.cache)
    ann.push(memory, ref, word)
    for pack in [key for key in memory.store.values if key.startswith("packs/")]:
        content = memory.store.values[pack]
        memory.store.values[pack] = bytes(byte ^ 1 for byte in content)

    told = verify(bob.remote(memory))
    owners = {owner for fault in told.faults for owner in fault.owners}
    assert owners == {str(ref.name), str(word.name)}

    done = repair(ann.remote(memory), ann.cache, (), ANN)
    assert done.after.faults == ()
    check_remote(bob, memory, ref, word)
    bob.fetch(memory, ref, word)
    assert result_of(bob.cache, ref.digest) == b"result of 1"


def test_what_lies_in_the_inbox_is_sent_and_stays_there(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    packed = keep_full_call(ann.cache)
    with ann.cache.intake(inbox=True) as intake:
        tree = put_folder(intake, {b"sub": {b"file": b"file"}, b"large": noise(200_000, 6)})
        evaluation, result = a_call(2, snapshots=[TakenSnapshot(tree, ObjectKind.TREE, 200_004)])
        boxed = add_call(intake, evaluation, result)
        intake.publish([boxed])
    packs = ann.cache.packs()
    # Record, result, two trees and two files; the manifest is the other one's as well.
    assert ann.push(memory, boxed).objects == 7
    assert ann.push(memory, packed).objects == 10
    assert ann.cache.packs() == packs
    assert not ann.cache.inbox.empty
    check_remote(bob, memory, packed, boxed)
    bob.fetch(memory, boxed)
    assert read_folder(bob.cache, tree) == {b"sub": {b"file": b"file"}, b"large": noise(200_000, 6)}
    assert result_of(bob.cache, boxed.digest) == result


def test_a_damaged_object_in_the_inbox_is_not_sent(ann: Machine, memory: MemoryTransport) -> None:
    evaluation, result = a_call(1)
    with ann.cache.intake(inbox=True) as intake:
        ref = add_call(intake, evaluation, result)
        intake.publish([ref])
    with ann.cache.database.writing() as connection:
        connection.execute("UPDATE inbox SET content = ? WHERE content = ?", (b"result of 2", result))
    with pytest.raises(CorruptObject, match=str(evaluation.result.digest)):
        ann.push(memory, ref)
    assert ann.remote(memory).latest().commit is None
