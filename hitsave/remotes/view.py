"""One consistent state of a remote: what its newest commit names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from hitsave.cache.intake import WHOLE_FROM
from hitsave.objects.digest import Digest
from hitsave.objects.refs import Ref, RefName
from hitsave.packing.blocks import EntryKindInPack
from hitsave.packing.commit import Commit, StoredFile
from hitsave.packing.index import Index, IndexedPack, Location
from hitsave.packing.refsegment import RefChanges, apply_refs
from hitsave.remotes.sessions import Session


class CommittedFiles(Protocol):
    """Gives the files that a commit names, checked against their digests."""

    def load_index(self, file: StoredFile) -> Index:
        """An index."""

    def load_refs(self, file: StoredFile) -> RefChanges:
        """A ref segment."""


class View:
    """What was true at one commit. Never changes; indexes and refs are loaded when they are first asked for."""

    def __init__(self, files: CommittedFiles, commit: Commit | None, digest: Digest | None) -> None:
        self._files = files
        self.commit = commit
        self.digest = digest
        self._indexes: list[Index] | None = None
        self._refs: dict[RefName, Ref] | None = None
        self._small: dict[Index, set[Digest]] = {}

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

    def fences(self, session: Session) -> bool:
        """Whether a session can no longer commit, because what it sent may have been removed."""
        commit = self.commit
        return commit is not None and (session.base < commit.fenced_before or session.hex in commit.fenced)

    def indexes(self) -> list[Index]:
        """The indexes that hold, fetched where they are not cached."""
        if self._indexes is None:
            files = self.commit.indexes if self.commit else ()
            self._indexes = [self._files.load_index(file) for file in files]
        return self._indexes

    def refs(self) -> dict[RefName, Ref]:
        """The refs that hold."""
        if self._refs is None:
            files = self.commit.refs if self.commit else ()
            self._refs = apply_refs(self._files.load_refs(file) for file in files)
        return self._refs

    def find(self, digest: bytes) -> Location | None:
        """Where an object, chunk or recipe lies."""
        for index in self.indexes():
            if location := index.find(digest):
                return location
        return None

    def has(self, digest: bytes) -> bool:
        """Whether an object or chunk is in the remote."""
        return any(digest in index for index in self.indexes())

    def has_many(self, digests: Iterable[bytes]) -> set[bytes]:
        """Those of `digests` that are in the remote."""
        return {digest for digest in digests if self.has(digest)}

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

    def holds_small_objects(self, pack: Digest) -> bool:
        """Whether all that is in a pack are objects which a cache keeps in packs: no recipes, and nothing large."""
        for index in self.indexes():
            if any(summary.digest == pack for summary in index.packs):
                if index not in self._small:
                    # One look at all entries of an index costs no more than at those of one pack.
                    self._small[index] = {found.digest for found in index.tables() if _all_small(found)}
                return pack in self._small[index]
        return False

    def complete(self, abbreviation: str, most: int = 20) -> list[Digest]:
        """The first `most` objects that an abbreviated digest may stand for, ascending."""
        low = bytes.fromhex(abbreviation.ljust(64, "0"))
        high = bytes.fromhex(abbreviation.ljust(64, "f"))
        found: set[Digest] = set()
        for index in self.indexes():
            some: set[Digest] = set()
            for digest in index.find_prefix(low, high):
                some.add(digest)
                if len(some) >= most:
                    break
            found |= some
        return sorted(found)[:most]


def _all_small(pack: IndexedPack) -> bool:
    entries = pack.table.entries()
    return all(entry.kind != EntryKindInPack.RECIPE and entry.length < WHOLE_FROM for entry in entries)
