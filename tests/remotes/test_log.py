"""The commit log, what it names, and what a machine keeps of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from hitsave.errors import RemoteCorrupt, RemoteUnsuitable
from hitsave.objects.digest import blob_digest
from hitsave.objects.refs import Ref
from hitsave.packing.chunking import ContentChunking, FixedChunking
from hitsave.packing.commit import (
    RemoteFormat,
    commit_digest,
    decode_commit,
    decode_format,
    encode_commit,
    encode_format,
)
from hitsave.remotes.commits.committed import MOST_COPIES, MOST_FILES
from hitsave.remotes.commits.keys import COMMITS, FORMAT_KEY, claim_key, commit_key
from hitsave.remotes.commits.log import Author, Remote
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.commits.suitable import refuse_strangers
from hitsave.remotes.opening import check_remote as check_store
from hitsave.remotes.transports.folder import FolderTransport
from hitsave.remotes.writing.push import push
from tests.remotes.conftest import NewMachine
from tests.remotes.content import (
    ANN,
    IDENTITY,
    SMALL_CHUNKS,
    Machine,
    check_remote,
    format_record,
    keep,
    memory_remote,
    noise,
    read_folder,
)
from tests.remotes.transports import CountingTransport, MemoryTransport, WrappedTransport


def push_many(machine: Machine, transport: MemoryTransport, count: int, start: int = 0) -> list[Ref]:
    refs: list[Ref] = []
    for number in range(start, start + count):
        refs += keep(machine.cache, {b"name": b"content %d" % number})
        machine.push(transport, refs[-1])
    return refs


# -- merging


def test_forty_pushes_are_few_indexes_and_few_ref_segments(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    refs: list[Ref] = []
    counting = CountingTransport(memory)
    remote = ann.remote(counting)
    for number in range(40):
        refs += keep(ann.cache, {b"name": b"content %d" % number})
        view = push(remote, ann.cache, [refs[-1]], ANN)
        commit = remote.latest().commit
        assert commit is not None
        assert commit.number == number + 1
        assert len(commit.indexes) <= MOST_FILES
        assert len(commit.refs) <= MOST_FILES
        assert view.refs == 1
    check_remote(bob, memory, *refs)
    bob.fetch(memory, *refs)
    for number, ref in enumerate(refs):
        assert read_folder(bob.cache, ref.digest) == {b"name": b"content %d" % number}
    # Each entry is rewritten a few times, and not once for each later push.
    assert len(counting.made("indexes/")) < 40 + 40 / 7
    assert counting.got("indexes/") == counting.got("refs/") == []


def test_refs_that_later_segments_overrule_or_drop(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    """Merged segments hold what the last record of each name said, whatever order they were merged in."""
    remote = ann.remote(memory)
    refs = keep(ann.cache, *({b"%d" % number: b""} for number in range(30)))
    push(remote, ann.cache, refs, ANN)
    view = remote.latest()
    expected = {ref.name: ref for ref in refs}
    for number in range(50):
        chosen = refs[number * 7 % 30]
        change = None if number % 3 else chosen
        view = remote.append(view, Session.begin(view.number), ANN, "forget", [], {chosen.name: change})
        expected.pop(chosen.name, None)
        if change is not None:
            expected[chosen.name] = change
        assert view.commit is not None
        assert len(view.commit.refs) <= MOST_FILES
        assert bob.remote(memory).latest().refs() == expected
    assert len(expected) < 30


def test_a_large_index_is_not_rewritten_by_small_pushes(ann: Machine, memory: MemoryTransport) -> None:
    (large,) = keep(ann.cache, {b"%d" % number: b"%d" % number for number in range(3000)})
    ann.push(memory, large)
    first = ann.remote(memory).latest().commit
    counting = CountingTransport(memory)
    for number in range(40):
        ann.push(counting, *keep(ann.cache, {b"name": b"content %d" % number}))
    last = ann.remote(memory).latest().commit
    assert first is not None
    assert last is not None
    assert first.indexes[0] in last.indexes
    assert counting.sent < 40 * 5000


# -- commits


def test_the_log_is_a_chain_of_who_did_what(ann: Machine, memory: MemoryTransport) -> None:
    remote = ann.remote(memory)
    for number in range(3):
        refs = keep(ann.cache, {b"name": b"content %d" % number})
        push(remote, ann.cache, refs, Author("zoë@lab", 1000 + number))
    parent = None
    for number, key in enumerate(memory.list(COMMITS), 1):
        commit = decode_commit(memory.get(key))
        assert (commit.number, commit.parent) == (number, parent)
        assert (commit.author, commit.created, commit.operation) == ("zoë@lab", 999 + number, "push")
        parent = commit_digest(memory.get(key))
    assert remote.latest().digest == parent
    sessions = {decode_commit(memory.get(key)).session for key in memory.list(COMMITS)}
    assert len(sessions) == 3


def rewritten(content: bytes, **changes: object) -> bytes:
    """A commit with other members."""
    return encode_commit(replace(decode_commit(content), **changes))  # type: ignore[arg-type]


def test_a_reader_that_knows_a_commit_refuses_another_history(ann: Machine, bob: Machine) -> None:
    memory = MemoryTransport(memory_remote())
    push_many(ann, memory, 2)
    remote = bob.remote(memory)
    assert remote.latest().number == 2
    saved = dict(memory.store.values)

    for number in (2, 1):
        memory.store.values.pop(commit_key(number))
        with pytest.raises(RemoteCorrupt, match="the newest commit is gone") as caught:
            remote.latest()
        assert caught.value.key == commit_key(2)

    memory.store.values = saved | {commit_key(2): rewritten(saved[commit_key(2)], author="eve@lab")}
    with pytest.raises(RemoteCorrupt, match="does not descend"):
        remote.latest()

    other = rewritten(saved[commit_key(2)], number=3)  # Its parent is the first one.
    memory.store.values = saved | {commit_key(3): other}
    with pytest.raises(RemoteCorrupt, match="does not descend"):
        remote.latest()
    memory.store.values = saved | {commit_key(3): saved[commit_key(2)]}
    for reader in (remote, bob.remote(memory)):
        with pytest.raises(RemoteCorrupt, match="holds commit 2") as caught:
            reader.latest()
        assert caught.value.key == commit_key(3)
    memory.store.values = saved
    assert remote.latest().number == 2


def test_what_is_in_the_place_of_a_commit(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    push_many(ann, memory, 1)
    for content in (b"", b"{}\n", b"\xff", memory.get(commit_key(1))[:-1], memory.get(FORMAT_KEY)):
        memory.store.values[commit_key(2)] = content
        with pytest.raises(RemoteCorrupt) as caught:
            bob.remote(memory).latest()
        assert caught.value.key == commit_key(2)


@pytest.mark.parametrize("prefix", ["indexes/", "refs/"])
def test_what_a_commit_names_and_is_not_there(ann: Machine, bob: Machine, memory: MemoryTransport, prefix: str) -> None:
    refs = push_many(ann, memory, 1)
    (key,) = memory.list(prefix)
    del memory.store.values[key]
    remote = bob.remote(memory)
    with pytest.raises(RemoteCorrupt, match="is missing, and the newest commit names it") as caught:
        (remote.latest().indexes if prefix == "indexes/" else remote.latest().refs)()
    assert caught.value.key == key
    # Who has a copy goes on.
    assert set(ann.remote(memory).latest().refs().values()) == set(refs)
    assert ann.remote(memory).latest().has(refs[0].digest)


# -- what a machine keeps


def test_what_is_known_is_not_read_again(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    refs = push_many(ann, memory, 5)
    counting = CountingTransport(memory)
    remote = bob.remote(counting)
    view = remote.latest()
    assert all(view.has(ref.digest) for ref in refs)
    assert len(view.refs()) == 5
    assert len(counting.got("indexes/")) == len(counting.got("refs/")) == 5
    counting.reset()
    again = remote.latest()
    assert again is view
    assert all(again.has(ref.digest) for ref in refs)
    assert again.refs() == view.refs()
    assert counting.requests == {"list": 1, "get": 1}
    counting.reset()
    other_process = bob.remote(counting)
    counting.reset()
    view = other_process.latest()
    assert all(view.has(ref.digest) for ref in refs)
    assert len(view.refs()) == 5
    assert counting.requests == {"list": 1, "get": 1}
    refs += push_many(ann, memory, 1, start=5)
    counting.reset()
    view = other_process.latest()
    assert all(view.has(ref.digest) for ref in refs)
    assert len(view.refs()) == 6
    assert len(counting.got("indexes/")) == len(counting.got("refs/")) == 1


@pytest.mark.parametrize("knows", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("sleeper", [True, False], ids=["and a sleeper takes its number", "and it is gone"])
def test_a_commit_that_expires_before_it_is_read(
    ann: Machine, bob: Machine, memory: MemoryTransport, sleeper: bool, knows: bool
) -> None:
    push_many(ann, memory, 2)
    listed, following = commit_key(2), commit_key(3)

    class Slow(WrappedTransport):
        """Another writer, and a collection, come between the listing and the reading of a commit."""

        def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
            values = memory.store.values
            if key == listed and following not in values:
                second = decode_commit(values[listed])
                parent = commit_digest(values[listed])
                values[following] = encode_commit(replace(second, number=3, parent=parent, oldest=3))
                del values[listed]
                if sleeper:
                    values[listed] = encode_commit(replace(second, author="a sleeper", refs=()))
            return super().get(key, start, length)

    machine = ann if knows else bob
    view = machine.remote(Slow(memory)).latest()
    assert view.number == 3
    assert len(view.refs()) == 2
    memory.store.values.pop(listed, None)
    assert machine.remote(memory).latest().number == 3


def test_a_long_log_is_listed_from_what_is_known(ann: Machine, memory: MemoryTransport) -> None:
    afters: list[str] = []

    class Listing(WrappedTransport):
        def list(self, prefix: str, after: str = "") -> list[str]:
            afters.append(after)
            return super().list(prefix, after)

    remote = ann.remote(Listing(memory))
    push_many(ann, memory, 3)
    remote.latest()
    push_many(ann, memory, 3, start=3)
    remote.latest()
    remote.latest()
    assert afters == [commit_key(2), commit_key(5), commit_key(5)]


def test_damaged_copies_are_read_again(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    refs = push_many(ann, memory, 2)
    bob.remote(memory).latest().refs()
    bob.remote(memory).latest().indexes()
    copies = [path for path in (bob.folder / "remotes").rglob("*") if path.suffix in (".index", ".refs")]
    assert len(copies) == 4
    for number, path in enumerate(copies):
        content = path.read_bytes()
        path.write_bytes((b"", b"x", content[:-1], content + b"x")[number])
    view = bob.remote(memory).latest()
    assert all(view.has(ref.digest) for ref in refs)
    assert set(view.refs().values()) == set(refs)
    counting = CountingTransport(memory)
    bob.remote(counting).latest().refs()
    assert counting.got("refs/") == []


def test_copies_of_what_no_commit_names_any_more_do_not_pile_up(ann: Machine, memory: MemoryTransport) -> None:
    refs = push_many(ann, memory, MOST_COPIES + 40)
    copies = [path for path in (ann.folder / "remotes").rglob("*") if path.suffix in (".index", ".refs")]
    assert len(copies) <= MOST_COPIES + 2 * MOST_FILES + 2
    view = ann.remote(memory).latest()
    assert set(view.refs().values()) == set(refs)


def test_copies_are_kept_by_remote(ann: Machine) -> None:
    """A remote that takes another one's place at its address is not taken for it."""
    first, second = MemoryTransport(), MemoryTransport()
    one, other = ann.remote(first, create=True), ann.remote(second, create=True)
    assert one.format.identity != other.format.identity
    (ref,) = keep(ann.cache, {b"a": b"a"})
    push(one, ann.cache, [ref], ANN)
    assert one.latest().has(ref.digest)
    assert not other.latest().has(ref.digest)
    assert sorted(path.name for path in (ann.folder / "remotes").iterdir()) == sorted(
        [one.format.identity, other.format.identity]
    )


# -- the format record


def test_a_new_remote(ann: Machine) -> None:
    memory = MemoryTransport()
    remote = ann.remote(memory, create=True)
    assert memory.list("") == [FORMAT_KEY]
    assert remote.format.chunking == ContentChunking()
    assert remote.latest().number == 0
    assert remote.latest().refs() == {}
    assert remote.latest().indexes() == []
    assert memory.store.durable == {FORMAT_KEY}
    assert ann.remote(memory, create=True).format == remote.format
    assert memory.get(FORMAT_KEY) == encode_format(remote.format)


def test_two_that_make_a_remote_at_once_use_the_same(ann: Machine) -> None:
    class Slow(WrappedTransport):
        """Somebody else makes the remote just before this one does."""

        def put(self, key: str, content: bytes) -> None:
            if key == FORMAT_KEY:
                ann.remote(self.inner, create=True)
            super().put(key, content)

    memory = MemoryTransport()
    remote = ann.remote(Slow(memory), create=True)
    assert decode_format(memory.get(FORMAT_KEY)) == remote.format
    assert FORMAT_KEY in memory.store.durable


REFUSED = {
    "nothing": b"",
    "no JSON": b"format",
    "another version": format_record().replace(b'"format":1', b'"format":2'),
    "another chunking": format_record().replace(b"fixed", b"other"),
    "chunks too small": format_record(4095),
    "a path for an identity": format_record().replace(IDENTITY.encode(), b"../../../../../../../../../../home"),
    "another spelling": format_record().rstrip(),
}


@pytest.mark.parametrize("record", REFUSED.values(), ids=REFUSED)
def test_format_records_that_are_refused(ann: Machine, record: bytes) -> None:
    memory = MemoryTransport()
    memory.put(FORMAT_KEY, record)
    before = sorted(ann.folder.rglob("*"))
    for create in (False, True):
        with pytest.raises(RemoteCorrupt) as caught:
            ann.remote(memory, create)
        assert caught.value.key == FORMAT_KEY
    with pytest.raises(RemoteUnsuitable, match="'format' is not of a remote known here"):
        check_store(memory)
    assert sorted(ann.folder.rglob("*")) == before


def test_a_remote_with_the_smallest_chunks(ann: Machine, bob: Machine) -> None:
    memory = MemoryTransport()
    memory.put(FORMAT_KEY, encode_format(RemoteFormat(IDENTITY, FixedChunking(4096))))
    memory.sync()
    (ref,) = keep(ann.cache, {b"large": noise(3 * SMALL_CHUNKS + 1)})
    ann.push(memory, ref)
    bob.fetch(memory, ref)
    assert read_folder(bob.cache, ref.digest) == {b"large": noise(3 * SMALL_CHUNKS + 1)}


@pytest.mark.parametrize("name", ["data.csv", "commits/00000000000000000001", "sub/folder/file", ".hidden"])
def test_a_folder_with_other_files_is_refused_and_left_alone(ann: Machine, tmp_path: Path, name: str) -> None:
    place = tmp_path / "data"
    (place / name).parent.mkdir(parents=True)
    (place / name).write_bytes(b"mine")
    with pytest.raises(RemoteUnsuitable, match=f"holds other files \\({name}\\)"):
        ann.remote(FolderTransport(place), create=True)
    with pytest.raises(RemoteUnsuitable, match="holds other files"):
        check_store(FolderTransport(place))
    assert [path for path in place.rglob("*") if path.is_file()] == [place / name]
    assert (place / name).read_bytes() == b"mine"


def test_what_a_dead_probe_left_behind_is_no_other_file(ann: Machine, tmp_path: Path) -> None:
    transport = FolderTransport(tmp_path / "remote")
    transport.put("probe/0123456789abcdef", b"0123456789")
    assert ann.remote(transport, create=True).latest().number == 0


def test_without_a_remote_there_is_none_to_open(ann: Machine) -> None:
    with pytest.raises(RemoteUnsuitable, match="there is no hitsave remote there"):
        ann.remote(MemoryTransport())


def test_other_peoples_files_beside_the_log_do_no_harm(ann: Machine, bob: Machine, tmp_path: Path) -> None:
    """What a file manager leaves in a folder."""
    place = tmp_path / "remote"
    transport = FolderTransport(place)
    ann.remote(transport, create=True)
    refs = keep(ann.cache, {b"a": b"a"})
    ann.push(transport, *refs)
    for name in (
        ".DS_Store",
        "commits/.DS_Store",
        "commits/desktop.ini",
        "packs/Thumbs.db",
        "commits/00000000000000000002.tmp",
    ):
        (place / name).write_bytes(b"")
    assert set(bob.remote(transport).latest().refs().values()) == set(refs)
    refs += keep(ann.cache, {b"b": b"b"})
    ann.push(transport, *refs)
    check_remote(bob, transport, *refs)


def test_a_remote_on_a_read_only_machine_can_be_read(ann: Machine, new_machine: NewMachine, tmp_path: Path) -> None:
    transport = FolderTransport(tmp_path / "remote")
    ann.remote(transport, create=True)
    refs = keep(ann.cache, {b"a": b"a", b"large": noise(3 * SMALL_CHUNKS)})
    ann.push(transport, *refs)
    for path in [*(tmp_path / "remote").rglob("*"), tmp_path / "remote"]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        bob = new_machine()
        bob.fetch(FolderTransport(tmp_path / "remote"), *refs)
        check_remote(bob, FolderTransport(tmp_path / "remote"), *refs)
    finally:
        for folder, _, _ in os.walk(tmp_path / "remote"):
            Path(folder).chmod(0o755)


def test_a_remote_is_opened_by_its_identity(tmp_path: Path) -> None:
    memory = MemoryTransport()
    memory.put(FORMAT_KEY, format_record())
    memory.sync()
    remote = Remote.open(memory, tmp_path)
    assert remote.format == RemoteFormat(IDENTITY, FixedChunking(SMALL_CHUNKS))
    assert (tmp_path / IDENTITY).is_dir()


def test_a_remote_that_somebody_makes_meanwhile_is_none_of_strangers() -> None:
    class Meanwhile(MemoryTransport):
        """Somebody makes a remote, and uses it, when it was found that there is none."""

        def list(self, prefix: str, after: str = "") -> list[str]:
            if not self.store.values:
                made = MemoryTransport(memory_remote())
                made.put(claim_key(blob_digest(b"a call"), 1), b"")
                self.store.values.update(made.store.values)
            return super().list(prefix, after)

    refuse_strangers(Meanwhile())
