"""The cache: one folder with every object that this user's projects have, shared by all of their processes.

    objects/ab/<hex>   large blobs, and small ones whose path was asked for; read-only
    packs/ indexes/    small blobs and all trees
    cache.db           refs, what is known of files, operations
    tmp/               intakes under way       trash/  collected, kept for undo       quarantine/  found corrupt

Every byte that comes out was checked against its digest: packed objects whenever they are read, whole files when they
came in and again whenever their size or time is not what it was then.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

from hitsave.cache.database import Database
from hitsave.cache.files import READ_ONLY, install, write_all
from hitsave.cache.intake import Intake, hash_descriptor, object_file
from hitsave.cache.moves import MoveJournal
from hitsave.cache.packset import PackSet, pack_file
from hitsave.cache.refs import PARTIAL, all_refs, doubt_all, find_ref, owned_whole
from hitsave.cache.stats import StatCache
from hitsave.cache.sweep import Sweeper
from hitsave.errors import CacheError, CorruptObject, ObjectNotFound
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.graph import reachable
from hitsave.objects.refs import Namespace, Ref, RefName
from hitsave.packing.index import IndexedPack, Location, PackSummary

_FOLDERS = ("objects", "packs", "indexes", "tmp", "trash", "quarantine")
_MOST_CANDIDATES = 20
_QUERY_AT_ONCE = 500


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
        self.stats = StatCache(database)
        self.sweeper = Sweeper(path, database, self.packset, moves)
        self._root = os.fspath(path)

    @classmethod
    def open(cls, path: Path) -> Cache:
        """Open the cache in a folder, which is made where it is missing. Raises CacheError."""
        path = Path(os.path.abspath(path))
        try:
            for name in _FOLDERS:
                (path / name).mkdir(parents=True, exist_ok=True)
            _check_writable(path / "tmp")
        except OSError as error:
            raise CacheError(
                f"{path}: cannot be used as the cache ({error.strerror}); "
                "set HITSAVE_LOCAL_CACHE_DIR to a folder that you can write to"
            ) from None
        moves = MoveJournal(path)
        return cls(path, Database(path / "cache.db", moves.recover), moves)

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
        absent = [digest for digest in set(digests) if not self.packset.known(digest)]
        found: set[bytes] = set()
        for at in range(0, len(absent), _QUERY_AT_ONCE):
            some = [bytes(digest) for digest in absent[at : at + _QUERY_AT_ONCE]]
            marks = ",".join("?" * len(some))
            query = f"SELECT digest FROM files WHERE digest IN ({marks})"
            found.update(row[0] for row in self.database.rows(query, *some))
        return {digest for digest in absent if digest not in found}

    def info(self, digest: Digest) -> ObjectInfo | None:
        """Kind and size of an object; None where it is not here."""
        if location := self.packset.find(digest):
            return ObjectInfo(ObjectKind(location.kind), location.length)
        rows = self.database.rows("SELECT size FROM files WHERE digest = ?", bytes(digest))
        return ObjectInfo(ObjectKind.BLOB, rows[0][0]) if rows else None

    def locate(self, digest: Digest) -> Location | None:
        """Where a packed object lies."""
        return self.packset.find(digest)

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
        for index in self.packset.indexes().values():
            for digest in index.find_prefix(low, high):
                found.add(digest)
                if len(found) >= _MOST_CANDIDATES:
                    break
        return sorted(found)

    # -- reading

    def read(self, digest: Digest) -> bytes:
        """The content of an object. Raises ObjectNotFound, CorruptObject."""
        if location := self.packset.find(digest):
            return self.packset.read(location)
        with self.open_blob(digest) as file:
            return file.read()

    def read_many(self, digests: Iterable[Digest]) -> Iterator[tuple[Digest, bytes | memoryview]]:
        """The contents of packed objects, each once, in the order in which they lie; others are an ObjectNotFound."""
        locations = []
        self.packset.refresh()
        for digest in set(digests):
            location = self.packset.find_known(digest)
            if location is None:
                raise ObjectNotFound(str(digest))
            locations.append(location)
        return self.packset.read_many(locations)

    def open_blob(self, digest: Digest) -> BinaryIO:
        """A blob for reading, without taking a large one into memory. Raises ObjectNotFound, CorruptObject."""
        path = self.whole_file(digest)
        if path is not None:
            return path.open("rb")
        location = self.packset.find(digest)
        if location is None:
            raise ObjectNotFound(str(digest))
        return io.BytesIO(self.packset.read(location))

    def whole_file(self, digest: Digest) -> Path | None:
        """The file of a blob that is kept as one. Raises CorruptObject where it was changed, and sets it aside."""
        query = "SELECT size, mtime_ns, derived FROM files WHERE digest = ?"
        rows = self.database.rows(query, bytes(digest))
        if not rows:
            return None
        size, mtime_ns, derived = rows[0]
        path = os.path.join(self._root, object_file(digest))
        try:
            found = os.stat(path)
        except FileNotFoundError:
            if not self.database.rows(query, bytes(digest)):
                return None  # Collected between the two looks.
            self._set_aside(digest, path, derived)
            found = None
        if found is not None and (found.st_size, found.st_mtime_ns) == (size, mtime_ns):
            return Path(path)
        if found is not None and self._still_right(digest, path, found, derived):
            return Path(path)
        if self.packset.find(digest):
            return None  # A good copy lies in a pack.
        reason = "its file is missing" if found is None else "its file was changed; it is in the quarantine folder now"
        raise CorruptObject(str(digest), path, reason)

    def _still_right(self, digest: Digest, path: str, found: os.stat_result, derived: bool) -> bool:
        with open(path, "rb") as file:
            right = hash_descriptor(file.fileno()) == digest
        if right:
            with self.database.writing() as connection:
                connection.execute(
                    "UPDATE files SET size = ?, mtime_ns = ? WHERE digest = ?",
                    (found.st_size, found.st_mtime_ns, bytes(digest)),
                )
        else:
            self._set_aside(digest, path, derived)
        return right

    def _set_aside(self, digest: Digest, path: str, derived: bool) -> None:
        with self.database.writing() as connection:
            connection.execute("DELETE FROM files WHERE digest = ?", (bytes(digest),))
            if not derived:
                doubt_all(connection)
            with contextlib.suppress(FileNotFoundError):
                os.rename(path, os.path.join(self._root, "quarantine", f"{digest}.{secrets.token_hex(4)}"))

    def path_of(self, digest: Digest) -> Path:
        """A read-only file with the content of a blob; made out of a pack where need be."""
        path = self.whole_file(digest)
        if path is not None:
            return path
        location = self.packset.find(digest)
        if location is None:
            raise ObjectNotFound(str(digest))
        return self._derive(digest, self.packset.read(location))

    def _derive(self, digest: Digest, content: bytes) -> Path:
        temporary = os.path.join(self._root, "tmp", f"derive-{secrets.token_hex(8)}")
        target = os.path.join(self._root, object_file(digest))
        # Written under the write lock, so that a collection knows every such file that it sees for a left-over.
        with self.database.writing() as connection:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), READ_ONLY)
            try:
                write_all(fd, content)
            finally:
                os.close(fd)
            install(temporary, target)
            found = os.stat(target)
            connection.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, 1)",
                (bytes(digest), found.st_size, found.st_mtime_ns),
            )
        return Path(target)

    # -- refs

    def refs(self, namespace: Namespace | None = None) -> list[Ref]:
        """Every ref, or those of one namespace, by name."""
        return all_refs(self.database, namespace)

    def ref(self, name: RefName) -> Ref | None:
        """The ref with this name."""
        return find_ref(self.database, name)

    def owns_whole(self, digest: Digest) -> bool:
        """Whether a ref holds this object, and everything beneath it is here."""
        return owned_whole(self.database, digest)

    def is_partial(self, name: RefName) -> bool:
        """Whether only a part of what a ref needs was ever asked for."""
        query = f"SELECT 1 FROM refs WHERE namespace = ? AND name = ? AND partial = {PARTIAL}"
        return bool(self.database.rows(query, name.namespace.value, name.name))

    def reachable(
        self,
        roots: Iterable[tuple[Digest, ObjectKind]],
        seen: dict[Digest, ObjectKind] | None = None,
    ) -> dict[Digest, ObjectKind]:
        """Everything that `roots` need. Raises ObjectNotFound, CorruptObject where a tree cannot be read."""
        return reachable(roots, self.read, seen)

    # -- writing

    def intake(self) -> Intake:
        """A new batch of objects."""
        try:
            return Intake(self.path, self.database, self.packset)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EROFS):
                raise CacheError(f"{self.path}: the cache cannot be written ({error.strerror})") from None
            raise


def _check_writable(folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
