"""Pushes side by side, one operation of this, one of that: none is lost, and the log is a chain."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitsave.errors import ReliedOnLost, RemoteConflict, RemoteUnsuitable
from hitsave.objects.refs import Ref
from hitsave.packing.commit import commit_digest, decode_commit, encode_commit
from hitsave.remotes.commits import committed
from hitsave.remotes.commits.keys import COMMITS, commit_key, pack_key
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.transports.folder import FolderTransport
from hitsave.remotes.writing.push import push
from tests.remotes.conftest import NewMachine
from tests.remotes.content import (
    ANN,
    SMALL_CHUNKS,
    Folder,
    Machine,
    check_remote,
    keep,
    memory_remote,
    noise,
    read_folder,
)
from tests.remotes.transports import MemoryStore, MemoryTransport, WrappedTransport
from tests.remotes.turns import check_chain, first_this_then_that, push_in_turns

SHARED = noise(3 * SMALL_CHUNKS)


def two_machines(new_machine: NewMachine) -> tuple[list[tuple[Machine, list[Ref]]], list[Folder]]:
    folders: list[Folder] = [
        {b"own": b"of ann", b"both": b"both", b"large": SHARED + b"a"},
        {b"own": b"of bob", b"both": b"both", b"large": SHARED + b"b"},
    ]
    machines = [new_machine(), new_machine()]
    return [(machine, keep(machine.cache, folder)) for machine, folder in zip(machines, folders, strict=True)], folders


def check_both(reader: Machine, store: MemoryStore, *pushes: tuple[Machine, Sequence[Ref]]) -> None:
    transport = MemoryTransport(store)
    check_remote(reader, transport, *{ref.name: ref for _, refs in pushes for ref in refs}.values())
    check_chain(transport)


@pytest.mark.parametrize("first", [0, 1])
def test_every_moment_at_which_one_can_come_between_the_steps_of_the_other(new_machine: NewMachine, first: int) -> None:
    pushes, folders = two_machines(new_machine)
    reader = new_machine()
    alone, steps = push_in_turns(memory_remote(), first_this_then_that(99, 99), pushes)
    each = [steps.count(0), steps.count(1)]
    assert min(each) >= 7
    lost_races = 0
    for before, between in product(range(each[0] + 1), range(1, each[1] + 1)):
        store = memory_remote()
        order = (first ^ who for who in first_this_then_that(before, between, 99))
        pushed, steps = push_in_turns(store, order, pushes)
        check_both(reader, store, *pushes)
        lost_races += len(steps) > sum(each)
        assert [result.refs for result in pushed] == [1, 1]
    assert lost_races > each[0]
    bob = new_machine()
    refs = [ref for _, owned in pushes for ref in owned]
    bob.fetch(MemoryTransport(store), *refs)
    assert [read_folder(bob.cache, ref.digest) for ref in refs] == folders
    assert alone[0].sent > 0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.integers(0, 2), max_size=40), old=st.booleans())
def test_three_pushes_in_any_order(
    three: tuple[list[tuple[Machine, list[Ref]]], Machine, Ref], order: list[int], old: bool
) -> None:
    pushes, reader, before = three
    store = memory_remote()
    if old:
        pushes[0][0].push(MemoryTransport(store), before)
    push_in_turns(store, iter(order), pushes)
    check_both(reader, store, *pushes, *([(pushes[0][0], [before])] if old else []))


@pytest.fixture
def three(new_machine: NewMachine) -> tuple[list[tuple[Machine, list[Ref]]], Machine, Ref]:
    pushes, _ = two_machines(new_machine)
    # The third one pushes what the first one does, too.
    third = new_machine()
    same = keep(third.cache, {b"own": b"of ann", b"both": b"both", b"large": SHARED + b"a"}, {b"third": b"third"})
    (before,) = keep(pushes[0][0].cache, {b"before": b"before", b"large": SHARED})
    return [*pushes, (third, same)], new_machine(), before


def test_two_that_push_the_same(new_machine: NewMachine) -> None:
    ann, bob, reader = new_machine(), new_machine(), new_machine()
    folder = {b"a": b"a", b"large": SHARED}
    pushes = [(ann, keep(ann.cache, folder)), (bob, keep(bob.cache, folder))]
    for before in range(12):
        store = memory_remote()
        push_in_turns(store, first_this_then_that(before, 99), pushes)
        check_both(reader, store, *pushes)


def test_two_that_send_the_same_content_and_a_merge_of_their_indexes(
    new_machine: NewMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committed, "MOST_FILES", 2)
    ann, bob, reader = new_machine(), new_machine(), new_machine()
    (ref,) = keep(ann.cache, {b"%d" % number: b"%d" % number * 50 for number in range(50)})
    source = memory_remote()
    ann.push(MemoryTransport(source), ref)
    bob.fetch(MemoryTransport(source), ref)
    store = memory_remote()
    other = keep(bob.cache, {b"of bob": b"of bob"})
    pushes = [(ann, [ref]), (bob, [ref, *other])]
    push_in_turns(store, first_this_then_that(3, 99), pushes)
    check_both(reader, store, *pushes)
    refs = [ref, *other]
    for number in range(4):
        refs += keep(ann.cache, {b"%d" % name: b"%d of %d" % (name, number) for name in range(200)})
        ann.push(MemoryTransport(store), refs[-1])
    check_remote(reader, MemoryTransport(store), *refs)
    indexes = reader.remote(MemoryTransport(store)).latest().indexes()
    listed = [summary.digest for index in indexes for summary in index.packs]
    assert len(listed) == len(set(listed))
    # Each pack belongs to one push, by its nonce. Both sent what they had in common.
    sessions = {store.values[pack_key(pack)][8:24].hex() for pack in listed}
    assert sessions == {commit.session for commit in check_chain(MemoryTransport(store))}
    assert len(listed) == len(sessions) == 6


# -- what a push relied on


class Dropping(WrappedTransport):
    """Just before the first commit of a push, another writer's one drops all that is in the remote."""

    dropped = 0
    most = 1

    def put(self, key: str, content: bytes) -> None:
        if key.startswith(COMMITS) and self.dropped < self.most:
            self.dropped += 1
            before = self.inner.get(self.inner.list(COMMITS)[-1])
            commit = decode_commit(before)
            empty = replace(
                commit,
                number=commit.number + 1,
                parent=commit_digest(before),
                operation="gc",
                indexes=(),
                refs=(),
            )
            self.inner.put(commit_key(empty.number), encode_commit(empty))
        super().put(key, content)


@pytest.mark.parametrize("second", [{b"large": SHARED + b"more"}, {b"again": {b"large": SHARED}}])
def test_what_a_push_relied_on_and_was_dropped_is_sent(ann: Machine, bob: Machine, second: Folder) -> None:
    """Chunks, or a whole tree."""
    first, *refs = keep(ann.cache, {b"large": SHARED}, second)
    transport = MemoryTransport(memory_remote())
    ann.push(transport, first)
    dropping = Dropping(transport)
    ann.push(dropping, *refs)
    assert dropping.dropped == 1
    check_chain(transport)
    check_remote(bob, transport, *refs)
    bob.fetch(transport, *refs)
    assert read_folder(bob.cache, refs[0].digest) == second


def test_a_remote_that_drops_everything_again_and_again(ann: Machine) -> None:
    first, second = keep(ann.cache, {b"large": SHARED}, {b"large": SHARED + b"more"})
    transport = MemoryTransport(memory_remote())
    ann.push(transport, first)

    class Always(Dropping):
        """What was dropped is there again whenever a push begins."""

        most = 100

        def list(self, prefix: str, after: str = "") -> list[str]:
            if len(super().list(prefix, after)) == 1:  # It knows the newest commit, hence it begins.
                ann.push(self.inner, first)
            return super().list(prefix, after)

    with pytest.raises(ReliedOnLost):
        ann.push(Always(transport), second)


class AlwaysTaken(WrappedTransport):
    def put(self, key: str, content: bytes) -> None:
        if key.startswith(COMMITS):
            raise RemoteConflict(self.url, key)
        super().put(key, content)


def test_a_store_in_which_every_number_is_taken(
    ann: Machine, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hitsave.remotes.commits.log._TRIES", 20)
    (ref,) = keep(ann.cache, {b"a": b"a"})
    with pytest.raises(RemoteUnsuitable, match="cannot be trusted"):
        ann.push(AlwaysTaken(memory), ref)


# -- real processes

PUSHES = """
    import sys
    from pathlib import Path
    from hitsave.cache.store import Cache
    from hitsave.remotes.transports.folder import FolderTransport
    from hitsave.remotes.commits.log import Author, Remote
    from hitsave.remotes.writing.push import push
    folder, place = map(Path, sys.argv[1:])
    cache = Cache.open(folder / "cache")
    print("ready", flush=True)
    sys.stdin.readline()
    remote = Remote.open(FolderTransport(place), folder / "remotes", create=True)
    for ref in cache.refs():
        assert push(remote, cache, [ref], Author(folder.name, 0)).refs == 1
"""


def test_two_processes(new_machine: NewMachine, tmp_path: Path) -> None:
    """Both make the remote, and push twenty refs each."""
    place = tmp_path / "remote"
    machines = [new_machine(), new_machine()]
    refs: list[Ref] = []
    for number, machine in enumerate(machines):
        for part in range(20):
            refs += keep(machine.cache, {b"own": b"%d of %d" % (part, number), b"large": SHARED + b"%d" % (part % 3)})
    command = [sys.executable, "-c", textwrap.dedent(PUSHES)]
    started = [
        subprocess.Popen([*command, machine.folder, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for machine in machines
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        process.communicate()
        assert process.returncode == 0
    transport = FolderTransport(place)
    reader = new_machine()
    check_remote(reader, transport, *refs)
    commits = check_chain(transport)
    assert len(commits) == 40
    assert {commit.author for commit in commits} == {machine.folder.name for machine in machines}
    reader.fetch(transport, *refs)
    assert read_folder(reader.cache, refs[-1].digest)[b"own"] == b"19 of 1"


def test_readers_beside_a_writer_see_whole_states(ann: Machine, new_machine: NewMachine, tmp_path: Path) -> None:
    transport = FolderTransport(tmp_path / "remote")
    refs = [keep(ann.cache, {b"%d" % number: b"%d" % number})[0] for number in range(30)]
    writer = ann.remote(transport, create=True)
    reader = new_machine()
    failures: list[BaseException] = []
    seen: list[int] = []
    ended = threading.Event()

    def read() -> None:
        try:
            remote = Remote.open(FolderTransport(tmp_path / "remote"), reader.folder / "remotes")
            while not ended.is_set():
                view = remote.latest()
                held = view.refs()
                assert len(held) == view.number
                assert all(view.has(ref.digest) for ref in held.values())
                seen.append(view.number)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    for ref in refs:
        push(writer, ann.cache, [ref], ANN)
    ended.set()
    thread.join()
    assert failures == []
    assert seen == sorted(seen)
