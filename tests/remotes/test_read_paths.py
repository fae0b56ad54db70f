"""Whatever reads a remote notices what is damaged there: it says which key, and changes nothing; or it was not needed.

Every way of reading is tried on every kind of file with every kind of damage, with indexes read whole and by parts.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hitsave.errors import HitsaveError, RemoteCorrupt
from hitsave.objects.digest import blob_digest
from hitsave.objects.refs import Ref
from hitsave.packing.commit import Commit, decode_commit, encode_commit
from hitsave.remotes.collection.collect import collect
from hitsave.remotes.collection.dropping import bring_back, drop_refs
from hitsave.remotes.commits.keys import FORMAT_KEY, commit_key
from hitsave.remotes.commits.log import Author
from hitsave.remotes.reading.reader import Reader
from hitsave.remotes.verification.verify import RemoteReport, verify
from tests.remotes.conftest import NewMachine
from tests.remotes.content import ANN, SMALL_CHUNKS, Folder, Machine, keep, memory_remote, noise, read_folder
from tests.remotes.transports import MemoryStore, MemoryTransport

LATER = Author("ann@lab", ANN.now + 100 * 86400)
BIG = noise(4 * SMALL_CHUNKS, 9)
SMALL: Folder = {b"%d" % number: noise(600, number) for number in range(40)}
LARGE: Folder = {b"large": BIG, b"deep": {b"file": b"deep"}}
GONE: Folder = {b"gone": noise(900, 100), b"3": noise(600, 3)}
NEW: Folder = {b"new": b"new", b"5": noise(600, 5), b"large": BIG + b"more"}


class Damaged(MemoryTransport):
    """A store that does not mind when what a new commit takes over from its parent is damaged."""

    def _check_commit(self, content: bytes) -> None:
        pass


@dataclass
class World:
    """A remote of three datasets, one of which was dropped; another one with the same; and who reads them."""

    store: MemoryStore
    other: MemoryStore
    refs: list[Ref]
    reader: Machine
    writer: Machine
    new: Ref

    def damaged(self, key: str, content: bytes | None) -> MemoryTransport:
        """The remote with another value under a key, or without it."""
        copied = MemoryStore()
        copied.values = {**self.store.values, **({key: content} if content is not None else {})}
        copied.durable = {*self.store.durable, key}
        if content is None:
            del copied.values[key]
        return Damaged(copied)


@pytest.fixture
def world(new_machine: NewMachine) -> World:
    ann, reader, writer = (new_machine() for _ in range(3))
    refs = keep(ann.cache, SMALL, LARGE, GONE)
    stores = []
    for _ in range(2):
        memory = MemoryTransport(memory_remote())
        for ref in refs:
            ann.push(memory, ref)
        drop_refs(ann.remote(memory), ANN, [refs[2].name])
        stores.append(memory.store)
    return World(stores[0], stores[1], refs, reader, writer, keep(writer.cache, NEW)[0])


@pytest.fixture(params=["whole", "by parts"])
def _indexes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "by parts":
        monkeypatch.setattr("hitsave.remotes.commits.indexes.WHOLE_UP_TO", 0)
        monkeypatch.setattr("hitsave.remotes.commits.indexparts.REQUEST", 0)
        monkeypatch.setattr("hitsave.remotes.commits.pages.REQUEST", 0)


# -- the ways to read; each gives what it read


def list_refs(world: World, memory: MemoryTransport) -> object:
    return {ref.digest for ref in world.reader.remote(memory).latest().refs().values()}


def fetch_all(world: World, memory: MemoryTransport) -> object:
    machine = world.reader
    machine.fetch(memory, *world.refs[:2])
    return [read_folder(machine.cache, ref.digest) for ref in world.refs[:2]]


def fetch_part(world: World, memory: MemoryTransport) -> object:
    machine = world.reader
    machine.fetch(memory, *world.refs[:2], include=(b"7", b"deep/file").__contains__)
    return [machine.cache.read(blob_digest(content)) for content in (noise(600, 7), b"deep")]


def read_part(world: World, memory: MemoryTransport) -> object:
    remote = world.reader.remote(memory)
    return Reader(remote, remote.latest()).read_range(blob_digest(BIG), SMALL_CHUNKS + 5, 100)


def complete(world: World, memory: MemoryTransport) -> object:
    return world.reader.remote(memory).latest().complete(blob_digest(BIG).hex()[:7])


def push_more(world: World, memory: MemoryTransport) -> object:
    return world.writer.push(memory, world.new).refs


def collect_now(world: World, memory: MemoryTransport) -> object:
    collect(world.reader.remote(memory), LATER, keep=0)
    return list_refs(world, memory)


def undo(world: World, memory: MemoryTransport) -> object:
    return [ref.digest for ref in bring_back(world.reader.remote(memory), LATER).refs]


WAYS: list[Callable[[World, MemoryTransport], object]] = [
    list_refs,
    fetch_all,
    fetch_part,
    read_part,
    complete,
    push_more,
    collect_now,
    undo,
]


def damages(world: World, key: str) -> Iterator[bytes | None]:
    """What may stand under a key instead of its value."""
    value = world.store.values[key]
    chance = random.Random(key.partition("/")[0])
    for place in (0.1, 0.6, 0.95):
        damaged = bytearray(value)
        damaged[int(len(value) * place)] ^= 1 << chance.randrange(8)
        yield bytes(damaged)
    yield value[: len(value) // 2]
    yield None
    folder = key.partition("/")[0]
    fellows = sorted(other for other in world.store.values if other.startswith(folder) and other != key)
    if fellows:
        yield world.store.values[chance.choice(fellows)]
    if key != FORMAT_KEY:
        # Of the same kind and, for a commit, under the same key; for others of about the same content.
        strangers = sorted(
            (other for other in world.other.values if other.startswith(folder)),
            key=lambda other: (other != key, abs(len(world.other.values[other]) - len(value))),
        )
        yield world.other.values[strangers[0]]


def start_over(world: World) -> None:
    for machine in (world.reader, world.writer):
        shutil.rmtree(machine.folder / "remotes", ignore_errors=True)


def contents(machine: Machine) -> list[Path]:
    folders = ("objects", "packs", "indexes", "tmp")
    return sorted(path for name in folders for path in (machine.cache.path / name).rglob("*"))


@pytest.mark.usefixtures("_indexes")
@pytest.mark.parametrize("way", WAYS)
def test_no_way_of_reading_is_deceived(
    world: World, new_machine: NewMachine, way: Callable[[World, MemoryTransport], object]
) -> None:
    sound = MemoryStore()
    sound.values, sound.durable = dict(world.store.values), set(world.store.durable)
    blank = world.reader
    world.reader = new_machine()
    right = way(world, MemoryTransport(sound))
    world.reader = blank
    refused = survived = 0
    for key in sorted(world.store.values):
        for content in damages(world, key):
            if content == world.store.values[key]:
                continue
            start_over(world)
            memory = world.damaged(key, content)
            before = dict(memory.store.values)
            here = contents(world.reader), contents(world.writer)
            answer, error = attempt(lambda memory=memory: way(world, memory))
            if error is not None:
                refused += 1
                _check_error(key, content, error)
                assert (contents(world.reader), contents(world.writer)) == here
                assert world.reader.cache.refs() == []
                _check_unchanged(before, memory.store.values)
                continue
            survived += 1
            if way in (fetch_all, fetch_part):
                world.reader = new_machine()
            if key == commit_key(4) and content is None:
                continue  # The remote as it was before: nobody can tell who has not seen the newer one.
            assert answer == right
            if way is not undo:  # It brings a ref back without a look at what that owns, which may lie damaged.
                _check_nothing_is_worse(world, key, before, memory)
    assert refused > 10
    assert survived > 5


def attempt(action: Callable[[], object]) -> tuple[object, HitsaveError | None]:
    """What an action gives, or how it fails."""
    try:
        return action(), None
    except HitsaveError as error:
        return None, error


def _check_unchanged(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """Packs that nobody named may have come."""
    assert {name: after.get(name) for name in before} == before
    assert not [name for name in after if name.startswith(("commits/", "refs/")) and name not in before]


def _check_error(key: str, content: bytes | None, error: HitsaveError) -> None:
    """The error names the key, or what leads to it where that was damaged."""
    assert "\n" not in str(error)
    if key == FORMAT_KEY:
        assert "format" in str(error) or "another remote" in str(error) or "hitsave remote" in str(error)
    elif not key.startswith("commits/"):
        assert key in str(error), (key, error)
        assert isinstance(error, RemoteCorrupt)
    elif content is not None and not _is_a_commit(content):
        assert key in str(error)


def _is_a_commit(content: bytes) -> bool:
    try:
        return encode_commit(decode_commit(content)) == content
    except HitsaveError:
        return False


def _check_nothing_is_worse(world: World, key: str, before: dict[str, bytes], memory: MemoryTransport) -> None:
    """After a write, nothing is lost that was not lost before with the damaged file."""
    if memory.store.values == before or key == FORMAT_KEY:
        return
    start_over(world)
    shown = MemoryStore()
    shown.values = dict(before)
    report, _ = attempt(lambda: verify(world.reader.remote(MemoryTransport(shown))))
    lost = {fault.digest for fault in report.faults} if isinstance(report, RemoteReport) else set()
    start_over(world)
    for fault in verify(world.reader.remote(memory)).faults:
        assert fault.digest in lost or key in fault.where or key in fault.reason


# -- commits that do not belong there


@pytest.mark.usefixtures("_indexes")
@pytest.mark.parametrize("way", WAYS)
def test_a_commit_that_does_not_belong_there_is_refused(
    world: World, way: Callable[[World, MemoryTransport], object]
) -> None:
    newest = max(key for key in world.store.values if key.startswith("commits/"))
    following = commit_key(int(newest.partition("/")[2]) + 1)
    stale = world.store.values[commit_key(2)]
    foreign = world.other.values[newest]
    for key, content, reason in [
        (following, stale, "holds commit 2"),
        (following, world.store.values[newest], "holds commit 4"),
        (newest, foreign, "belongs to another remote"),
        (following, encode_commit(_next(foreign)), "belongs to another remote"),
    ]:
        start_over(world)
        memory = world.damaged(key, content)
        before = dict(memory.store.values)
        with pytest.raises(RemoteCorrupt, match=reason) as caught:
            way(world, memory)
        assert caught.value.key == key
        assert memory.store.values == before
        assert contents(world.reader) == []


def _next(content: bytes) -> Commit:
    commit = decode_commit(content)
    return replace(commit, number=commit.number + 1, parent=blob_digest(content))


def test_who_has_seen_a_newer_state_is_not_shown_an_older_one(world: World) -> None:
    """A commit with another parent, on a machine that knows the one before it."""
    newest = max(key for key in world.store.values if key.startswith("commits/"))
    number = int(newest.partition("/")[2])
    list_refs(world, world.damaged(newest, world.store.values[newest]))
    older = decode_commit(world.store.values[commit_key(number - 1)])
    forged = encode_commit(replace(older, number=number + 1, parent=blob_digest(b"another")))
    memory = world.damaged(commit_key(number + 1), forged)
    with pytest.raises(RemoteCorrupt, match="does not descend"):
        list_refs(world, memory)
    with pytest.raises(RemoteCorrupt, match="the newest commit is gone"):
        list_refs(world, world.damaged(newest, None))
