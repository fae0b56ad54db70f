"""The cache: one folder with every object that this user's projects have, shared by all of their processes.

    objects/ab/<hex>   large blobs, and small ones whose path was asked for; read-only
    packs/ indexes/    small blobs and all trees
    cache.db           refs, evaluations by what they say, what is known of files, operations; the inbox: small objects
                       that are to be packed
    tmp/               intakes under way       trash/  collected, kept for undo       quarantine/  found corrupt
    spare              room for what frees more on a full disk

Every byte that comes out was checked against its digest: small objects whenever they are read, whole files when they
came in and again whenever their size or time is not what it was then.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

from hitsave.cache import holds
from hitsave.cache.database import Database
from hitsave.cache.evaluations import EvaluationIndex
from hitsave.cache.files import sync_path
from hitsave.cache.inbox import Boxed, Inbox
from hitsave.cache.indexmerging import merge_small_indexes
from hitsave.cache.intake import Intake
from hitsave.cache.lost import describe_loss, holds_objects
from hitsave.cache.moves import MoveJournal
from hitsave.cache.packset import PackSet, pack_file
from hitsave.cache.places import Places
from hitsave.cache.refs import PARTIAL, all_refs, find_ref, newest_version, owned_in_part, owned_whole
from hitsave.cache.stats import StatCache
from hitsave.cache.sweep import Sweeper
from hitsave.cache.wholefiles import WholeFiles
from hitsave.errors import CacheError, CorruptObject, ObjectError, ObjectNotFound
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import encode_tree
from hitsave.objects.graph import reachable
from hitsave.objects.model import Tree
from hitsave.objects.refs import Namespace, Ref, RefName
from hitsave.packing.index import IndexedPack, Location, PackSummary

_FOLDERS = ("objects", "packs", "indexes", "tmp", "trash", "quarantine")
_MOST_CANDIDATES = 20


class ObjectInfo(NamedTuple):
    """What is known of an object without reading it; size in bytes."""

    kind: ObjectKind
    size: int


class Cache:
    """An open cache. Every method may be called from several threads, and while other processes use the folder."""

    def __init__(self, path: Path, database: Database, moves: MoveJournal) -> None:
        self.path = path
        self.database = database
        self.moves = moves
        self.packset = PackSet(path, database)
        self.whole_files = WholeFiles(path, database)
        self.inbox = Inbox(path, database)
        self.stats = StatCache(database)
        self.places = Places(database)
        self.evaluations = EvaluationIndex(database, self._read_those_here)
        self.sweeper = Sweeper(path, database, self.packset, moves)
        self._root = os.fspath(path)

    @classmethod
    def open(cls, path: Path) -> Cache:
        """Open the cache in a folder, which is made where it is missing. Raises CacheError."""
        path = Path(os.path.abspath(path))
        try:
            _make_folders(path)
            _check_writable(path / "tmp")
        except OSError as error:
            raise CacheError(
                f"{path}: cannot be used as the cache ({error.strerror}); "
                "set HITSAVE_LOCAL_CACHE_DIR to a folder that you can write to"
            ) from None
        moves = MoveJournal(path)
        database = Database(path / "cache.db", moves.recover, lambda: _refuse_lost_database(path))
        if moves.pending:
            database.settle()  # Its writer died, or will be done when the lock is free.
        return cls(path, database, moves)

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open."""
        self.packset.forget_files()
        self.database.close()

    def folder(self, name: str) -> Path:
        """A folder within the cache for things that can be made again."""
        path = self.path / name
        path.mkdir(exist_ok=True)
        return path

    def setting(self, key: str) -> str | None:
        """A small value that was kept under this key."""
        return self.database.setting(f"user:{key}")

    def set_setting(self, key: str, value: str) -> None:
        """Keep a small value."""
        self.database.set_setting(f"user:{key}", value)

    # -- what is here

    def has(self, digest: Digest) -> bool:
        """Whether an object is here."""
        return self.info(digest) is not None

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        """Those of `digests` that are not here."""
        self.packset.refresh()
        looked_at = self.packset.names
        absent = [digest for digest in set(digests) if not self.packset.known(digest)]
        if not absent:
            return set()
        found = self.inbox.among(absent) | self.whole_files.among(absent)
        missing = {digest for digest in absent if digest not in found}
        self.packset.refresh()
        if missing and self.packset.names != looked_at:  # What was in the inbox may have moved between the two looks.
            missing = {digest for digest in missing if not self.packset.known(digest)}
        return missing

    def info(self, digest: Digest) -> ObjectInfo | None:
        """Kind and size of an object; None where it is not here."""
        if location := self.packset.find(digest):
            return ObjectInfo(ObjectKind(location.kind), location.length)
        if boxed := self.inbox.info(digest):
            return ObjectInfo(*boxed)
        rows = self.database.rows("SELECT size FROM files WHERE digest = ?", bytes(digest))
        if rows:
            return ObjectInfo(ObjectKind.BLOB, rows[0][0])
        location = self.packset.find(digest)  # It may have moved out of the inbox between the two looks.
        return ObjectInfo(ObjectKind(location.kind), location.length) if location else None

    def locate(self, digest: Digest) -> Location | None:
        """Where a packed object lies. What is in the inbox is packed for it."""
        return self.locate_many([digest]).get(digest)

    def locate_many(self, digests: Iterable[Digest]) -> dict[Digest, Location]:
        """Where those of `digests` lie that are packed. What is in the inbox is packed for it."""
        wanted = list(digests)
        found = self._locate_packed(wanted)
        absent = [digest for digest in wanted if digest not in found]
        if absent and not self.inbox.empty and self.inbox.among(absent):
            self.pack_inbox()
        return found | self._locate_packed(absent) if absent else found

    def locate_or_read(self, digests: Iterable[Digest]) -> tuple[dict[Digest, Location], dict[Digest, Boxed]]:
        """Where those of `digests` lie that are packed, and the contents of those in the inbox, which stay there.

        Raises CorruptObject.
        """
        wanted = list(digests)
        found = self._locate_packed(wanted)
        absent = [digest for digest in wanted if digest not in found]
        boxed = self.inbox.read_many(absent) if absent and not self.inbox.empty else {}
        # What was in the inbox may have moved between the two looks.
        return found | self._locate_packed(digest for digest in absent if digest not in boxed), boxed

    def _locate_packed(self, digests: Iterable[Digest]) -> dict[Digest, Location]:
        self.packset.refresh()
        find = self.packset.find_known
        return {digest: found for digest in digests if (found := find(digest)) is not None}

    def packs(self) -> list[PackSummary]:
        """Every pack."""
        return self.packset.packs()

    def pack_path(self, pack: Digest) -> Path:
        """The file of a pack."""
        return self.path / pack_file(pack)

    def pack_table(self, pack: Digest) -> IndexedPack:
        """What a pack holds. Raises KeyError where there is no such pack."""
        return self.packset.table(pack)

    def complete(self, abbreviation: str) -> list[Digest]:
        """The objects that an abbreviated digest may stand for, ascending; at most 20."""
        low = bytes.fromhex(abbreviation.ljust(64, "0"))
        high = bytes.fromhex(abbreviation.ljust(64, "f"))
        found = {
            Digest(row[0])
            for row in self.database.rows("SELECT digest FROM files WHERE digest BETWEEN ? AND ? LIMIT 20", low, high)
        }
        found.update(self.inbox.between(low, high, _MOST_CANDIDATES))
        for index in self.packset.indexes().values():
            for digest in index.find_prefix(low, high):
                found.add(digest)
                if len(found) >= _MOST_CANDIDATES:
                    break
        return sorted(found)

    # -- reading

    def read(self, digest: Digest) -> bytes:
        """The content of an object. Raises ObjectNotFound, CorruptObject."""
        content = self._read_small(digest)
        if content is not None:
            return content
        with self.open_blob(digest) as file:
            return file.read()

    def _read_small(self, digest: Digest) -> bytes | None:
        """The content of an object that is in a pack or the inbox; None where it is in neither."""
        if location := self.packset.find(digest):
            return self.packset.read(location)
        content = self.inbox.read(digest)
        if content is None and (location := self.packset.find(digest)):  # It has moved between the two looks.
            return self.packset.read(location)
        return content

    def read_many(self, locations: Iterable[Location]) -> Iterator[tuple[Digest, bytes | memoryview]]:
        """The contents of packed objects, in the order in which they lie, each block decoded once."""
        return self.packset.read_many(locations)

    def open_blob(self, digest: Digest) -> BinaryIO:
        """A blob for reading, without taking a large one into memory. Raises ObjectNotFound, CorruptObject."""
        path = self.whole_file(digest)
        if path is not None:
            try:
                return path.open("rb")
            except FileNotFoundError:  # Collected between the two looks, unless the second one finds it.
                return self._open_again(digest)
        content = self._read_small(digest)
        if content is None:
            raise ObjectNotFound(str(digest))
        return io.BytesIO(content)

    def _open_again(self, digest: Digest) -> BinaryIO:
        self.database.settle()
        path = self.whole_file(digest)
        if path is None:
            raise ObjectNotFound(str(digest))
        return path.open("rb")

    def whole_file(self, digest: Digest) -> Path | None:
        """The file of a blob that is kept as one. Raises CorruptObject where it was changed, and sets it aside."""
        try:
            return self.whole_files.find(digest)
        except CorruptObject:
            if self.packset.find(digest) or self.inbox.has(digest):
                return None  # A good copy lies in a pack, or will.
            raise

    def path_of(self, digest: Digest) -> Path:
        """A read-only file with the content of a blob; made out of a pack where need be."""
        path = self.whole_file(digest)
        if path is not None:
            return path
        content = self._read_small(digest)
        if content is None:
            raise ObjectNotFound(str(digest))
        return self.whole_files.derive(digest, content)

    def set_aside(self, digest: Digest) -> bool:
        """Make an object that was found to be damaged unknown, so that the same content can come in again.

        Every copy is looked at; those that are right stay. Refs that own it are not trusted to be whole any more. What
        was damaged is kept, in the quarantine folder or its pack, for 'hitsave fsck --repair'. Returns whether
        anything was damaged.
        """
        found = [
            self.whole_files.set_aside(digest),
            self.inbox.set_aside(digest),
            self.packset.set_aside(digest),
        ]
        return any(found)

    # -- refs

    def refs(self, namespace: Namespace | None = None) -> list[Ref]:
        """Every ref, or those of one namespace, by name."""
        return all_refs(self.database, namespace)

    def ref(self, name: RefName) -> Ref | None:
        """The ref with this name."""
        return find_ref(self.database, name)

    def newest_version(self, name: RefName) -> int:
        """When the youngest ref was created whose name differs in its version alone; in seconds since 1970, or 0."""
        return newest_version(self.database, name)

    def owns_whole(self, digest: Digest) -> bool:
        """Whether a ref holds this object, and everything beneath it is here."""
        return owned_whole(self.database, digest)

    def owns_part(self, digest: Digest) -> bool:
        """Whether refs hold this object, and all of them only a part of what is beneath it."""
        return owned_in_part(self.database, digest)

    def partial_refs(self) -> set[RefName]:
        """The refs of which only a part of what they need was ever asked for."""
        rows = self.database.rows(f"SELECT namespace, name FROM refs WHERE partial = {PARTIAL}")
        return {RefName(Namespace(namespace), name) for namespace, name in rows}

    def is_partial(self, name: RefName) -> bool:
        """Whether only a part of what a ref needs was ever asked for."""
        query = f"SELECT 1 FROM refs WHERE namespace = ? AND name = ? AND partial = {PARTIAL}"
        return bool(self.database.rows(query, name.namespace.value, name.name))

    def reachable(
        self,
        roots: Iterable[tuple[Digest, ObjectKind]],
        seen: dict[Digest, ObjectKind] | None = None,
        absent: set[Digest] | None = None,
    ) -> dict[Digest, ObjectKind]:
        """Everything that `roots` need. Raises ObjectNotFound, CorruptObject where a tree cannot be read.

        With `absent`, what lies beneath trees that are not here is left out, and those are added to that set: of a
        partial ref, they were never fetched.
        """
        return reachable(roots, self.read if absent is None else partial(self._read_if_here, absent=absent), seen)

    def held(self) -> list[tuple[Digest, ObjectKind]]:
        """What running calls hold: roots, as what refs own."""
        return holds.held_objects(self.database)

    def release(self, token: str) -> None:
        """Let go of what is held under a token, of a call that publishes nothing."""
        with self.database.writing() as connection:
            holds.release(connection, token)

    def _read_those_here(self, digests: list[Digest]) -> Iterator[tuple[Digest, bytes]]:
        """The contents of those small objects that are here and can be read, block by block where they are packed."""
        rest = set(digests)
        with contextlib.suppress(ObjectError):
            for digest, content in self.packset.read_many(self._locate_packed(digests).values()):
                rest.discard(digest)
                yield digest, bytes(content)
        for digest in rest:
            with contextlib.suppress(ObjectError):
                yield digest, self.read(digest)

    def _read_if_here(self, tree: Digest, absent: set[Digest]) -> bytes:
        try:
            return self.read(tree)
        except ObjectNotFound:
            absent.add(tree)
            return encode_tree(Tree())

    # -- writing

    def intake(self, *, inbox: bool = False) -> Intake:
        """A new batch of objects. With `inbox`, small ones are put into the database, which is for few at a time."""
        when_full = self.pack_inbox if inbox else None
        return Intake(self.path, self.database, self.packset, self.whole_files, self.inbox, when_full)

    def pack_inbox(self) -> None:
        """Move what lies in the inbox into packs. What is damaged stays, for 'hitsave fsck' to tell."""
        if self.inbox.empty:
            return
        for batch in self.inbox.batches():
            with self.intake() as intake:
                intake.unbox(batch)
                intake.publish([])
        with self.intake() as workshop:
            merge_small_indexes(self.path, self.database, self.packset, workshop.folder)


def _make_folders(path: Path) -> None:
    missing = [name for name in _FOLDERS if not (path / name).is_dir()]
    for name in missing:
        (path / name).mkdir(parents=True, exist_ok=True)
    if missing:
        sync_path(path)


def _refuse_lost_database(path: Path) -> None:
    """An empty database beside objects means that theirs is lost, and a collection would delete them all."""
    if holds_objects(path):
        raise CacheError(describe_loss(path / "cache.db", "is missing or empty"))


def _check_writable(folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
