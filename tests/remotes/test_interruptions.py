"""A push or fetch that dies at any point changes nothing that can be seen, and the next one goes on from there."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hitsave.cache.intake import WHOLE_FROM
from hitsave.objects.digest import blob_digest
from hitsave.objects.refs import Ref
from hitsave.packing.commit import commit_digest
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.transports.folder import FolderTransport
from hitsave.remotes.verification.verify import verify
from tests.remotes.conftest import NewMachine
from tests.remotes.content import SMALL_CHUNKS, Folder, Machine, check_remote, keep, memory_remote, noise, read_folder
from tests.remotes.transports import CountingTransport, FaultyTransport, Lost, MemoryStore, MemoryTransport

TARGET = 300_000
OLD: Folder = {b"old": b"old", b"shared": b"shared", b"old large": noise(3 * SMALL_CHUNKS, 90)}
NEW: Folder = {
    b"shared": b"shared",
    b"new": b"new",
    b"deep": {b"%02d" % number: noise(40_000, number) for number in range(20)},
    b"large": noise(3 * SMALL_CHUNKS, 90)[:-1000] + noise(2 * WHOLE_FROM, 91),
    b"larger": noise(9 * SMALL_CHUNKS, 92),
}


@pytest.fixture
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hitsave.remotes.writing.packstream.PACK_TARGET", TARGET)
    monkeypatch.setattr("hitsave.cache.packwriter.PACK_TARGET", TARGET)


def copy_of(store: MemoryStore) -> MemoryStore:
    copied = MemoryStore()
    copied.values = dict(store.values)
    copied.durable = set(store.durable)
    return copied


def start_over(machine: Machine) -> None:
    """Forget what the machine has cached of remotes."""
    shutil.rmtree(machine.folder / "remotes", ignore_errors=True)


def operations_of(store: MemoryStore, action: Callable[[FaultyTransport], object]) -> int:
    counted = FaultyTransport(MemoryTransport(copy_of(store)))
    action(counted)
    return counted.operations


def named_packs(machine: Machine, store: MemoryStore) -> set[str]:
    start_over(machine)  # It may have seen a newer state than this one.
    view = machine.remote(MemoryTransport(store)).latest()
    return {f"packs/{pack.hex()[:2]}/{pack}.pack" for pack in view.pack_lengths()}


@pytest.mark.parametrize("power", ["kept", "lost"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("as_they_are", [True, False], ids=["whole packs", "parts of packs"])
@pytest.mark.usefixtures("small_packs")
def test_a_push_that_dies_at_any_operation(
    ann: Machine, new_machine: NewMachine, after: bool, power: str, as_they_are: bool
) -> None:
    reader = new_machine()
    (old,) = keep(ann.cache, OLD)
    new = keep(ann.cache, *([NEW] if as_they_are else [NEW, {b"secret": b"SECRET"}]))[0]
    base = memory_remote()
    ann.push(MemoryTransport(base), old)
    whole = copy_of(base)
    total = ann.push(MemoryTransport(whole), new).sent
    start_over(ann)
    count = operations_of(base, lambda transport: ann.push(transport, new))
    assert count > 10
    reused = 0
    for at in range(count):
        start_over(ann)
        start_over(reader)
        store = copy_of(base)
        with pytest.raises(Lost):
            ann.push(FaultyTransport(MemoryTransport(store), at, after=after), new)
        if power == "lost":
            store.lose_power()
        committed = len(MemoryTransport(store).list("commits/")) == 2
        check_remote(reader, MemoryTransport(store), old, *([new] if committed else []))
        left = set(MemoryTransport(store).list("packs/")) - named_packs(reader, base)
        counting = CountingTransport(MemoryTransport(store))
        again = ann.push(counting, new)
        check_remote(reader, MemoryTransport(store), old, new)
        assert again.sent <= total
        # Of full packs, at most the one is sent again that was finished in the moment of death.
        full = {key for key in left if len(store.values[key]) >= TARGET}
        useless = full - named_packs(reader, store)
        assert len(useless) <= 1
        reused += len(full) - len(useless)
        assert not any((ann.folder / "remotes").rglob("unfinished/*"))
    assert reused > count / 10
    bob = new_machine()
    bob.fetch(MemoryTransport(store), old, new)
    assert read_folder(bob.cache, old.digest) == OLD
    assert read_folder(bob.cache, new.digest) == NEW


@pytest.mark.usefixtures("small_packs")
def test_a_push_that_dies_again_and_again_comes_to_its_end(ann: Machine, bob: Machine) -> None:
    """Each try gets a few operations further; what one has sent, no later one sends again."""
    new = keep(ann.cache, NEW, {b"secret": b"SECRET"})[0]
    store = memory_remote()
    tries = 0
    while True:
        tries += 1
        transport = FaultyTransport(MemoryTransport(store), 6 + tries, after=tries % 2 == 0)
        try:
            ann.push(transport, new)
            break
        except Lost:
            assert tries < 40
    assert tries > 3
    check_remote(bob, MemoryTransport(store), new)
    assert len(store.values) < 60


@pytest.mark.usefixtures("small_packs")
def test_what_another_push_left_behind_is_not_published(ann: Machine, bob: Machine) -> None:
    """A pack that a dead push has sent is used only by one that sends all which that push was to send."""
    secret, new = keep(ann.cache, {**NEW, b"secret": b"SECRET" * 50_000}, NEW)
    store = memory_remote()
    count = operations_of(store, lambda transport: ann.push(transport, secret))
    start_over(ann)
    with pytest.raises(Lost):
        ann.push(FaultyTransport(MemoryTransport(store), count - 4), secret)
    left = set(MemoryTransport(store).list("packs/"))
    assert len(left) > 3
    ann.push(MemoryTransport(store), new)
    listed = {
        digest for index in bob.remote(MemoryTransport(store)).latest().indexes() for digest, _ in index.digests()
    }
    content = [ann.cache.read(digest) for digest in ann.cache.reachable([(new.digest, new.kind)])]
    chunks = {blob_digest(blob[at : at + SMALL_CHUNKS]) for blob in content for at in range(0, len(blob), SMALL_CHUNKS)}
    assert listed <= {*ann.cache.reachable([(new.digest, new.kind)]), *chunks}
    check_remote(bob, MemoryTransport(store), new)
    ann.push(MemoryTransport(store), secret)
    check_remote(bob, MemoryTransport(store), new, secret)
    bob.fetch(MemoryTransport(store), secret, new)
    assert read_folder(bob.cache, new.digest) == NEW


@pytest.mark.usefixtures("small_packs")
def test_what_is_noted_and_not_there_is_sent(ann: Machine, bob: Machine) -> None:
    (new,) = keep(ann.cache, NEW)
    count = operations_of(memory_remote(), lambda transport: ann.push(transport, new))
    start_over(ann)
    with pytest.raises(Lost):
        ann.push(FaultyTransport(MemoryTransport(memory_remote()), count - 3), new)
    notes = [*(ann.folder / "remotes").rglob("unfinished/*/*")]
    assert len(notes) > 2
    for note in notes[::2]:
        note.write_bytes(note.read_bytes()[:-1])
    another = memory_remote()  # With the same identity, and none of the packs.
    ann.push(MemoryTransport(another), new)
    check_remote(bob, MemoryTransport(another), new)


@pytest.mark.usefixtures("small_packs")
def test_notes_that_cannot_be_kept_do_no_harm(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    (new,) = keep(ann.cache, NEW)
    remote = ann.remote(memory)
    remote.unfinished.write_bytes(b"a file in the place of the folder")
    ann.push(memory, new)
    check_remote(bob, memory, new)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("dies", [True, False], ids=["dies", "fails once"])
@pytest.mark.usefixtures("small_packs")
def test_a_fetch_that_dies_at_any_operation(ann: Machine, new_machine: NewMachine, after: bool, dies: bool) -> None:
    old, new = (keep(ann.cache, folder)[0] for folder in (OLD, NEW))
    store = memory_remote()
    ann.push(MemoryTransport(store), old)
    ann.push(MemoryTransport(store), new)
    first = new_machine()
    first.fetch(MemoryTransport(store), old)
    counted = FaultyTransport(MemoryTransport(store))
    first.fetch(counted, new)
    assert counted.operations > 8
    for at in range(counted.operations):
        bob = new_machine()
        bob.fetch(MemoryTransport(store), old)
        with pytest.raises(Lost):
            bob.fetch(FaultyTransport(MemoryTransport(store), at, after=after, dies=dies), new)
        assert bob.cache.refs() == [old]
        assert list((bob.cache.path / "tmp").iterdir()) == []
        bob.fetch(MemoryTransport(store), new)
        assert read_folder(bob.cache, new.digest) == NEW
        assert read_folder(bob.cache, old.digest) == OLD
        assert bob.cache.owns_whole(new.digest)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_making_a_remote_that_dies_at_any_operation(ann: Machine, after: bool) -> None:
    counted = FaultyTransport(MemoryTransport())
    ann.remote(counted, create=True)
    # The last one tries whether the store keeps what is taken; the answer says that it does, and is not lost.
    for at in range(counted.operations - after):
        start_over(ann)
        store = MemoryStore()
        with pytest.raises(Lost):
            ann.remote(FaultyTransport(MemoryTransport(store), at, after=after), create=True)
        remote = ann.remote(MemoryTransport(store), create=True)
        assert remote.latest().number == 0
        assert Remote.open(MemoryTransport(store), ann.folder / "again").format == remote.format


# -- real processes

PUSH = """
    import sys
    from pathlib import Path
    from hitsave.cache.store import Cache
    from hitsave.remotes.writing import packstream
    from hitsave.remotes.transports.folder import FolderTransport
    from hitsave.remotes.commits.log import Author, Remote
    from hitsave.remotes.writing.push import push
    packstream.PACK_TARGET = 1 << 20
    cache = Cache.open(Path(sys.argv[1]))
    remote = Remote.open(FolderTransport(Path(sys.argv[2])), Path(sys.argv[3]), create=True)
    print("begin", flush=True)
    push(remote, cache, cache.refs(), Author("killed@lab", 0))
    print("end", flush=True)
"""


def push_and_kill(machine: Machine, place: Path, delay: float) -> bool:
    """Whether the push came to its end before it was killed."""
    command = [sys.executable, "-c", textwrap.dedent(PUSH), machine.cache.path, place, machine.folder / "remotes"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        return "end" in process.stdout.read()


def test_a_process_that_is_killed_at_random_moments(ann: Machine, bob: Machine, tmp_path: Path) -> None:
    place = tmp_path / "remote"
    chance = random.Random(7)
    refs: list[Ref] = []
    shared = {b"%d" % number: noise(3000, number) for number in range(100)}
    ended: list[bool] = []
    for kill in range(10):
        large = {b"large %d" % part: noise(1 << 20, 10 * kill + part) for part in range(4)}
        refs += keep(ann.cache, {**shared, **large, b"kill": b"%d" % kill})
        ended.append(push_and_kill(ann, place, chance.choice([0.02, 0.1, 0.5]) * chance.random()))
        remote = bob.remote(FolderTransport(place), create=True)
        held = remote.latest().refs()
        # Nothing of a push, or all of it.
        assert set(held.values()) in ([*map(set, (refs[:done] for done in range(len(refs) + 1)))])
        assert verify(remote).faults == ()
    assert not all(ended)
    transport = FolderTransport(place)
    ann.push(transport, *refs)
    check_remote(bob, transport, *refs)
    bob.fetch(transport, *refs)
    for ref in refs:
        assert read_folder(bob.cache, ref.digest) == read_folder(ann.cache, ref.digest)
    keys = transport.list("commits/")
    assert [commit_digest(transport.get(key)) for key in keys][-1] == bob.remote(transport).latest().digest
