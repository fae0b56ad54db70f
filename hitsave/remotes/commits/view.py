"""One consistent state of a remote: what its newest commit names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from hitsave.objects.digest import Digest
from hitsave.objects.refs import Ref, RefName
from hitsave.packing.commit import Commit, StoredFile
from hitsave.packing.index import Index, IndexedPack, Location
from hitsave.packing.refsegment import RefChanges, apply_refs
from hitsave.packing.reftable import RefTable
from hitsave.remotes.ahead import run_all
from hitsave.remotes.commits.indexes import CommittedIndex, run_searches
from hitsave.remotes.commits.indexparts import Search

#: So many objects are looked up in all large indexes; of more, a sample is, which tells where the others may lie.
_SAMPLE = 8
#: So many refs are searched for one by one.
_FEW_REFS = 1000

Answer = TypeVar("Answer")


class CommittedFiles(Protocol):
    """Gives the files that a commit names, checked against their digests."""

    @property
    def parallel(self) -> int:
        """How many requests at once pay."""

    def open_index(self, file: StoredFile) -> CommittedIndex:
        """An index, of which nothing was read yet, or what earlier lookups have read."""

    def load_refs(self, file: StoredFile) -> RefChanges:
        """A ref segment."""

    def ref_table(self, file: StoredFile) -> RefTable:
        """A ref segment in which few refs are looked for."""

    def has_ref_table(self, file: StoredFile) -> bool:
        """Whether to look for refs in a segment makes no request."""


class View:
    """What was true at one commit. Never changes; indexes and refs are loaded when they are first asked for."""

    def __init__(self, files: CommittedFiles, commit: Commit | None, digest: Digest | None) -> None:
        self._files = files
        self.commit = commit
        self.digest = digest
        self._committed: list[CommittedIndex] | None = None
        self._refs: dict[RefName, Ref] | None = None
        self._tables: list[RefTable] | None = None
        self._searching = threading.Lock()

    @property
    def number(self) -> int:
        """The newest commit's number; 0 before the first."""
        return self.commit.number if self.commit else 0

    @property
    def index_files(self) -> tuple[StoredFile, ...]:
        """The indexes that hold, unread."""
        return self.commit.indexes if self.commit else ()

    @property
    def ref_files(self) -> tuple[StoredFile, ...]:
        """The ref segments that hold, unread."""
        return self.commit.refs if self.commit else ()

    def refs(self) -> dict[RefName, Ref]:
        """The refs that hold."""
        if self._refs is None:
            files = self.commit.refs if self.commit else ()
            self._refs = apply_refs(self._files.load_refs(file) for file in files)
        return self._refs

    def refs_beginning(self, *prefixes: str) -> list[Ref]:
        """The refs whose names (NAMESPACE/NAME) begin with one of these, by name. Raises RemoteCorrupt.

        No others are decoded, and no segment is read a second time.
        """
        held: dict[RefName, Ref | None] = {}
        for table in self._newest_tables():
            for prefix in prefixes:
                for name, ref in table.find(prefix):
                    held.setdefault(name, ref)
        return [ref for _, ref in sorted(held.items()) if ref is not None]

    def held_of(self, names: Collection[RefName]) -> dict[RefName, Ref]:
        """Those of these refs that hold. Where they are few, no others are decoded. Raises RemoteCorrupt."""
        if self._refs is None and len(names) <= _FEW_REFS:
            found = self.refs_beginning(*map(str, names))
            return {ref.name: ref for ref in found if ref.name in names}
        held = self.refs()
        return {name: held[name] for name in names if name in held}

    def held_at_hand(self, names: Collection[RefName], most: int) -> dict[RefName, Ref]:
        """As `held_of`; nothing where segments that are not on this machine have more than `most` bytes."""
        away = sum(file.length for file in self.ref_files if not self._files.has_ref_table(file))
        return self.held_of(names) if names and (self._refs is not None or away <= most) else {}

    def names_held(self, refs: Collection[Ref]) -> set[RefName]:
        """The names of these refs that are held, whatever they hold. Raises RemoteCorrupt.

        A ref that is named by its digest is not held where its object is not there. So of few that are new, no segment
        is read which is not on this machine.
        """
        here = self._refs is not None or all(map(self._files.has_ref_table, self.ref_files))
        if not here and len(refs) <= _SAMPLE:
            there = self.has_many(ref.digest for ref in refs)
            refs = [ref for ref in refs if ref.digest in there or not str(ref.name).endswith(str(ref.digest))]
        return set(self.held_of({ref.name for ref in refs})) if refs else set()

    def _newest_tables(self) -> list[RefTable]:
        """The ref segments, the newest first: it overrules the others."""
        if self._tables is None:
            run_all([lambda file=file: self._files.ref_table(file) for file in self.ref_files], self._files.parallel)  # type: ignore[misc]
            self._tables = [self._files.ref_table(file) for file in reversed(self.ref_files)]
        return self._tables

    # -- lookups

    def find(self, digest: bytes) -> Location | None:
        """Where an object, chunk or recipe lies."""
        return self.find_many([Digest(digest)]).get(Digest(digest))

    def find_many(self, digests: Iterable[Digest]) -> dict[Digest, Location]:
        """Where objects, chunks and recipes lie; those that are in no index are left out. Raises RemoteCorrupt.

        A few rounds of requests for all of them together, and none where the indexes are on this machine.
        """
        found: dict[Digest, Location] = {}
        self._look_up(digests, lambda index, some: index.find(some), found.update, found.keys())
        return found

    def has(self, digest: bytes) -> bool:
        """Whether an object or chunk is in the remote."""
        return bool(self.has_many([digest]))

    def has_many(self, digests: Iterable[bytes]) -> set[bytes]:
        """Those of `digests` that are in the remote. Raises RemoteCorrupt."""
        found: set[bytes] = set()
        self._look_up(map(Digest, digests), lambda index, some: index.has(some), found.update, found)
        return found

    def pack_length(self, pack: Digest) -> int:
        """The length of a pack in which something was found, in bytes."""
        lengths = (index.pack_length(pack) for index in self._all())
        return next(length for length in lengths if length is not None)

    def complete(self, abbreviation: str, most: int = 20) -> list[Digest]:
        """The first `most` objects that an abbreviated digest may stand for, ascending. Raises RemoteCorrupt."""
        low = bytes.fromhex(abbreviation.ljust(64, "0"))
        high = bytes.fromhex(abbreviation.ljust(64, "f"))
        with self._searching:
            answers = run_searches([index.complete(low, high, most) for index in self._all()], self._files.parallel)
        return sorted({digest for some in answers for digest in some})[:most]

    def settle(self, found_only: bool = False) -> bool:
        """Make sure that every index (or those in which something was found) is what its name says.

        For who did not find what must be there, or found something else: True where looking again may tell more. Large
        indexes are fetched whole for it. Raises RemoteCorrupt, which names the index that is not.
        """
        chosen = [index for index in self._all() if index.useful or not found_only]
        settled = [index.settle() for index in chosen]
        return any(settled)

    def _all(self) -> list[CommittedIndex]:
        """Every index, the largest first: it is the one that most likely has what is looked for."""
        if self._committed is None:
            opened = [self._files.open_index(file) for file in self.index_files]
            self._committed = sorted(opened, key=lambda index: index.entries, reverse=True)
        return self._committed

    def _look_up(
        self,
        digests: Iterable[Digest],
        search: Callable[[CommittedIndex, Sequence[Digest]], Search[Answer]],
        note: Callable[[Answer], object],
        found: Container[bytes],
    ) -> None:
        """Search one index after the other as long as that makes no requests, then the others side by side.

        What belongs together was mostly pushed together: where something was found before comes first, and of many
        objects a sample shows where that is.
        """
        missing = list(dict.fromkeys(digests))

        def search_in(indexes: Iterable[CommittedIndex], some: Sequence[Digest]) -> None:
            nonlocal missing
            if some:
                for answer in run_searches([search(index, some) for index in indexes], self._files.parallel):
                    note(answer)
                missing = [digest for digest in missing if digest not in found]

        with self._searching:
            for index in self._all():
                if index.here:
                    search_in([index], missing)
            away = [index for index in self._all() if not index.here]
            search_in([index for index in away if index.useful], missing)
            away = [index for index in away if not index.useful]
            if len(missing) > _SAMPLE and len(away) > 1:
                search_in(away, missing[:: len(missing) // _SAMPLE][:_SAMPLE])
                search_in([index for index in away if index.useful], missing)
                away = [index for index in away if not index.useful]
            search_in(away, missing)

    # -- all of it

    def indexes(self) -> list[Index]:
        """The indexes that hold, whole, in the order of the commit. Fetched where they are not here."""
        run_all([index.whole for index in self._all()], self._files.parallel)
        return [self._files.open_index(file).whole() for file in self.index_files]

    def pack_lengths(self) -> dict[Digest, int]:
        """The length of every pack, in bytes."""
        return {pack.digest: pack.length for index in self.indexes() for pack in index.packs}

    def packs(self) -> Iterator[IndexedPack]:
        """What every pack holds, by the indexes; each once."""
        seen: set[Digest] = set()
        for index in self.indexes():
            for pack in index.tables(leave_out=seen):
                if pack.digest not in seen:
                    seen.add(pack.digest)
                    yield pack
