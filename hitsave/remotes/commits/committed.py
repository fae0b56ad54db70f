"""Indexes and ref segments: the immutable files that a commit names, and this machine's copies of them.

Each is named by its digest and by the session that made it, so that no name is ever used again. A copy is checked
against its digest whenever it is read, and replaced where it is damaged.
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path

from blake3 import blake3

from hitsave.errors import MalformedObject, RemoteConflict, RemoteCorrupt, RemoteNotFound, RemoteUnsuitable
from hitsave.objects.digest import DIGEST_SIZE, Digest
from hitsave.objects.refs import Ref, RefName
from hitsave.packing.commit import Commit, StoredFile
from hitsave.packing.index import Index, IndexedPack, encode_index
from hitsave.packing.indexmerge import IndexPart, MergedIndex
from hitsave.packing.refsegment import RefChanges, decode_refs, encode_refs, record_lines
from hitsave.packing.reftable import RefTable
from hitsave.remotes.commits.indexes import CommittedIndex
from hitsave.remotes.commits.keys import index_key, refs_key
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.transports.protocol import Transport

#: A commit that would name more indexes, or ref segments, than this puts the smaller ones together.
MOST_FILES = 16
#: An index of more entries than this is made in a file.
MOST_ENCODED = 50_000
#: Copies of files that the newest commit no longer names; older commits, which are retained, may still be asked for.
MOST_COPIES = 64
#: An index with so many entries (200 MB) is not put together with others.
FULL = 4_000_000
#: A ref segment with so many refs (about 100 MB of memory) is not put together with others, and none is made larger.
FULL_REFS = 250_000
#: Of the records of a ref segment as they are before they are compressed, with their digest behind them.
_LINES = ".lines"


class CommittedFiles:
    """The indexes and ref segments of one remote; `cached` is the folder of this machine's copies."""

    def __init__(self, transport: Transport, cached: Path) -> None:
        self._transport = transport
        self._cached = cached
        self._opened: dict[StoredFile, CommittedIndex] = {}
        self._packs: dict[StoredFile, tuple[Digest, ...]] = {}
        self._tables: dict[StoredFile, RefTable] = {}
        #: What sessions have put together, by their tokens: a try that lost its race is made again.
        self._merges: dict[tuple[str, tuple[StoredFile, ...]], StoredFile] = {}

    # -- reading

    @property
    def parallel(self) -> int:
        """How many requests at once pay."""
        return self._transport.parallel

    def open_index(self, file: StoredFile) -> CommittedIndex:
        """An index that a commit names: read as far as lookups need it, and once for all commits that name it."""
        if file not in self._opened:
            self._opened[file] = self._new_index(file)
        return self._opened[file]

    def _new_index(self, file: StoredFile) -> CommittedIndex:
        return CommittedIndex(self._transport, self._copy(index_key(file)), file)

    def load_index(self, file: StoredFile) -> Index:
        """All of an index that a commit names. Raises RemoteCorrupt."""
        return self.open_index(file).whole()

    def packs_of(self, file: StoredFile) -> tuple[Digest, ...]:
        """The packs that an index names. It is read whole and checked, but not held. Raises RemoteCorrupt."""
        if file not in self._packs:
            # Those of all commits that are retained may be thousands.
            index = self._opened.get(file) or self._new_index(file)
            self._packs[file] = tuple(pack.digest for pack in index.whole().packs)
        return self._packs[file]

    def load_refs(self, file: StoredFile) -> RefChanges:
        """A ref segment that a commit names. Raises RemoteCorrupt."""
        key = refs_key(file)
        try:
            return decode_refs(self._load(file, key))
        except MalformedObject as error:
            raise RemoteCorrupt(self._transport.url, key, str(error)) from None

    def ref_table(self, file: StoredFile) -> RefTable:
        """A ref segment in which few refs are looked for; read once for all commits. Raises RemoteCorrupt."""
        if file not in self._tables:
            path = self._copy(refs_key(file)).with_suffix(_LINES)
            lines = _mapped_lines(path)
            if lines is None:
                loaded = self._load_lines(file)
                self._remember(path, loaded + blake3(loaded).digest())
                lines = _mapped_lines(path) or loaded
            self._tables[file] = RefTable(lines)
        return self._tables[file]

    def has_ref_table(self, file: StoredFile) -> bool:
        """Whether a ref segment is on this machine, so that to look for refs in it makes no request."""
        return file in self._tables or self._copy(refs_key(file)).with_suffix(_LINES).exists()

    def _load_lines(self, file: StoredFile) -> bytes:
        key = refs_key(file)
        try:
            return record_lines(self._load(file, key))
        except MalformedObject as error:
            raise RemoteCorrupt(self._transport.url, key, str(error)) from None

    def _load(self, file: StoredFile, key: str) -> bytes:
        """A file that a commit names, from this machine's copy where there is one; checked against its digest."""
        path = self._copy(key)
        with contextlib.suppress(FileNotFoundError):
            content = path.read_bytes()
            if blake3(content).digest() == file.digest:
                return content
        try:
            content = self._transport.get(key)
        except RemoteNotFound:
            raise RemoteCorrupt(self._transport.url, key, "is missing, and the newest commit names it") from None
        if blake3(content).digest() != file.digest:
            raise RemoteCorrupt(self._transport.url, key, "its content has another digest")
        self._remember(path, content)
        return content

    def _copy(self, key: str) -> Path:
        return self._cached / key.rpartition("/")[2]

    @staticmethod
    def _remember(path: Path, content: bytes) -> None:
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(6)}")
        try:
            temporary.write_bytes(content)
            os.replace(temporary, path)
        except OSError:  # Where there is no room for a copy, the next one who needs it asks again.
            temporary.unlink(missing_ok=True)

    def drop_copies(self, commit: Commit) -> None:
        """Remove this machine's copies of files that a commit no longer names, when they have become many."""
        kept = {self._copy(index_key(file)).name for file in commit.indexes}
        for file in commit.refs:
            kept |= {self._copy(refs_key(file)).with_suffix(suffix).name for suffix in (".refs", _LINES)}
        self._tables = {file: table for file, table in self._tables.items() if file in commit.refs}
        named = {*commit.indexes, *commit.refs}
        self._merges = {made: file for made, file in self._merges.items() if named.issuperset(made[1])}
        copies = [path for path in self._cached.iterdir() if path.suffix in (".index", ".refs", _LINES)]
        if len(copies) > len(kept) + MOST_COPIES:
            for path in copies:
                if path.name not in kept:
                    with contextlib.suppress(OSError):  # Another process may have it open, or was quicker.
                        path.unlink()

    # -- writing

    def put_index(self, packs: Iterable[IndexedPack], session: Session) -> StoredFile:
        """Create the index of these packs."""
        chosen = list(packs)
        if sum(len(pack.table.records) for pack in chosen) > MOST_ENCODED:
            return self.put_merged([IndexPart(Index(encode_index([pack]))) for pack in chosen], session)
        content = encode_index(chosen)
        return self._put(content, index_key, Index(content).entry_count, session)

    def put_many_refs(self, refs: RefChanges, session: Session) -> tuple[StoredFile, ...]:
        """Create ref segments that hold these together; one, unless they are very many. Raises as `put_refs`."""
        names = sorted(refs) if len(refs) > FULL_REFS else [*refs]
        parts = [names[at : at + FULL_REFS] for at in range(0, len(names), FULL_REFS)]
        return tuple(self.put_refs({name: refs[name] for name in part}, session) for part in parts)

    def put_refs(self, refs: RefChanges, session: Session) -> StoredFile:
        """Create a ref segment. Raises RemoteUnsuitable where it would be longer than one may be."""
        try:
            return self._put_refs(refs, session)
        except ValueError as error:
            raise RemoteUnsuitable(f"{self._transport.url}: {error}") from None

    def _put_refs(self, refs: RefChanges, session: Session) -> StoredFile:
        return self._put(encode_refs(refs), refs_key, len(refs), session)

    def _put(self, content: bytes, key_of: Callable[[StoredFile], str], entries: int, session: Session) -> StoredFile:
        file = StoredFile(Digest(blake3(content).digest()), len(content), entries, session.hex)
        key = key_of(file)
        with contextlib.suppress(RemoteConflict):  # The very same bytes: an earlier try of this session put them.
            self._transport.put(key, content)
        self._remember(self._copy(key), content)
        return file

    def put_merged(self, parts: Sequence[IndexPart], session: Session) -> StoredFile:
        """Create the index of what some parts hold. It is made in a file: memory does not grow with it."""
        merged = MergedIndex(parts)
        temporary = self._cached / f"index.{secrets.token_hex(6)}"
        try:
            hasher, length = blake3(), 0
            with temporary.open("xb") as writing:
                for piece in merged.pieces():
                    hasher.update(piece)
                    length += writing.write(piece)
            file = StoredFile(Digest(hasher.digest()), length, merged.entries, session.hex)
            key = index_key(file)
            with contextlib.suppress(RemoteConflict):
                self._transport.put_file(key, temporary)
            os.replace(temporary, self._copy(key))
        finally:
            temporary.unlink(missing_ok=True)
        return file

    # -- keeping lists short

    @staticmethod
    def are_many(files: Collection[StoredFile]) -> bool:
        """Whether a list to which one more is added is to be put together."""
        return len(files) >= MOST_FILES

    def merge_indexes(self, files: tuple[StoredFile, ...], session: Session, times: int = 1) -> tuple[StoredFile, ...]:
        """A list of indexes, with the newest ones put together where they are more than so many times MOST_FILES.

        Those that are full stay as they are: nobody has to rewrite a large remote's index for a small push, and what
        is put together is never more than two of them.
        """
        full = tuple(file for file in files if file.entries >= FULL)
        rest = tuple(file for file in files if file.entries < FULL)

        def merge(some: Collection[StoredFile]) -> StoredFile:
            return self.put_merged([IndexPart(self.load_index(file)) for file in some], session)

        return full + self._merged(rest, session, merge, times, FULL)

    def merge_refs(self, files: tuple[StoredFile, ...], session: Session, times: int = 1) -> tuple[StoredFile, ...]:
        """A list of ref segments, with the newest ones put together as `merge_indexes` does.

        Those that are full stay, and what is before them, since later ones overrule earlier ones.
        """

        def merge(some: Collection[StoredFile]) -> StoredFile:
            records: dict[RefName, Ref | None] = {}
            for file in some:
                records.update(self.load_refs(file))
            return self._put_refs(records, session)

        try:
            return self._merged(files, session, merge, times, FULL_REFS)
        except ValueError:  # Together they are too long: the list stays longer.
            return files

    def _merged(
        self,
        files: tuple[StoredFile, ...],
        session: Session,
        merge: Callable[[tuple[StoredFile, ...]], StoredFile],
        times: int,
        full: float = math.inf,
    ) -> tuple[StoredFile, ...]:
        """The list with what this session has put together before, or puts together now, in the place of its parts.

        The last one is left: it is new, and would be another one in the next try.
        """
        for (token, run), file in self._merges.items():
            if token == session.hex:
                files = _replaced(files, run, file)
        run = _newest(files[:-1], full) if len(files) > times * MOST_FILES else ()
        if len(run) < 2:
            return files
        file = self._merges[session.hex, run] = merge(run)
        return _replaced(files, run, file)


def _mapped_lines(path: Path) -> bytes | mmap | None:
    """This machine's copy of the records of a segment; None where there is none, or it is damaged."""
    with contextlib.suppress(OSError, ValueError), path.open("rb") as file:
        length = file.seek(0, os.SEEK_END) - DIGEST_SIZE
        file.seek(length)  # Raises ValueError where it is negative.
        digest = file.read()
        lines = mmap(file.fileno(), length, access=ACCESS_READ) if length else b""
        if blake3(lines).digest() == digest:
            return lines
    return None


def _newest(files: tuple[StoredFile, ...], full: float) -> tuple[StoredFile, ...]:
    """Those of a list that are put together: the newest ones, until they are full, or the rest is larger.

    Each entry is rewritten a number of times that grows with the logarithm of their count.
    """
    first, total = len(files), 0
    while first > 0 and total < full and files[first - 1].entries < full:
        if len(files) - first >= MOST_FILES // 2 and files[first - 1].entries > total:
            break
        first -= 1
        total += files[first].entries
    return files[first:]


def _replaced(files: tuple[StoredFile, ...], run: tuple[StoredFile, ...], merged: StoredFile) -> tuple[StoredFile, ...]:
    """A list with one file in the place of those that it holds; the same list where they do not stand there."""
    for at in range(len(files) - len(run) + 1):
        if files[at : at + len(run)] == run:
            return (*files[:at], merged, *files[at + len(run) :])
    return files
