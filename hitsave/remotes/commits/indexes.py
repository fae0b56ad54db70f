"""The indexes that a commit names, each read only as far as lookups need it.

A small index is fetched whole, checked against its digest, and kept as a copy on this machine. Of a large one, a lookup
reads parts: header and fan-out, then buckets, then block records, then pack records, each of these for all that is
looked up at once. When reading on by parts would cost more than the whole, the whole is fetched, checked and kept.

What is read by parts is not checked against the index's digest, nor is a large copy that this machine has: what is
found through them is checked by its content. Where they lead to something malformed, the whole index is fetched, or the
copy checked, and looked at again. Whoever finds nothing where something must be, or other content than he should, calls
`settle`, which does the same. So a damaged index is RemoteCorrupt, which names it, and never passes for one that lacks
an object.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from threading import Lock

from blake3 import blake3

from hitsave.errors import MalformedObject, RemoteCorrupt, RemoteNotFound
from hitsave.objects.digest import Digest
from hitsave.packing.commit import StoredFile
from hitsave.packing.index import Index
from hitsave.packing.indexlayout import Location
from hitsave.remotes.ahead import run_all
from hitsave.remotes.commits.indexparts import Answer, IndexParts, Job, NeedsWhole, Search
from hitsave.remotes.commits.keys import index_key, pack_key
from hitsave.remotes.transports.protocol import Transport

#: An index of up to this many bytes is fetched whole, in one request.
WHOLE_UP_TO = 128 << 10


def run_searches(searches: Iterable[Search[Answer]], threads: int) -> list[Answer]:
    """The answers of searches that go on side by side, in rounds: each round makes the requests of all of them."""
    running = dict(enumerate(searches))
    answers: dict[int, Answer] = {}
    while running:
        jobs: list[Job] = []
        for number, search in list(running.items()):
            try:
                jobs += next(search)
            except StopIteration as end:
                answers[number] = end.value
                del running[number]
        run_all(jobs, threads)
    return [answers[number] for number in sorted(answers)]


class CommittedIndex:
    """One index that a commit names. `copy` is where this machine keeps it when all of it was fetched.

    `useful` tells whether anything was ever found in it.
    """

    def __init__(self, transport: Transport, copy: Path, file: StoredFile) -> None:
        self._transport = transport
        self._copy = copy
        self._file = file
        self._key = index_key(file)
        self._index: Index | None = None
        self._checked = False
        self._looked_for_copy = False
        self._parts = IndexParts(self._get, file)
        self._pack_lengths: dict[Digest, int] = {}
        self._there: set[Digest] = set()
        self.useful = False

    @property
    def entries(self) -> int:
        """How many entries it has."""
        return self._file.entries

    @property
    def _is_small(self) -> bool:
        return self._file.length <= WHOLE_UP_TO

    # -- the whole

    @property
    def here(self) -> bool:
        """Whether all of it is on this machine, so that lookups make no requests."""
        if self._index is None and not self._looked_for_copy:
            self._looked_for_copy = True
            with contextlib.suppress(FileNotFoundError, MalformedObject):
                self._open_copy()
        return self._index is not None

    def whole(self) -> Index:
        """All of it, checked against its digest. Raises RemoteCorrupt."""
        if not self._checked:
            try:
                right = self.here and _digest_of(self._copy) == self._file.digest
                if right:
                    self._use(Index(_Copy(self._copy)), checked=True)
            except (FileNotFoundError, MalformedObject):
                right = False
            if not right:
                self._fetch()
        assert self._index is not None
        return self._index

    def settle(self) -> bool:
        """Make sure of what was believed unchecked; False where there was nothing of that. Raises RemoteCorrupt."""
        if self._checked:
            return False
        self.whole()
        return True

    def _open_copy(self) -> None:
        if self._is_small:
            content = self._copy.read_bytes()
            if blake3(content).digest() == self._file.digest:
                self._use(Index(content), checked=True)
        elif self._copy.stat().st_size == self._file.length:
            self._use(Index(_Copy(self._copy)), checked=False)

    def _use(self, index: Index, checked: bool) -> None:
        self._index, self._checked = index, checked
        self._parts = IndexParts(self._get, self._file)
        self._pack_lengths = {pack.digest: pack.length for pack in index.packs}

    def _fetch(self) -> None:
        temporary = self._copy.with_name(f"{self._copy.name}.{secrets.token_hex(6)}")
        try:
            if self._is_small:
                temporary.write_bytes(self._transport.get(self._key))
            else:
                self._transport.download(self._key, temporary)
            if _digest_of(temporary) != self._file.digest:
                raise self._corrupt("its content has another digest")
            os.replace(temporary, self._copy)
        except RemoteNotFound:
            raise self._missing() from None
        finally:
            temporary.unlink(missing_ok=True)
        try:
            self._use(Index(self._copy.read_bytes() if self._is_small else _Copy(self._copy)), checked=True)
        except MalformedObject as error:
            raise self._corrupt(str(error)) from None

    def _corrupt(self, reason: str) -> RemoteCorrupt:
        return RemoteCorrupt(self._transport.url, self._key, reason)

    def _missing(self) -> RemoteCorrupt:
        return self._corrupt("is missing, and the newest commit names it")

    # -- lookups

    def pack_length(self, pack: Digest) -> int | None:
        """The length of a pack that something was found in, in bytes."""
        return (self._pack_lengths if self.here else self._parts.pack_lengths).get(pack)

    def find(self, digests: Sequence[Digest]) -> Search[dict[Digest, Location]]:
        """Where objects are; what is not in this index is left out. Raises RemoteCorrupt."""
        found = yield from self._search(
            digests, lambda index: index.find_many(digests), lambda: self._parts.find(digests)
        )
        self.useful = self.useful or bool(found)
        return found

    def has(self, digests: Sequence[Digest]) -> Search[set[Digest]]:
        """Which objects this index holds, as a writer may rely on it. Raises RemoteCorrupt.

        What was found by parts counts when its pack is there: an index of another remote would name others.
        """
        found = yield from self.find(digests)
        if not self.here:
            packs = {location.pack for location in found.values()} - self._there
            yield [lambda pack=pack: self._look_for_pack(pack) for pack in packs]  # type: ignore[misc]
            if not packs <= self._there:
                yield [self._fetch]
                found = self._ask(lambda index: index.find_many(digests))
        return set(found)

    def _look_for_pack(self, pack: Digest) -> None:
        with contextlib.suppress(RemoteNotFound):
            if len(self._transport.get(pack_key(pack), self._parts.pack_lengths[pack] - 1, 1)) == 1:
                self._there.add(pack)

    def complete(self, low: bytes, high: bytes, most: int) -> Search[list[Digest]]:
        """The first `most` digests from `low` to `high`, both included, ascending. Raises RemoteCorrupt."""

        def first(index: Index) -> list[Digest]:
            return list(islice(dict.fromkeys(index.find_prefix(low, high)), most))

        return (yield from self._search([Digest(low)], first, lambda: self._parts.complete(low, high, most)))

    def _search(
        self,
        digests: Sequence[Digest],
        of_whole: Callable[[Index], Answer],
        by_parts: Callable[[], Search[Answer]],
    ) -> Search[Answer]:
        """An answer by parts, or of the whole index where it is here, or cheaper, or parts lead nowhere."""
        if not self.here and (self._is_small or self._parts.whole_is_cheaper(digests)):
            yield [self._fetch]
        if not self.here:
            try:
                return (yield from by_parts())
            except (MalformedObject, NeedsWhole):
                yield [self._fetch]
        return self._ask(of_whole)

    def _ask(self, question: Callable[[Index], Answer]) -> Answer:
        assert self._index is not None
        try:
            return question(self._index)
        except MalformedObject as error:
            if self._checked:
                raise self._corrupt(str(error)) from None
            self.whole()
        return self._ask(question)

    def _get(self, start: int, stop: int) -> bytes:
        try:
            return self._transport.get(self._key, start, stop - start)
        except RemoteNotFound:
            raise self._missing() from None


class _Copy:
    """A file that gives slices, as bytes do. A mapped one would count as this process's memory where it is touched."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._length = os.fstat(self._file.fileno()).st_size
        self._lock = Lock()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice, /) -> bytes:
        start, stop, step = part.indices(self._length)
        wanted = max(stop - start, 0)
        if hasattr(os, "pread"):
            content = os.pread(self._file.fileno(), wanted, start)
        else:
            with self._lock:
                self._file.seek(start)
                content = self._file.read(wanted)
        return content if step == 1 else content[::step]


def _digest_of(path: Path) -> bytes:
    """The digest of a file, read in pieces."""
    hasher = blake3()
    with path.open("rb", buffering=0) as file:
        while content := file.read(1 << 20):
            hasher.update(content)
    return hasher.digest()
