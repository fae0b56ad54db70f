"""The commit log of a remote (objects_spec.md, section 9).

Invariants:
- A commit names every index and every ref segment that holds; what it names was durable before it was written.
- An object that is in an index of a commit is in the remote with everything beneath it: a push sends closures whole.
- A number is taken once. Whoever finds it taken reads the new commit, makes sure that what he relied on is in it,
  and tries the next number.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from hitsave.errors import (
    MalformedObject,
    ReliedOnLost,
    RemoteConflict,
    RemoteCorrupt,
    RemoteNotFound,
    RemoteUnsuitable,
)
from hitsave.objects.digest import Digest
from hitsave.objects.refs import Ref, RefName
from hitsave.packing.chunking import Chunking
from hitsave.packing.commit import (
    Commit,
    RemoteFormat,
    StoredFile,
    commit_digest,
    decode_commit,
    decode_format,
    encode_commit,
    encode_format,
)
from hitsave.packing.index import Index, IndexedPack, encode_index
from hitsave.packing.refsegment import RefChanges, decode_refs, encode_refs
from hitsave.remotes.keys import COMMITS, FORMAT_KEY, commit_key, index_key, is_commit_key, refs_key
from hitsave.remotes.transport import Transport
from hitsave.remotes.view import View

#: A commit that would name more indexes, or ref segments, than this puts the smaller ones together.
MOST_FILES = 16
_TRIES = 1000


def refuse_strangers(transport: Transport) -> None:
    """Refuse a store that holds anything but a remote of a version that is known here. Raises RemoteUnsuitable."""
    try:
        record = transport.get(FORMAT_KEY)
    except RemoteNotFound:
        if others := [key for key in transport.list("") if not key.startswith("probe/")][:3]:
            raise RemoteUnsuitable(
                f"{transport.url}: holds other files ({', '.join(others)}) and no hitsave remote; name an empty folder"
            ) from None
        return
    try:
        decode_format(record)
    except MalformedObject as error:
        raise RemoteUnsuitable(f"{transport.url}: its file 'format' is not of a remote known here: {error}") from None


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes a commit, and when (seconds since 1970); both only for people to read."""

    name: str
    now: int


class Remote:
    """A store that holds a hitsave remote, and the folder in which its immutable small files are cached."""

    def __init__(self, transport: Transport, format_record: RemoteFormat, cached: Path) -> None:
        self.transport = transport
        self.format = format_record
        self._cached = cached / format_record.identity
        self._cached.mkdir(parents=True, exist_ok=True)
        #: Where pushes note what they have sent and not committed yet.
        self.unfinished = self._cached / "unfinished"
        self._known: View | None = None

    @classmethod
    def open(cls, transport: Transport, cached: Path, create: bool = False) -> Remote:
        """Open a remote; with `create`, make one in an empty store. Raises RemoteUnsuitable, RemoteCorrupt."""
        try:
            record = transport.get(FORMAT_KEY)
        except RemoteNotFound:
            if not create:
                raise RemoteUnsuitable(
                    f"{transport.url}: there is no hitsave remote there; 'hitsave push' makes one"
                ) from None
            record = cls._create(transport)
        try:
            return cls(transport, decode_format(record), cached)
        except MalformedObject as error:
            raise RemoteCorrupt(transport.url, FORMAT_KEY, str(error)) from None

    @staticmethod
    def _create(transport: Transport) -> bytes:
        refuse_strangers(transport)
        record = encode_format(RemoteFormat(secrets.token_hex(16), Chunking()))
        try:
            transport.put(FORMAT_KEY, record)
        except RemoteConflict:
            return transport.get(FORMAT_KEY)
        transport.sync()
        return record

    # -- reading

    def latest(self) -> View:
        """The newest state. One listing and one read; nothing more where nothing has changed."""
        known = self._known
        listed = self.transport.list(COMMITS, commit_key(known.number - 1) if known and known.number else "")
        keys = [key for key in listed if is_commit_key(key)]  # File managers leave files of their own.
        if not keys:
            if known and known.number:
                raise RemoteCorrupt(self.transport.url, commit_key(known.number), "the newest commit is gone")
            return View(self, None, None)
        key = keys[-1]
        content = self.transport.get(key)
        digest = commit_digest(content)
        if known and known.digest == digest and commit_key(known.number) == key:
            return known
        try:
            commit = decode_commit(content)
        except MalformedObject as error:
            raise RemoteCorrupt(self.transport.url, key, str(error)) from None
        if commit_key(commit.number) != key:
            raise RemoteCorrupt(self.transport.url, key, f"holds commit {commit.number}")
        self._check_descent(known, commit, key)
        self._known = View(self, commit, digest)
        return self._known

    def _check_descent(self, known: View | None, commit: Commit, key: str) -> None:
        if known is None or known.commit is None:
            return
        if commit.number <= known.number or (commit.number == known.number + 1 and commit.parent != known.digest):
            raise RemoteCorrupt(self.transport.url, key, "does not descend from the commit read before")

    def _load(self, file: StoredFile, key: str) -> bytes:
        """A file that a commit names, from this machine's copy where there is one; checked against its digest."""
        path = self._cached / key.rpartition("/")[2]
        with contextlib.suppress(FileNotFoundError):
            content = path.read_bytes()
            if blake3(content).digest() == file.digest:
                return content
        try:
            content = self.transport.get(key)
        except RemoteNotFound:
            raise RemoteCorrupt(self.transport.url, key, "is missing, and the newest commit names it") from None
        if blake3(content).digest() != file.digest:
            raise RemoteCorrupt(self.transport.url, key, "its content has another digest")
        self._remember(path, content)
        return content

    @staticmethod
    def _remember(path: Path, content: bytes) -> None:
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(6)}")
        temporary.write_bytes(content)
        os.replace(temporary, path)

    def load_index(self, file: StoredFile) -> Index:
        """An index that a commit names."""
        key = index_key(file.digest)
        try:
            return Index(self._load(file, key))
        except MalformedObject as error:
            raise RemoteCorrupt(self.transport.url, key, str(error)) from None

    def load_refs(self, file: StoredFile) -> RefChanges:
        """A ref segment that a commit names."""
        key = refs_key(file.digest)
        try:
            return decode_refs(self._load(file, key))
        except MalformedObject as error:
            raise RemoteCorrupt(self.transport.url, key, str(error)) from None

    # -- writing

    def append(
        self,
        view: View,
        author: Author,
        operation: str,
        packs: Collection[IndexedPack],
        refs: RefChanges,
        relied_on: Iterable[bytes] = (),
    ) -> View:
        """Commit packs that were sent, and refs. The packs become visible now, all at once.

        Raises ReliedOnLost where another writer's commit no longer has something that was not sent since `view` had it.
        """
        needed = list(relied_on)
        session = secrets.token_hex(16)
        for _ in range(_TRIES):
            commit = self._next(view, author, operation, session, packs, refs)
            self.transport.sync()
            content = encode_commit(commit)
            try:
                self.transport.put(commit_key(commit.number), content)
            except RemoteConflict:
                view = self.latest()
                refs = {name: ref for name, ref in refs.items() if ref is None or name not in view.refs()}
                if lost := [digest.hex() for digest in needed if not view.has(digest)]:
                    raise ReliedOnLost(lost) from None
                continue
            self.transport.sync()
            self._known = View(self, commit, commit_digest(content))
            return self._known
        raise RemoteUnsuitable(
            f"{self.transport.url}: every commit number is taken at once; this store cannot be trusted"
        )

    def _next(
        self,
        view: View,
        author: Author,
        operation: str,
        session: str,
        packs: Collection[IndexedPack],
        refs: RefChanges,
    ) -> Commit:
        previous = view.commit
        indexes = previous.indexes if previous else ()
        segments = previous.refs if previous else ()
        if packs:
            indexes += (self._put_index(packs),)
        if refs:
            segments += (self._put_refs(refs),)
        return Commit(
            number=view.number + 1,
            parent=view.digest,
            created=author.now,
            author=author.name,
            operation=operation,
            session=session,
            indexes=_merged(indexes, self._merge_indexes),
            refs=_merged(segments, self._merge_refs),
        )

    def _put_index(self, packs: Iterable[IndexedPack]) -> StoredFile:
        content = encode_index(packs)
        return self._put(content, index_key, Index(content).entry_count)

    def _put_refs(self, refs: RefChanges) -> StoredFile:
        return self._put(encode_refs(refs), refs_key, len(refs))

    def _put(self, content: bytes, key_of: Callable[[Digest], str], entries: int) -> StoredFile:
        digest = Digest(blake3(content).digest())
        key = key_of(digest)
        with contextlib.suppress(RemoteConflict):  # The very same bytes were put before.
            self.transport.put(key, content)
        self._remember(self._cached / key.rpartition("/")[2], content)
        return StoredFile(digest, len(content), entries)

    def _merge_indexes(self, files: Collection[StoredFile]) -> StoredFile:
        # Two who pushed the same pack of their caches at once have both listed it.
        packs = {pack.digest: pack for file in files for pack in self.load_index(file).tables()}
        return self._put_index(packs.values())

    def _merge_refs(self, files: Collection[StoredFile]) -> StoredFile:
        records: dict[RefName, Ref | None] = {}
        for file in files:
            records.update(self.load_refs(file))
        return self._put_refs(records)


def _merged(
    files: tuple[StoredFile, ...], merge: Callable[[Collection[StoredFile]], StoredFile]
) -> tuple[StoredFile, ...]:
    """Keep a list of files short: the newest ones are put together until the rest is larger than they are.

    Each entry is rewritten a number of times that grows with the logarithm of their count, and order is kept.
    """
    if len(files) <= MOST_FILES:
        return files
    first = len(files) - 1
    total = files[first].entries
    while first > 0 and (len(files) - first < MOST_FILES // 2 or files[first - 1].entries <= total):
        first -= 1
        total += files[first].entries
    return (*files[:first], merge(files[first:]))
