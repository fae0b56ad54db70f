"""What the pages look at: one person's own cache, or the store that a server shares. Both are read alike.

Of a store nothing is kept but what `Contents` and the catalogue keep; of a cache, nothing at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from hitsave.cache.store import Cache
from hitsave.contents import Contents
from hitsave.errors import HitsaveError, ObjectError, ObjectNotFound, RefError, ReliedOnLost, RemoteError
from hitsave.maintenance.collect import DEFAULT_KEEP_SECONDS
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.refs import Ref, RefName
from hitsave.packing.blocks import EntryKindInPack
from hitsave.packing.commit import Commit
from hitsave.packing.index import Location
from hitsave.progress import Silent
from hitsave.remotes.collection import dropping, withdrawing
from hitsave.remotes.commits.log import Author, Remote
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.commits.view import View
from hitsave.remotes.reading.reader import Reader
from hitsave.repository import Repository

#: The largest records that are looked into, such as evaluations, code and what had changed; and directories.
LARGEST_RECORD = 16 << 20
LARGEST_TREE = 256 << 20
#: Bytes of objects that are read at once, and of a block beyond the object that is wanted of it.
_READ_AT_ONCE = 32 << 20
_LARGEST_BLOCK = 32 << 20
#: What is cut into chunks is as large as this, or larger; only blobs are.
_IN_CHUNKS = 1 << 40


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection did: `objects` that nobody owned (files, directories and records), with `size` of content.

    `freed` are bytes that the disk or bucket has again, and `kept` those that it gets later, since what is in them can
    still be brought back: of content in a cache, of packs, which are compressed, in a store.
    """

    objects: int
    size: int
    freed: int
    kept: int


class Holdings(Protocol):
    """Refs and what they hold. For several threads."""

    contents: Contents
    #: What is raised for an object that is not here, or cannot be read.
    faults: tuple[type[HitsaveError], ...]

    def state(self) -> Hashable:
        """What is another one when refs have come or gone. Raises RemoteError."""

    def refs(self) -> list[Ref]:
        """Every ref. Raises RemoteError."""

    def read_many(self, digests: Iterable[Digest], most: int) -> Iterator[tuple[Digest, bytes]]:
        """The contents of those objects of up to `most` bytes that are there and can be read, in any order.

        Raises RemoteError.
        """

    def kind_of(self, digest: Digest) -> ObjectKind:
        """What an object is. Raises ObjectNotFound, RemoteError."""

    def length(self, digest: Digest) -> int:
        """The bytes of an object of any kind, at least. Raises ObjectNotFound, RemoteError."""

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        """Those of `digests` that are not here, though refs need them: of some, only a part was ever fetched."""

    def forget(self, names: Iterable[RefName], by: str) -> list[Ref]:
        """Drop refs; those that were there. Raises RemoteError."""

    def collect(self, by: str, at_once: bool) -> Collected:
        """Collect what no ref owns; with `at_once`, what could be brought back as well. Raises RemoteError."""


class LocalHoldings:
    """One person's own cache, with everything of all projects.

    What is not in it may be in the workspace's remote, which need not answer: the rest is shown all the same.
    """

    faults: tuple[type[HitsaveError], ...] = (ObjectError, RemoteError)

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._cache: Cache = repository.cache
        self.contents = repository.contents

    def state(self) -> Hashable:
        return self._cache.database.version

    def refs(self) -> list[Ref]:
        return self._cache.refs()

    def read_many(self, digests: Iterable[Digest], most: int) -> Iterator[tuple[Digest, bytes]]:
        return ((digest, content) for digest, content in self._read_many(digests) if len(content) <= most)

    def _read_many(self, digests: Iterable[Digest]) -> Iterator[tuple[Digest, bytes]]:
        # A block holds many small objects: read in the order in which they lie, each is decoded once.
        located, boxed = self._cache.locate_or_read(digests)
        for digest, held in boxed.items():
            yield digest, held.content
        try:
            for digest, data in self._cache.read_many(located.values()):
                yield digest, bytes(data)
        except ObjectError:  # One of them is damaged; the others are not.
            for digest in located:
                try:
                    yield digest, self._cache.read(digest)
                except ObjectError:
                    continue

    def kind_of(self, digest: Digest) -> ObjectKind:
        info = self._cache.info(digest)
        return info.kind if info else self._repository.names.resolve(str(digest)).kind

    def length(self, digest: Digest) -> int:
        return _length(self._repository, digest)

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        return self._cache.missing(digests)

    def forget(self, names: Iterable[RefName], by: str) -> list[Ref]:
        there = [name for name in names if self._cache.ref(name) is not None]
        try:
            return self._repository.forget(there)
        except RefError:  # Another process has dropped one of them meanwhile.
            return self._repository.forget(name for name in there if self._cache.ref(name) is not None)

    def collect(self, by: str, at_once: bool) -> Collected:
        done = self._repository.collect(0 if at_once else DEFAULT_KEEP_SECONDS)
        size = done.freed_bytes
        return Collected(len(done.objects), size, size if at_once else 0, 0 if at_once else size)


class SharedHoldings:
    """The store behind a server. It is asked for news every few seconds at most."""

    faults: tuple[type[HitsaveError], ...] = (ObjectError,)

    def __init__(self, repository: Repository, remote_name: str) -> None:
        self._repository = repository
        self._name = remote_name
        self.contents = repository.contents

    def _remote(self) -> Remote | None:
        """The store; None as long as nothing was ever pushed there."""
        shelf = self._repository.exchange.shelf_if_any()
        return self._repository.exchange.remote(self._name) if shelf else None

    def state(self) -> Hashable:
        shelf = self._repository.exchange.shelf_if_any()
        return shelf.view.digest if shelf else None

    def refs(self) -> list[Ref]:
        shelf = self._repository.exchange.shelf_if_any()
        return list(shelf.view.refs().values()) if shelf else []

    def read_many(self, digests: Iterable[Digest], most: int) -> Iterator[tuple[Digest, bytes]]:
        remote = self._remote()
        if remote is None:
            return
        view = remote.latest(trusting=True)
        located = view.find_many(list(digests)).values()
        reader = Reader(remote, view)
        for some in _portions(place for place in located if _is_small(place, most)):
            yield from reader.read_many(some).items()

    def kind_of(self, digest: Digest) -> ObjectKind:
        return self._repository.names.resolve(str(digest)).kind

    def length(self, digest: Digest) -> int:
        return _length(self._repository, digest)

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        return set()

    def forget(self, names: Iterable[RefName], by: str) -> list[Ref]:
        remote = self._remote()
        return dropping.drop_refs(remote, _author(by), names) if remote else []

    def collect(self, by: str, at_once: bool) -> Collected:
        if self._remote() is None:
            return Collected(0, 0, 0, 0)
        upkeep = self._repository.upkeep(self._name)
        done = upkeep.collect(0 if at_once else DEFAULT_KEEP_SECONDS)
        if at_once and done.kept:  # The state that still named them expired with the first one's commit.
            again = upkeep.collect(0)
            return Collected(done.objects, done.size, done.freed + again.freed, again.kept)
        return Collected(done.objects, done.size, done.freed, done.kept)

    def take_back(self, digest: Digest, by: str, told: Callable[[Ref], None]) -> Ref | None:
        """Make a snapshot private, which stays owned; the ref that made it public. Raises RemoteError.

        `told` gets that ref as soon as it is gone, whatever comes of the rest.
        """
        remote = self._remote()
        return withdrawing.take_back(remote, _author(by), digest, Silent(), told) if remote else None

    def add_ref(self, ref: Ref, owner: Ref, by: str) -> bool:
        """Make a ref of what another ref owns, so that all of it is there; whether there was none before.

        Raises ReliedOnLost where it is owned no longer, RemoteError.
        """
        remote = self._repository.exchange.remote(self._name)
        view = remote.latest()
        if view.held_of({ref.name}):
            return False
        session, is_new = Session.begin(view.number), True

        def build(newest: View) -> Commit:
            nonlocal is_new
            held = newest.held_of({ref.name, owner.name})
            if owner.name not in held or held[owner.name].digest != owner.digest:
                raise ReliedOnLost([str(owner.digest)])
            segments = newest.ref_files
            if is_new := ref.name not in held:
                segments += (remote.files.put_refs({ref.name: ref}, session),)
            return remote.following(newest, session, _author(by), "public", newest.index_files, segments)

        remote.commit(view, session, build)
        return is_new


def _length(repository: Repository, digest: Digest) -> int:
    info = repository.cache.info(digest)
    if info is not None:
        return info.size
    shelf = repository.exchange.shelf_if_any()
    if shelf is None:
        raise ObjectNotFound(str(digest))
    location = shelf.reader.locate(digest)
    return _IN_CHUNKS if location.kind == EntryKindInPack.RECIPE else location.length


def _is_small(place: Location, most: int) -> bool:
    """Whether an object has no more bytes, and can be had without many more: so large a block is none that we write."""
    return place.kind != EntryKindInPack.RECIPE and place.length <= most and place.block.raw <= most + _LARGEST_BLOCK


def _portions(places: Iterable[Location]) -> Iterator[list[Digest]]:
    """Those that are in memory together."""
    some: list[Digest] = []
    length = 0
    for place in places:
        if some and length + place.length > _READ_AT_ONCE:
            yield some
            some, length = [], 0
        some.append(place.digest)
        length += place.length
    if some:
        yield some


def _author(by: str) -> Author:
    return Author(by, int(time.time()))
