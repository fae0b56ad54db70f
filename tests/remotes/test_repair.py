"""What is damaged in a remote is found, mended out of whatever has it, and sound afterwards; the rest is said."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from hitsave.cache.intake import WHOLE_FROM
from hitsave.errors import RemoteCorrupt
from hitsave.objects.digest import ObjectKind, blob_digest
from hitsave.objects.refs import Ref, snapshot_ref
from hitsave.packing.chunking import ContentChunking
from hitsave.packing.commit import Commit, RemoteFormat, decode_commit, encode_format
from hitsave.remotes.collection.collect import collect
from hitsave.remotes.collection.dropping import drop_refs
from hitsave.remotes.commits.keys import FORMAT_KEY, index_key
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.commits.view import View
from hitsave.remotes.transports.folder import FolderTransport
from hitsave.remotes.transports.protocol import Transport
from hitsave.remotes.verification.repair import RemoteRepair, repair
from hitsave.remotes.verification.verify import RemoteFault, verify
from tests.remotes.conftest import NewMachine
from tests.remotes.content import (
    ANN,
    SMALL_CHUNKS,
    Folder,
    Machine,
    check_remote,
    format_record,
    keep,
    keep_blob,
    memory_remote,
    noise,
    read_folder,
)
from tests.remotes.transports import FaultyTransport, Lost, MemoryStore, MemoryTransport, Result, WrappedTransport

BIG = noise(5 * SMALL_CHUNKS + 1000, 77)
assert len(BIG) > WHOLE_FROM
SMALL: Folder = {**{b"%d" % number: noise(700, number) for number in range(12)}, b"sub": {b"text": b"text " * 300}}
LARGE: Folder = {b"large": BIG, b"deep": {b"file": b"deep"}, b"empty": b""}
FOLDERS = [SMALL, LARGE]

Change = Callable[[bytes], bytes | None]


def flipped(content: bytes) -> bytes:
    return content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 4]) + content[len(content) // 2 + 1 :]


CHANGES: dict[str, Change] = {
    "flipped": flipped,
    "cut short": lambda content: content[: len(content) // 2],
    "longer": lambda content: content + b"x",
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "gone": lambda content: None,
}


def damage(store: MemoryStore, keys: Iterable[str], change: Change) -> None:
    for key in keys:
        changed = change(store.values[key])
        if changed is None:
            del store.values[key]
        else:
            store.values[key] = changed


def keys_of(store: MemoryStore, prefix: str) -> list[str]:
    return sorted(key for key in store.values if key.startswith(prefix))


def mend(machine: Machine, transport: Transport, *others: Transport) -> RemoteRepair:
    return repair(machine.remote(transport), machine.cache, [machine.remote(other) for other in others], ANN)


def forget_copies(machine: Machine) -> None:
    """The machine has seen nothing of any remote; what its cache holds stays."""
    for path in sorted((machine.folder / "remotes").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def check_whole(machine: Machine, transport: Transport, refs: list[Ref], folders: list[Folder]) -> None:
    """Who knows nothing yet finds nothing wrong, and gets everything as it was."""
    check_remote(machine, transport, *refs)
    machine.fetch(transport, *refs)
    assert [read_folder(machine.cache, ref.digest) for ref in refs] == folders


@pytest.fixture
def refs(ann: Machine, memory: MemoryTransport) -> list[Ref]:
    """Two datasets, pushed one after the other."""
    refs = keep(ann.cache, *FOLDERS)
    for ref in refs:
        ann.push(memory, ref)
    return refs


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("prefix", ["packs/", "indexes/", "refs/", "commits/00000000000000000001"])
@pytest.mark.parametrize("copies", [True, False], ids=["copies", "no copies"])
def test_whatever_is_damaged_is_mended_from_the_cache(
    ann: Machine,
    new_machine: NewMachine,
    memory: MemoryTransport,
    refs: list[Ref],
    prefix: str,
    change: Change,
    copies: bool,
) -> None:
    damage(memory.store, keys_of(memory.store, prefix), change)
    if not copies:
        forget_copies(ann)
    assert verify(new_machine().remote(memory)).faults
    done = mend(ann, memory)
    assert done.before.faults
    assert done.after.faults == ()
    check_whole(new_machine(), memory, refs, FOLDERS)
    before = dict(memory.store.values)
    assert mend(ann, memory).before.faults == ()
    assert memory.store.values == before


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("chunking", ["same", "other"])
def test_what_the_cache_lacks_comes_from_another_remote(
    ann: Machine, new_machine: NewMachine, memory: MemoryTransport, refs: list[Ref], change: Change, chunking: str
) -> None:
    other = MemoryTransport(memory_remote(SMALL_CHUNKS if chunking == "same" else 3 * SMALL_CHUNKS + 5))
    ann.push(other, *refs)
    damage(memory.store, keys_of(memory.store, "packs/"), change)
    done = mend(new_machine(), memory, other)
    assert done.before.faults
    assert done.after.faults == ()
    check_whole(new_machine(), memory, refs, FOLDERS)


def test_another_remote_that_is_damaged_helps_as_far_as_it_can(
    ann: Machine, new_machine: NewMachine, memory: MemoryTransport, refs: list[Ref]
) -> None:
    broken, other = MemoryTransport(memory_remote()), MemoryTransport(memory_remote())
    for transport in (broken, other):
        ann.push(transport, *refs)
    damage(broken.store, keys_of(broken.store, "packs/"), flipped)
    damage(memory.store, keys_of(memory.store, "packs/"), CHANGES["zeros"])
    unreachable = FaultyTransport(MemoryTransport(memory_remote()), at=2)
    remotes = [new_machine().remote(transport) for transport in (unreachable, broken, other)]
    done = repair(new_machine().remote(memory), new_machine().cache, remotes, ANN)
    assert done.after.faults == ()
    check_whole(new_machine(), memory, refs, FOLDERS)


def test_what_can_be_read_of_a_damaged_pack_is_not_sent_from_elsewhere(
    ann: Machine, bob: Machine, new_machine: NewMachine, memory: MemoryTransport
) -> None:
    (ref,) = keep(ann.cache, LARGE)
    ann.push(memory, ref)
    (key,) = [key for key in keys_of(memory.store, "packs/") if BIG[:1000] in memory.store.values[key]]
    at = memory.store.values[key].index(BIG[SMALL_CHUNKS : SMALL_CHUNKS + 1000])
    damage(memory.store, [key], lambda content: content[:at] + b"?" + content[at + 1 :])
    done = mend(bob, memory)
    (fault,) = done.after.faults
    assert fault.digest == blob_digest(BIG)
    assert fault.owners == (str(ref.name),)
    assert str(blob_digest(BIG[SMALL_CHUNKS : 2 * SMALL_CHUNKS])) in fault.reason
    # The chunk alone comes out of the whole file.
    done = mend(ann, memory)
    assert done.after.faults == ()
    assert SMALL_CHUNKS < done.sent < 2 * SMALL_CHUNKS
    check_whole(new_machine(), memory, [ref], [LARGE])


def test_what_nobody_has_is_listed_and_the_rest_stays_readable(
    ann: Machine, bob: Machine, new_machine: NewMachine, memory: MemoryTransport, refs: list[Ref]
) -> None:
    lost = noise(700, 5)
    (key,) = [key for key in keys_of(memory.store, "packs/") if lost in memory.store.values[key]]
    damage(memory.store, [key], lambda content: content.replace(lost, bytes(700)))
    done = mend(bob, memory)
    expected = RemoteFault(blob_digest(lost), memory.url, "the object is missing", (str(refs[0].name),))
    assert [fault.digest for fault in done.after.faults] == [expected.digest]
    assert done.after.faults[0].owners == expected.owners
    assert verify(new_machine().remote(memory)).faults == (expected,)
    machine = new_machine()
    machine.fetch(memory, *refs, include=lambda path: path != b"5")
    assert machine.cache.read(blob_digest(noise(700, 4))) == noise(700, 4)
    # There is nothing more to do, so nothing is done.
    before = dict(memory.store.values)
    assert mend(bob, memory).after.faults == (expected,)
    assert memory.store.values == before
    # The damaged pack is still there; whoever has the object brings it back.
    assert key in before
    assert mend(ann, memory).after.faults == ()
    check_whole(new_machine(), memory, refs, FOLDERS)


def test_who_has_what_is_lost_can_push_it_again(
    ann: Machine, bob: Machine, new_machine: NewMachine, memory: MemoryTransport
) -> None:
    ref = keep_blob(ann.cache, b"precious")
    ann.push(memory, ref)
    damage(memory.store, keys_of(memory.store, "packs/"), CHANGES["zeros"])
    assert mend(new_machine(), memory).after.faults
    (other,) = keep(bob.cache, {b"file": b"precious"})
    bob.push(memory, other)
    check_remote(new_machine(), memory, ref, other)


@pytest.mark.parametrize("change", [CHANGES["zeros"], CHANGES["gone"]], ids=["zeros", "gone"])
@pytest.mark.parametrize("source", ["cache", "remote"])
def test_a_list_of_chunks_in_parts(
    ann: Machine,
    new_machine: NewMachine,
    memory: MemoryTransport,
    monkeypatch: pytest.MonkeyPatch,
    change: Change,
    source: str,
) -> None:
    """Parts and recipe lie in a pack of their own here, which alone is damaged."""
    monkeypatch.setattr("hitsave.packing.recipe.MOST_CHUNKS", 2)
    ref = keep_blob(ann.cache, BIG)
    monkeypatch.setattr("hitsave.remotes.writing.packstream.SMALLEST_PACK", len(BIG) - 500)
    ann.push(memory, ref)
    other = MemoryTransport(memory_remote())
    ann.push(other, ref)
    lists = [key for key in keys_of(memory.store, "packs/") if b"HSRC" in memory.store.values[key]]
    assert len(lists) == 1 < len(keys_of(memory.store, "packs/"))
    damage(memory.store, lists, change)
    assert verify(new_machine().remote(memory)).faults[-1].digest == ref.digest
    done = mend(ann, memory) if source == "cache" else mend(new_machine(), memory, other)
    assert done.after.faults == ()
    machine = new_machine()
    machine.fetch(memory, ref)
    assert machine.cache.read(ref.digest) == BIG


# -- indexes


def test_a_damaged_file_of_an_older_commit_no_longer_stops_collections(
    ann: Machine, bob: Machine, new_machine: NewMachine, memory: MemoryTransport, refs: list[Ref]
) -> None:
    """A collection reads all commits that are retained, with all that they name."""
    drop_refs(ann.remote(memory), ANN, [refs[1].name])
    collect(ann.remote(memory), ANN, keep=10**9)
    newest = new_machine().remote(memory).latest()
    named = {index_key(file) for file in newest.index_files}
    older = [key for key in keys_of(memory.store, "indexes/") if key not in named]
    assert older
    damage(memory.store, older, flipped)
    with pytest.raises(RemoteCorrupt):
        collect(bob.remote(memory), ANN, keep=0)
    found = verify(bob.remote(memory)).faults
    assert [any(key in fault.where for fault in found) for key in older] == [True] * len(older) == [True] * len(found)
    assert mend(new_machine(), memory).after.faults == ()
    collect(bob.remote(memory), replace(ANN, now=ANN.now + 10 * 86400), keep=0)
    assert not {*older} & {*keys_of(memory.store, "indexes/")}
    check_whole(new_machine(), memory, refs[:1], FOLDERS[:1])


def test_damaged_files_go_with_the_next_collection(
    ann: Machine, new_machine: NewMachine, memory: MemoryTransport, refs: list[Ref]
) -> None:
    old = [key for prefix in ("packs/", "indexes/", "refs/") for key in keys_of(memory.store, prefix)]
    damage(memory.store, old, flipped)
    assert mend(ann, memory).after.faults == ()
    assert {*old} <= {*memory.store.values}
    collect(new_machine().remote(memory), replace(ANN, now=ANN.now + 10 * 86400), keep=0)
    # A pack of which the header is damaged tells no session; here it is the middle.
    assert not {*old} & {*memory.store.values}
    check_whole(new_machine(), memory, refs, FOLDERS)


def test_packs_of_a_push_that_did_not_commit_are_not_taken_for_the_lost_indexes(
    ann: Machine, bob: Machine, new_machine: NewMachine, memory: MemoryTransport, refs: list[Ref]
) -> None:
    """Half a closure in an index would keep the next push from sending the other half."""
    (other,) = keep(bob.cache, {b"x": b"of bob", b"y": noise(700, 3)})
    packs = len(keys_of(memory.store, "packs/"))
    with pytest.raises(Lost):
        bob.push(FaultyTransport(memory, at=_number_of_commit(bob, memory, other)), other)
    assert len(keys_of(memory.store, "packs/")) == packs + 1
    damage(memory.store, keys_of(memory.store, "indexes/"), flipped)
    forget_copies(ann)
    assert mend(ann, memory).after.faults == ()
    view = new_machine().remote(memory).latest()
    assert not view.has(other.digest)
    assert view.has(blob_digest(noise(700, 3)))
    bob.push(memory, other)
    check_whole(new_machine(), memory, [*refs, other], [*FOLDERS, {b"x": b"of bob", b"y": noise(700, 3)}])


def _number_of_commit(machine: Machine, memory: MemoryTransport, ref: Ref) -> int:
    """The number of the operation with which a push would commit."""
    scratch = MemoryStore()
    scratch.values, scratch.durable = dict(memory.store.values), set(memory.store.durable)
    counting = _Noting(MemoryTransport(scratch))
    machine.push(counting, ref)
    forget_copies(machine)
    return next(number for number, (name, key) in enumerate(counting.seen) if name == "put" and "commits" in key)


class _Noting(WrappedTransport):
    """Notes all operations."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self.seen: list[tuple[str, str]] = []

    def around(self, name: str, key: str, action: Callable[[], Result]) -> Result:
        self.seen.append((name, key))
        return action()


def test_packs_that_a_collection_may_remove_are_copied(
    ann: Machine, new_machine: NewMachine, memory: MemoryTransport, refs: list[Ref]
) -> None:
    """A session that was fenced may have packs that are alive, and others on their way out: an index told which."""
    old = keys_of(memory.store, "packs/")
    remote = new_machine().remote(memory)
    view = remote.latest()
    _commit_fencing_all(remote)
    damage(memory.store, keys_of(memory.store, "indexes/"), flipped)
    forget_copies(ann)
    machine = new_machine()
    assert mend(machine, memory).after.faults == ()
    assert view.commit is not None
    newest = new_machine().remote(memory).latest()
    named = {f"packs/{pack.hex()[:2]}/{pack}.pack" for pack in newest.pack_lengths()}
    assert named
    assert named.isdisjoint(old)
    for key in old:
        del memory.store.values[key]
    check_whole(new_machine(), memory, refs, FOLDERS)


def _commit_fencing_all(remote: Remote) -> None:
    view = remote.latest()
    session = Session.begin(view.number)

    def build(newest: View) -> Commit:
        commit = remote.following(newest, session, ANN, "gc", newest.index_files, newest.ref_files)
        return replace(commit, oldest=commit.number, fenced_before=commit.number - 1)

    remote.commit(view, session, build)


# -- refs


def test_refs_of_others_come_out_of_older_commits(
    ann: Machine, bob: Machine, new_machine: NewMachine, memory: MemoryTransport, refs: list[Ref]
) -> None:
    """The newest segment is damaged: what it held is in the cache of who pushed it; the others have segments."""
    (other,) = keep(bob.cache, {b"x": b"of bob"})
    bob.push(memory, other)
    (newest,) = {*keys_of(memory.store, "refs/")} - {_key_of_refs(memory, 1), _key_of_refs(memory, 2)}
    damage(memory.store, [newest], CHANGES["zeros"])
    forget_copies(bob)
    assert mend(bob, memory).after.faults == ()
    check_remote(new_machine(), memory, *refs, other)


def _key_of_refs(memory: MemoryTransport, number: int) -> str:
    file = decode_commit(memory.store.values[f"commits/{number:020}"]).refs[-1]
    return f"refs/{file.digest}-{file.session}.refs"


def test_what_nobody_knows_the_owner_of_is_owned_all_the_same(
    ann: Machine, new_machine: NewMachine, memory: MemoryTransport, refs: list[Ref]
) -> None:
    """Otherwise the next collection would take it."""
    lone = keep_blob(ann.cache, BIG[: 3 * SMALL_CHUNKS])
    ann.push(memory, lone)
    damage(memory.store, keys_of(memory.store, "refs/"), flipped)
    done = mend(new_machine(), memory)
    assert len(done.after.faults) == 3
    assert all("names of some refs are lost" in fault.reason for fault in done.after.faults)
    held = new_machine().remote(memory).latest().refs()
    assert {ref.digest for ref in held.values()} >= {*(ref.digest for ref in refs), lone.digest}
    assert verify(new_machine().remote(memory)).faults == ()


# -- others at work


class _Meanwhile(WrappedTransport):
    """Does something before the first commit is created."""

    def __init__(self, inner: Transport, action: Callable[[], object]) -> None:
        super().__init__(inner)
        self.pending: list[Callable[[], object]] = [action]

    def around(self, name: str, key: str, action: Callable[[], Result]) -> Result:
        if name == "put" and key.startswith("commits/") and self.pending:
            self.pending.pop()()
        return action()


def test_another_push_comes_first(
    ann: Machine, bob: Machine, new_machine: NewMachine, memory: MemoryTransport, refs: list[Ref]
) -> None:
    (other,) = keep(bob.cache, {b"x": b"of bob", b"y": BIG})
    damage(memory.store, keys_of(memory.store, "packs/"), flipped)
    racing = _Meanwhile(memory, lambda: bob.push(memory, other))
    assert mend(ann, racing).after.faults == ()
    assert racing.pending == []
    check_whole(new_machine(), memory, [*refs, other], [*FOLDERS, {b"x": b"of bob", b"y": BIG}])


@pytest.mark.parametrize("prefix", ["packs/", "indexes/", "refs/"])
def test_two_repairs_at_once(
    ann: Machine, bob: Machine, new_machine: NewMachine, memory: MemoryTransport, refs: list[Ref], prefix: str
) -> None:
    bob.fetch(memory, *refs)
    forget_copies(ann)
    forget_copies(bob)
    damage(memory.store, keys_of(memory.store, prefix), CHANGES["zeros"])
    racing = _Meanwhile(memory, lambda: mend(bob, memory))
    assert mend(ann, racing).after.faults == ()
    assert racing.pending == []
    check_whole(new_machine(), memory, refs, FOLDERS)


@pytest.mark.parametrize("prefix", ["packs/", "indexes/", "refs/"])
def test_a_repair_that_is_interrupted_leaves_the_remote_as_it_was(
    ann: Machine, new_machine: NewMachine, memory: MemoryTransport, refs: list[Ref], prefix: str
) -> None:
    damage(memory.store, keys_of(memory.store, prefix), flipped)
    forget_copies(ann)
    values, durable = dict(memory.store.values), set(memory.store.durable)
    failed = 0
    for at in range(1000):
        memory.store.values, memory.store.durable = dict(values), set(durable)
        forget_copies(ann)
        try:
            mend(ann, FaultyTransport(memory, at=at))
        except Lost:
            failed += 1
            memory.store.lose_power()
            assert {key: memory.store.values.get(key) for key in values} == values
            if keys_of(memory.store, "commits/") == sorted(key for key in values if key.startswith("commits/")):
                assert verify(new_machine().remote(MemoryTransport(memory.store))).faults
            assert mend(ann, MemoryTransport(memory.store)).after.faults == ()
            continue
        break
    assert failed > 15
    check_whole(new_machine(), memory, refs, FOLDERS)


# -- other stores, and many at once


def test_a_folder_with_content_defined_chunks(ann: Machine, new_machine: NewMachine, tmp_path: Path) -> None:
    transport = FolderTransport(tmp_path / "remote")
    content = ContentChunking(4096, 16384, 65536, 2)
    transport.put(FORMAT_KEY, encode_format(RemoteFormat(os.urandom(16).hex(), content)))
    transport.sync()
    refs = keep(ann.cache, *FOLDERS)
    ann.push(transport, *refs)
    packs = sorted(path for path in (tmp_path / "remote" / "packs").rglob("*.pack"))
    assert packs
    for path in packs:
        path.chmod(0o644)
        path.write_bytes(flipped(path.read_bytes()))
    indexes = sorted((tmp_path / "remote" / "indexes").iterdir())
    indexes[0].unlink()
    forget_copies(ann)
    assert verify(new_machine().remote(transport)).faults
    assert mend(ann, transport).after.faults == ()
    check_whole(new_machine(), transport, refs, FOLDERS)
    assert format_record() != transport.get(FORMAT_KEY)


def test_a_tree_that_is_lost_shows_what_else_is(ann: Machine, new_machine: NewMachine, memory: MemoryTransport) -> None:
    """Nobody knows what a lost tree names before it was found; and what it names may be elsewhere."""
    folder: Folder = {b"a": {b"b": {b"c": noise(700, 1)}, b"d": noise(700, 2)}}
    (ref,) = keep(ann.cache, folder)
    ann.push(memory, ref)
    other = MemoryTransport(memory_remote())
    ann.push(other, ref)
    damage(memory.store, keys_of(memory.store, "packs/"), CHANGES["gone"])
    assert [fault.digest for fault in verify(new_machine().remote(memory)).faults] == [None, ref.digest]
    assert mend(new_machine(), memory, other).after.faults == ()
    check_whole(new_machine(), memory, [ref], [folder])


def test_a_blob_ref_of_its_own_name(ann: Machine, new_machine: NewMachine, memory: MemoryTransport) -> None:
    ref = keep_blob(ann.cache, BIG)
    assert ref == Ref(snapshot_ref(blob_digest(BIG)), blob_digest(BIG), ObjectKind.BLOB)
    ann.push(memory, ref)
    damage(memory.store, keys_of(memory.store, "packs/"), CHANGES["gone"])
    assert mend(ann, memory).after.faults == ()
    machine = new_machine()
    machine.fetch(memory, ref)
    assert machine.cache.read(ref.digest) == BIG
