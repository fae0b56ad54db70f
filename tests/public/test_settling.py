"""People who publish, take back and collect the same snapshot at once, fall asleep in the middle, and die."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from hitsave.errors import RefError
from hitsave.objects.digest import ObjectKind, blob_digest
from hitsave.objects.refs import Ref, public_ref, snapshot_ref
from hitsave.progress import Silent
from hitsave.remotes.collection.collect import Collected, collect
from hitsave.remotes.collection.dropping import bring_back
from hitsave.remotes.collection.withdrawing import RemoteSource, settle_files, take_back
from hitsave.remotes.commits.log import Author
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.public.layout import PUBLIC, file_key, list_key
from hitsave.remotes.public.publish import CacheSource
from hitsave.remotes.public.settling import PublicSnapshot
from hitsave.remotes.transports.protocol import Transport
from tests.remotes.content import ANN, SMALL_CHUNKS, Folder, Machine, keep, keep_blob, memory_remote, noise
from tests.remotes.sleeping import Asleep
from tests.remotes.transports import CountingTransport, FaultyTransport, Lost, MemoryTransport

FOLDER: Folder = {b"a": b"small", b"deep": {b"b": noise(3 * SMALL_CHUNKS, 1), b"c": b""}}
BYSTANDER = b"of somebody else"


@dataclass
class Team:
    """A machine that has both snapshots, and a store in which the folder is a snapshot and the other file is public."""

    machine: Machine
    folder: Ref
    bystander: Ref

    def store(self) -> MemoryTransport:
        """A remote unlike any other: no machine has seen a later state of it."""
        transport = MemoryTransport(memory_remote())
        self.machine.push(transport, self.folder)
        self.publish(transport, self.bystander)
        return transport

    def publish(self, transport: Transport, ref: Ref | None = None) -> bool:
        ref = ref or self.folder
        public = Ref(public_ref(ref.digest), ref.digest, ref.kind)
        self.machine.push(transport, public)
        remote = self.machine.remote(transport)
        return settle_files(remote, PublicSnapshot(ref.digest, ref.kind), Silent(), CacheSource(self.machine.cache))

    def take_back(self, transport: Transport) -> Ref | None:
        return take_back(self.machine.remote(transport), ANN, self.folder.digest, Silent())

    def collect(self, transport: Transport, dry_run: bool = False) -> Collected:
        return collect(self.machine.remote(transport), ANN, 10**9, dry_run=dry_run)

    def is_public(self, transport: Transport) -> bool:
        return public_ref(self.folder.digest) in self.machine.remote(transport).latest().refs()

    def expected(self, public: bool) -> dict[str, bytes]:
        """The files in `public/`."""
        files = dict.fromkeys([file_key(self.bystander.digest)], BYSTANDER)
        if public:
            above = f"{file_key(self.folder.digest)}/"
            deep = FOLDER[b"deep"]
            assert isinstance(deep, Mapping)
            contents = {"a": FOLDER[b"a"], "deep/b": deep[b"b"], "deep/c": deep[b"c"]}
            files |= {above + path: content for path, content in contents.items()}  # type: ignore[misc]
        return files

    def check(self, transport: MemoryTransport) -> None:
        """There is what the newest commit says, no more and no less."""
        public = self.is_public(transport)
        found = {key: transport.store.values[key] for key in transport.list(PUBLIC)}
        assert (found.pop(list_key(self.folder.digest), None) is not None) == public
        assert found == self.expected(public)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    machine = Machine(tmp_path_factory.mktemp("machine"))
    [folder] = keep(machine.cache, FOLDER)
    yield Team(machine, folder, keep_blob(machine.cache, BYSTANDER))
    machine.cache.close()


ACTIONS: dict[str, Callable[[Team, Transport], object]] = {
    "publish": Team.publish,
    "take back": Team.take_back,
    "collect": Team.collect,
}


def begin(team: Team, how: str) -> MemoryTransport:
    """A store in which the folder is private, public, or private with files that were left over."""
    transport = team.store()
    if how != "private":
        team.publish(transport)
    if how == "left over":
        files = {key: transport.store.values[key] for key in transport.list(file_key(team.folder.digest))}
        team.take_back(transport)
        transport.store.values |= files
    return transport


STARTS = ["private", "public", "left over"]


def asleep(team: Team, transport: MemoryTransport, name: str, operation: int) -> Asleep:
    def act(sleeping: Transport) -> Callable[[], None]:
        ACTIONS[name](team, sleeping)
        return lambda: None

    return Asleep(MemoryTransport(transport.store), operation, act)


@pytest.mark.parametrize(("start", "first", "second"), [*product(STARTS, ACTIONS, ACTIONS)])
def test_who_sleeps_in_the_middle_mends_what_he_broke(team: Team, start: str, first: str, second: str) -> None:
    """Whichever operation somebody falls asleep before, while somebody else does all that he wants."""
    for operation in range(1000):
        transport = begin(team, start)
        sleeper = asleep(team, transport, first, operation)
        ACTIONS[second](team, transport)
        sleeper.finish()
        team.check(transport)
        if not sleeper.slept:
            break
    assert operation > 3


def test_many_who_sleep(team: Team) -> None:
    """Three fall asleep anywhere, one after the other, and wake in any order."""
    chance = random.Random(8)
    outcomes = set()
    for _ in range(80):
        transport = begin(team, chance.choice(STARTS))
        sleepers = [asleep(team, transport, chance.choice([*ACTIONS]), chance.randrange(40)) for _ in range(3)]
        chance.shuffle(sleepers)
        for sleeper in sleepers:
            sleeper.finish()
        team.check(transport)
        outcomes.add(team.is_public(transport))
    assert outcomes == {True, False}


@pytest.mark.parametrize(("start", "name", "after"), [*product(STARTS, ACTIONS, (False, True))])
def test_who_dies_leaves_nothing_that_is_not_collected(team: Team, start: str, name: str, after: bool) -> None:
    for operation in range(1000):
        transport = begin(team, start)
        dying = FaultyTransport(transport, operation, after=after)
        with suppress(Lost):
            ACTIONS[name](team, dying)
        listed = {*transport.list(PUBLIC)}
        assert file_key(team.bystander.digest) in listed
        public = team.is_public(transport)
        if list_key(team.folder.digest) in listed and public:
            assert listed >= team.expected(public=True).keys()
        told = team.collect(transport, dry_run=True).public
        assert {*transport.list(PUBLIC)} == listed
        done = team.collect(transport).public
        assert [found.key for found in done] == [found.key for found in told]
        assert {found.key for found in done} == (set() if public else listed - {file_key(team.bystander.digest)})
        if public:
            team.publish(transport)
        team.check(transport)
        if not dying.dead:
            break
    assert operation > 3


def test_a_publication_that_is_under_way_loses_nothing_to_a_collection(team: Team) -> None:
    """It has put files, and not the list, when others collect: whatever their clock says, its ref is there."""
    for operation in range(1000):
        transport = begin(team, "private")
        sleeper = asleep(team, transport, "publish", operation)
        before = {*transport.list(PUBLIC)}
        collect(team.machine.remote(transport), Author("bob", 10**11), 0)
        assert before <= {*transport.list(PUBLIC)}
        sleeper.finish()
        team.check(transport)
        assert team.is_public(transport)
        if not sleeper.slept:
            break


def test_what_is_taken_back_is_owned_still(team: Team) -> None:
    """In the very commit that drops the ref, another one owns what it owned."""
    transport = MemoryTransport(memory_remote())
    team.publish(transport)
    ref = team.take_back(transport)
    assert ref is not None
    own = snapshot_ref(team.folder.digest)
    assert team.machine.remote(transport).latest().refs()[own].digest == ref.digest
    assert team.take_back(transport) is None
    with pytest.raises(RefError, match="nothing to undo"):
        bring_back(team.machine.remote(transport), ANN)
    team.collect(transport)
    assert transport.list(PUBLIC) == []
    team.publish(transport)
    assert team.is_public(transport)


def test_files_of_others_in_the_folder_are_left_alone(team: Team) -> None:
    transport = begin(team, "private")
    above = f"{PUBLIC}{team.folder.digest}"
    strange = [f"{PUBLIC}index.html", f"{above}.txt", above[:-1], f"{PUBLIC}.well-known/x", f"{above}/../x"]
    for key in strange:
        transport.store.values[key] = b""
    assert team.collect(transport).public == ()
    assert {*strange} <= {*transport.list(PUBLIC)}


def test_a_large_file_comes_out_of_the_packs_again(team: Team, tmp_path: Path) -> None:
    """Who has removed what is public again need not have it."""
    large = keep_blob(team.machine.cache, noise(3_000_000, 4))
    transport = MemoryTransport(memory_remote())
    team.machine.push(transport, large)
    RemoteSource(Machine(tmp_path).remote(transport)).put(transport, file_key(large.digest), large.digest)
    assert blob_digest(transport.store.values[file_key(large.digest)]) == large.digest


def test_requests(team: Team) -> None:
    """Where nothing is left to do, the commits are listed once, and the files once; no others' are."""
    transport = begin(team, "public")
    counting = CountingTransport(transport)
    remote = team.machine.remote(counting)
    remote.latest().refs()
    counting.reset()
    digest = team.folder.digest
    assert settle_files(remote, PublicSnapshot(digest, ObjectKind.TREE), Silent(), CacheSource(team.machine.cache))
    looks = [("list", "commits/"), ("list", f"{file_key(digest)}/"), ("get", list_key(digest))]
    assert counting.keys == looks


def test_an_evaluation_is_never_laid_out(team: Team) -> None:
    """Somebody's client may say that one is public. What lies there all the same is collected."""
    transport = begin(team, "private")
    remote = team.machine.remote(transport)
    digest = team.folder.digest
    forged = {public_ref(digest): Ref(public_ref(digest), digest, ObjectKind.EVALUATION)}
    view = remote.latest()
    remote.append(view, Session.begin(view.number), ANN, "push", (), forged)
    transport.store.values[file_key(digest)] = b"left over"
    source = CacheSource(team.machine.cache)
    assert not settle_files(remote, PublicSnapshot(digest, ObjectKind.BLOB), Silent(), source)
    assert transport.list(PUBLIC) == [file_key(team.bystander.digest)]
