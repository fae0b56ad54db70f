"""What a push costs: requests, bytes, memory; and what becomes of it when something goes wrong on the way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from hitsave.cache.store import Cache
from hitsave.errors import CorruptObject
from hitsave.objects.digest import Digest, blob_digest
from hitsave.objects.refs import Ref
from hitsave.packing.blocks import EntryKindInPack
from hitsave.packing.commit import Commit, commit_digest, decode_commit, encode_commit
from hitsave.packing.packreader import read_table
from hitsave.progress import Silent
from hitsave.remotes.commits.keys import COMMITS, commit_key
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.reading.reader import Reader
from hitsave.remotes.transports.folder import FolderTransport
from hitsave.remotes.transports.protocol import Buffer, Transport
from hitsave.remotes.writing import largefiles, packstream
from hitsave.remotes.writing.push import Pushed, push
from tests.remotes.conftest import NewMachine
from tests.remotes.content import (
    ANN,
    SMALL_CHUNKS,
    Folder,
    Machine,
    check_remote,
    keep,
    keep_blob,
    memory_remote,
    noise,
)
from tests.remotes.transports import CountingTransport, Lost, MemoryTransport, WrappedTransport

Result = TypeVar("Result")
MIB = 1 << 20


def many(folders: int = 40, each: int = 50, changed: int = 0) -> Folder:
    """Small files in folders; the first `changed` of them are not what they were."""
    return {
        b"%03d" % outer: {
            b"%03d" % inner: b"file %d of %d\n" % (inner, outer) * 20
            + (b"changed" if outer * each + inner < changed else b"")
            for inner in range(each)
        }
        for outer in range(folders)
    }


def tokens(memory: MemoryTransport) -> set[str]:
    """The sessions of the packs that lie in a remote."""
    return {memory.get(key, 8, 16).hex() for key in memory.list("packs/")}


# -- requests


@pytest.mark.parametrize("folders", [2, 40])
def test_a_push_with_nothing_new_is_three_requests(ann: Machine, memory: MemoryTransport, folders: int) -> None:
    refs = keep(ann.cache, *(many(folders, start) for start in range(1, 31)))
    ann.push(memory, *refs)
    counting = CountingTransport(memory)
    assert ann.push(counting, *refs) == Pushed()
    assert counting.keys == [("get", "format"), ("list", COMMITS), ("get", commit_key(1))]


def test_one_changed_file_of_many_is_a_handful_of_requests(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    refs = keep(ann.cache, many())
    ann.push(memory, *refs)
    refs += keep(ann.cache, many(changed=1))
    counting = CountingTransport(memory)
    pushed = ann.push(counting, refs[1])
    assert pushed.objects == 3  # The file, its folder, and the one above.
    assert pushed.packs == 1
    assert pushed.sent < 8_000
    # The state; then pack, index, refs and commit are made; and whether the commit stands is looked at.
    assert len(counting.made("")) == 4
    assert counting.total <= 8
    check_remote(bob, memory, *refs)


def test_the_requests_of_a_push_do_not_grow_with_its_objects(new_machine: NewMachine) -> None:
    totals = []
    for folders in (2, 60):
        machine, memory = new_machine(), MemoryTransport(memory_remote())
        (ref,) = keep(machine.cache, many(folders))
        counting = CountingTransport(memory)
        assert machine.push(counting, ref).objects > folders * 50
        totals.append(counting.total)
    assert totals[0] == totals[1] < 10


def test_many_packs_of_a_cache_become_few(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    refs = [ref for number in range(30) for ref in keep(ann.cache, {b"file": b"content %d" % number})]
    assert len(ann.cache.packs()) == 30
    assert ann.push(memory, *refs).packs == 1
    check_remote(bob, memory, *refs)


def test_the_indexes_are_asked_once_for_each_level(ann: Machine, memory: MemoryTransport) -> None:
    (ref,) = keep(ann.cache, {b"one": many(4), b"two": {b"three": {b"four": b"deep"}}})
    remote = ann.remote(memory)
    asked: list[int] = []
    view = remote.latest()
    real = type(view).has_many

    def has_many(digests: Sequence[bytes]) -> set[bytes]:
        asked.append(len([*digests]))
        return real(view, digests)

    view.has_many = has_many  # type: ignore[method-assign, assignment]
    remote.latest = lambda: view  # type: ignore[method-assign]
    push(remote, ann.cache, [ref], ANN)
    assert asked[:4] == [1, 2, 5, 201]


# -- large files


def test_chunks_are_cut_where_those_of_the_whole_file_are(
    ann: Machine, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the windows are in which it is read, also such as are shorter than a chunk."""
    content = random.Random(5).randbytes(3 * MIB) + bytes(MIB) + random.Random(6).randbytes(MIB + 77)
    ref = keep_blob(ann.cache, content)
    recipes = []
    for window in (1000, 100_000, 3 * MIB, 64 * MIB):
        monkeypatch.setattr(largefiles, "WINDOW", window)
        transport = MemoryTransport()
        remote = ann.remote(transport, create=True)
        push(remote, ann.cache, [ref], ANN)
        recipes.append(Reader(remote, remote.latest()).recipe(ref.digest))
    expected = [
        (blob_digest(content[offset : offset + length]), length)
        for offset, length in remote.format.chunking.cuts(memoryview(content))
    ]
    assert len(expected) > 15
    for recipe in recipes:
        assert recipe is not None
        assert [*map(tuple, recipe.chunks)] == expected


def test_neighbouring_chunks_share_blocks(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    content = noise(40 * SMALL_CHUNKS, 1)
    ref = keep_blob(ann.cache, content)
    ann.push(memory, ref)
    (pack,) = bob.remote(memory).latest().packs()
    assert len(pack.table.records) == 41
    assert len(pack.table.blocks) == 11
    bob.fetch(memory, ref)
    assert bob.cache.read(ref.digest) == content
    # Scattered chunks are new; those between them are there.
    edited = bytearray(content)
    for chunk in range(1, 40, 4):
        edited[chunk * SMALL_CHUNKS] ^= 1
    second = keep_blob(ann.cache, bytes(edited))
    pushed = ann.push(memory, second)
    assert 10 * SMALL_CHUNKS < pushed.sent < 10 * SMALL_CHUNKS + 5_000
    bob.fetch(memory, second)
    assert bob.cache.read(second.digest) == bytes(edited)
    check_remote(bob, memory, ref, second)


@pytest.mark.parametrize(("size", "expected"), [(0, 8), (100 * MIB, 8), (1 << 30, 16), (3 << 30, 48), (1 << 40, 64)])
def test_the_size_of_packs(size: int, expected: int) -> None:
    assert packstream.pack_size(size) == expected * MIB


# -- memory

PUSH = """
    import re, sys
    from pathlib import Path
    from hitsave.cache.store import Cache
    from hitsave.remotes.transports.folder import FolderTransport
    from hitsave.remotes.commits.log import Author, Remote
    from hitsave.remotes.writing.push import push
    class Parallel(FolderTransport):
        parallel = int(sys.argv[4])
    cache = Cache.open(Path(sys.argv[1]))
    remote = Remote.open(Parallel(Path(sys.argv[2])), Path(sys.argv[3]), create=True)
    print("begin", flush=True)
    push(remote, cache, cache.refs(), Author("killed@lab", 0))
    # What resource.getrusage gives counts the parent's memory.
    print(*re.findall("VmHWM:(.*) kB", Path("/proc/self/status").read_text()), flush=True)
"""


def start_push(machine: Machine, place: Path, parallel: int = 2) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(PUSH), machine.cache.path, place, machine.folder / "remotes"]
    return subprocess.Popen([*command, str(parallel)], stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the most memory that a process had")
def test_memory_is_bounded_by_the_packs_that_are_held(ann: Machine, tmp_path: Path) -> None:
    """A file of 400 MiB, in packs of 8, four of them at once."""
    folder = {b"%d" % number: random.Random(number).randbytes(100 * MIB) for number in range(4)}
    keep(ann.cache, folder)
    del folder
    with start_push(ann, tmp_path / "remote", parallel=16) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        most = int(process.stdout.readline()) << 10
    assert len(FolderTransport(tmp_path / "remote").list("packs/")) > 40
    assert most < 4 * 8 * MIB + 100 * MIB


# -- what was killed


def test_a_process_that_is_killed_after_nine_tenths(ann: Machine, bob: Machine, tmp_path: Path) -> None:
    place = tmp_path / "remote"
    small: Folder = {b"%d" % number: noise(30_000, number) for number in range(2000)}
    (ref,) = keep(ann.cache, {**small, **{b"large %d" % part: noise(50 * MIB, 5000 + part) for part in range(4)}})
    total = 2000 * 30_000 + 200 * MIB
    transport = FolderTransport(place)
    with start_push(ann, place) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        while (there := sent_to(place)) < 0.9 * total:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    assert transport.list(COMMITS) == []
    again = ann.push(transport, ref)
    under_way = 2 * 8 * MIB
    assert again.sent <= total - there + under_way + MIB
    assert again.sent < 0.2 * total
    assert again.objects == 2005
    check_remote(bob, transport, ref)
    # All of it is of one session, the one of the push that was killed.
    assert len({transport.get(key, 8, 16) for key in transport.list("packs/")}) == 1
    bob.fetch(transport, ref)
    assert bob.cache.owns_whole(ref.digest)


def sent_to(place: Path) -> int:
    return sum(path.stat().st_size for path in place.glob("packs/*/*.pack"))


class DyingTransport(WrappedTransport):
    """Its process is dead as soon as so many bytes of packs were put."""

    def __init__(self, inner: Transport, most: float) -> None:
        super().__init__(inner)
        self._most = most
        self._lock = threading.Lock()
        self.done = 0

    def around(self, name: str, key: str, action: Callable[[], Result]) -> Result:
        if self.done >= self._most:
            raise Lost(f"{self.url}: {name} {key}: the connection was lost")
        return action()

    def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
        super().put(key, content)
        with self._lock:
            self.done += sum(map(len, content)) if isinstance(content, Sequence) else len(content)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_what_a_dead_push_has_sent_is_not_sent_again(ann: Machine, bob: Machine, share: float) -> None:
    memory = MemoryTransport(memory_remote())
    folder = {b"%d" % number: noise(20 * MIB, number) for number in range(5)}
    (ref,) = keep(ann.cache, folder)
    total = 100 * MIB
    dying = DyingTransport(memory, share * total)
    with pytest.raises(Lost):
        ann.push(dying, ref)
    counting = CountingTransport(memory)
    again = ann.push(counting, ref)
    assert again.sent <= total - dying.done + memory.parallel * 8 * MIB + MIB
    assert counting.sent <= again.sent + MIB
    assert len(tokens(memory)) == 1
    check_remote(bob, memory, ref)


# -- sessions


def test_a_push_goes_on_with_its_session_for_the_same_roots_alone(
    ann: Machine, bob: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packstream, "PACK_TARGET", 300_000)
    memory = MemoryTransport(memory_remote())
    first, second = (keep_blob(ann.cache, noise(2_000_000, seed)) for seed in (1, 2))
    with pytest.raises(Lost):
        ann.push(DyingTransport(memory, 1_500_000), first)
    before = tokens(memory)
    ann.push(memory, second)
    (other,) = tokens(memory) - before
    (own,) = before
    ann.push(memory, first)
    assert tokens(memory) == {own, other}
    sessions = [decode_commit(memory.get(commit_key(number))).session for number in (1, 2)]
    assert sessions == [other, own]
    assert not any((ann.folder / "remotes").rglob("unfinished/*"))
    check_remote(bob, memory, first, second)


def test_two_processes_do_not_go_on_with_one_session(
    ann: Machine, bob: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one that goes on with it is under way, another one begins its own."""
    monkeypatch.setattr(packstream, "PACK_TARGET", 300_000)
    memory = MemoryTransport(memory_remote())
    ref = keep_blob(ann.cache, noise(2_000_000, 1))
    with pytest.raises(Lost):
        ann.push(DyingTransport(memory, 1_500_000), ref)
    (first,) = tokens(memory)
    pushes: list[Pushed] = []

    class Another(WrappedTransport):
        def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
            if not pushes:
                pushes.append(Pushed())
                pushes[0] = ann.push(memory, ref)
            super().put(key, content)

    ann.push(Another(memory), ref)
    assert pushes[0].sent > 2_000_000
    assert len(tokens(memory)) == 2
    assert decode_commit(memory.get(commit_key(1))).session != first
    check_remote(bob, memory, ref)


def fence(memory: Transport, before: int) -> None:
    """Another writer's commit takes all sessions for dead that began before a number."""
    content = memory.get(memory.list(COMMITS)[-1])
    last = decode_commit(content)
    fenced = Commit(
        identity=last.identity,
        number=last.number + 1,
        parent=commit_digest(content),
        created=0,
        author="gc@lab",
        operation="gc",
        session=Session.begin(last.number).hex,
        indexes=last.indexes,
        refs=last.refs,
        fenced_before=before,
    )
    memory.put(commit_key(fenced.number), encode_commit(fenced))
    memory.sync()


def test_a_fenced_session_is_given_up_and_all_is_sent_anew(
    ann: Machine, bob: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packstream, "PACK_TARGET", 300_000)
    memory = MemoryTransport(memory_remote())
    old = keep_blob(ann.cache, b"old")
    ann.push(memory, old)
    ref = keep_blob(ann.cache, noise(2_000_000, 1))
    with pytest.raises(Lost):
        ann.push(DyingTransport(memory, 1_500_000), ref)
    dead = tokens(memory)
    assert len(dead) == 2
    fence(memory, before=2)
    assert ann.push(memory, ref).sent > 2_000_000
    assert len(tokens(memory) - dead) == 1
    check_remote(bob, memory, old, ref)
    assert not any((ann.folder / "remotes").rglob("unfinished/*"))


def test_a_session_that_is_fenced_under_way(ann: Machine, bob: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packstream, "PACK_TARGET", 300_000)
    memory = MemoryTransport(memory_remote())
    old = keep_blob(ann.cache, b"old")
    ann.push(memory, old)
    ref = keep_blob(ann.cache, noise(2_000_000, 1))

    class Fencing(WrappedTransport):
        fenced = 0

        def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
            if key.startswith(COMMITS) and not self.fenced:
                self.fenced += 1
                fence(self.inner, before=2)
            super().put(key, content)

    fencing = Fencing(memory)
    pushed = ann.push(fencing, ref)
    assert fencing.fenced == 1
    packs = {summary.digest for index in bob.remote(memory).latest().indexes() for summary in index.packs}
    named = [
        memory.get(key, 8, 16).hex() for key in memory.list("packs/") if Digest(bytes.fromhex(key[-69:-5])) in packs
    ]
    assert len(set(named)) == 2  # Of the old one, and of the second try.
    assert len(tokens(memory)) == 3
    assert pushed.sent > 2_000_000
    check_remote(bob, memory, old, ref)


# -- errors and interrupts


class FailingTransport(WrappedTransport):
    """One pack cannot be put; the others wait until it was tried."""

    def __init__(self, inner: Transport, error: BaseException) -> None:
        super().__init__(inner)
        self.parallel = 4
        self._error = error
        self._lock = threading.Lock()
        self.tried = 0

    def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
        if key.startswith("packs/"):
            with self._lock:
                self.tried += 1
                if self.tried == 3:
                    raise self._error
        super().put(key, content)


@pytest.mark.parametrize("large", [False, True], ids=["out of packs", "large files"])
def test_the_first_error_of_an_upload_ends_the_push(
    ann: Machine, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    monkeypatch.setattr(packstream, "PACK_TARGET", 300_000)
    monkeypatch.setattr("hitsave.cache.packwriter.PACK_TARGET", 300_000)
    size = 4_000_000 if large else 100_000
    (ref,) = keep(ann.cache, {b"%d" % number: noise(size, number) for number in range(20_000_000 // size)})
    threads = threading.active_count()
    failing = FailingTransport(memory, Lost("the third one"))
    with pytest.raises(Lost, match="the third one"):
        ann.push(failing, ref)
    assert 3 <= failing.tried <= 3 + 2 * failing.parallel
    assert threading.active_count() == threads
    assert memory.list(COMMITS) == []


def test_an_interrupt_ends_the_push(ann: Machine, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packstream, "PACK_TARGET", 300_000)
    (ref,) = keep(ann.cache, {b"%d" % number: noise(2_000_000, number) for number in range(10)})
    closed: list[bool] = []
    sent: list[bool] = []

    class Stuck(WrappedTransport):
        """Uploads come to no end before the connections are ended."""

        ended = threading.Event()
        first = threading.Lock()

        def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
            with self.first:
                if not sent:
                    sent.append(True)
                    os.kill(os.getpid(), signal.SIGINT)
            assert self.ended.wait(60)
            raise Lost("ended")

        def close(self) -> None:
            closed.append(True)
            self.ended.set()

    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        ann.push(Stuck(memory), ref)
    assert closed == [True]
    ending = time.monotonic() + 60
    while threading.active_count() > threads:  # One that was just being started ends by itself.
        assert time.monotonic() < ending
        time.sleep(0.01)
    assert memory.list(COMMITS) == []


class Truncating(Silent):
    """Cuts a file of the cache short when a push has begun."""

    def __init__(self, cache: Cache, digest: Digest) -> None:
        self._path = cache.path_of(digest)

    def start(self, what: str, size: int | None = None) -> None:
        self._path.chmod(0o644)
        os.truncate(self._path, 3_000_000)


def test_a_file_that_becomes_shorter_meanwhile(ann: Machine, memory: MemoryTransport) -> None:
    """It is found corrupt; a mapping would end the process."""
    ref: Ref = keep_blob(ann.cache, noise(30 * MIB, 1))
    with pytest.raises(CorruptObject, match=str(ref.digest)):
        push(ann.remote(memory), ann.cache, [ref], ANN, Truncating(ann.cache, ref.digest))
    assert memory.list(COMMITS) == []
    for key in memory.list("packs/"):
        content = memory.get(key)
        packed = read_table(lambda at, length: content[at : at + length], len(content), ref.digest)  # noqa: B023
        assert all(entry.kind != EntryKindInPack.RECIPE for entry in packed.table.entries())
