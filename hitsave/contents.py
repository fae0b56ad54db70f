"""Files and directories of recorded trees, read where they are: out of the cache, or else of the default remote.

Of a remote only what is asked for is read, and none of it is put into the cache: to have files on this machine they are
fetched. What a digest names never changes, so that trees and what digests stand for are kept in memory, as much as
bounds allow.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

from hitsave.cache.store import Cache
from hitsave.errors import CorruptObject, ObjectError, ObjectNotFound, RemoteCorrupt
from hitsave.exchange import Exchange
from hitsave.naming import Named, Names
from hitsave.objects.digest import Digest, ObjectKind, is_abbreviation
from hitsave.objects.encoding import decode_tree, entry_count
from hitsave.objects.following import LONGEST_LINK, Followed, follow
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.treetable import TreeTable
from hitsave.remotes.reading.partfile import PartFile
from hitsave.remotes.reading.parts import Parts
from hitsave.snapshots.pointer import is_pointer, load_pointer

#: Entries of trees that are kept, unless one tree alone has more.
_ENTRIES_KEPT = 200_000
#: A tree of more entries is kept as it is encoded.
_MANY_ENTRIES = 20_000
#: So many trees are loaded at once, none of them twice.
_LOADING = 64
_ROOTS_KEPT = 4096

Answer = TypeVar("Answer")


class Root(NamedTuple):
    """What the beginning of a path names, a pointer file or a digest, and the rest of the path, which lies inside."""

    named: Named
    inside: bytes
    pointer: Path | None = None


class Range(NamedTuple):
    """Bytes of a blob from `start` up to `stop`."""

    blob: Digest
    start: int
    stop: int


class Contents:
    """Trees and blobs by their digests, from the cache or the default remote. Safe to use from several threads."""

    def __init__(self, cache: Cache, exchange: Exchange, names: Names) -> None:
        self._cache = cache
        self._exchange = exchange
        self._names = names
        self._parts: Parts | None = None
        self._roots: dict[str, Named] = {}
        self._trees: OrderedDict[Digest, Mapping[bytes, TreeEntry]] = OrderedDict()
        self._entries = 0
        self._lock = threading.Lock()
        self._loading = [threading.Lock() for _ in range(_LOADING)]

    # -- names

    def root(self, text: str, start: Path | None = None) -> Root | None:
        """What DIGEST/PATH or POINTER.hitsave/PATH begins with; pointer files are looked for from `start` on.

        None where it begins with neither. Raises ObjectNotFound, AmbiguousDigest, ObjectError for an evaluation,
        WorkspaceError for a pointer file that cannot be read.
        """
        first, _, inside = text.partition("/")
        if is_abbreviation(first):
            return Root(self._named(first), os.fsencode(inside))
        names = text.split("/")
        for number in range(1, len(names) + 1):
            path = (start or Path()) / "/".join(names[:number])
            if is_pointer(path) and path.is_file():
                pointer = load_pointer(path)
                named = Named(pointer.digest, pointer.kind, pointer.executable)
                return Root(named, os.fsencode("/".join(names[number:])), path)
        return None

    def _named(self, digest: str) -> Named:
        known = self._roots.get(digest)
        if known is None:
            known = self._names.resolve(digest)
            if known.kind is ObjectKind.EVALUATION:
                raise ObjectError(f"{digest} is an evaluation, not a file or directory")
            if len(self._roots) >= _ROOTS_KEPT:
                self._roots = {}
            self._roots[digest] = known
        return known

    def find(self, root: Root) -> TreeEntry | None:
        """The entry at a path beneath what its beginning names; None where there is none. See `entry_at`."""
        named = root.named
        if named.kind is ObjectKind.TREE:
            return self.entry_at(named.digest, root.inside)
        if root.inside.strip(b"/"):
            return None
        kind = EntryKind.EXECUTABLE if named.executable else EntryKind.FILE
        return TreeEntry(b"", kind, named.digest, self.size(named.digest))

    def entry_at(self, tree: Digest, path: bytes) -> TreeEntry | None:
        """The file or directory at a path beneath a tree, where symbolic links within it are followed.

        None where there is none, also where a link leads nowhere or out of the tree. An empty path gives the tree.
        """
        found = self.follow(tree, path)
        return None if found is None else found.entry

    def follow(self, tree: Digest, path: bytes, last: bool = True) -> Followed | None:
        """The same, with the path at which it lies. Without `last`, a link at the end of the path is what it is."""

        def child(above: Digest, name: bytes) -> TreeEntry | None:
            return self.children(above).get(name)

        return follow(tree, path, child, lambda _, link: self.link_target(link.digest), last)

    # -- trees

    def children(self, tree: Digest) -> Mapping[bytes, TreeEntry]:
        """The entries of a directory by name. Raises ObjectNotFound, CorruptObject, RemoteError."""
        if (known := self._kept(tree)) is not None:
            return known
        with self._loading[hash(tree) % _LOADING]:  # Of those who want it at once, one loads it.
            known = self._kept(tree)
            return self._keep(tree, self._load_tree(tree)) if known is None else known

    def _load_tree(self, tree: Digest) -> bytes:
        """What is a file, of any length, is not read to find that it is no tree. Raises as `load`."""
        info = self._cache.info(tree)
        if info is not None:
            is_tree = info.kind is ObjectKind.TREE
        else:
            is_tree = self._remote() is None or self._there(lambda parts: parts.kind(tree)) is ObjectKind.TREE
        if not is_tree:
            raise ObjectError(f"{tree.short} is no directory")
        return self.load(tree)

    def _kept(self, tree: Digest) -> Mapping[bytes, TreeEntry] | None:
        with self._lock:
            if (known := self._trees.get(tree)) is not None:
                self._trees.move_to_end(tree)
            return known

    def _keep(self, tree: Digest, content: bytes) -> Mapping[bytes, TreeEntry]:
        found: Mapping[bytes, TreeEntry]
        if entry_count(content) > _MANY_ENTRIES:
            found = TreeTable(content)
        else:
            found = {entry.name: entry for entry in decode_tree(content).entries}
        with self._lock:
            if tree not in self._trees:
                self._trees[tree] = found
                self._entries += len(found)
            while self._entries > _ENTRIES_KEPT and len(self._trees) > 1:
                self._entries -= len(self._trees.popitem(last=False)[1])
        return found

    def bring(self, trees: Iterable[Digest]) -> None:
        """Have trees at hand, in a few requests for all that are not here. What fails, fails again when it is used."""
        wanted = {tree for tree in trees if tree not in self._trees}
        away = self._cache.missing(wanted) if len(wanted) > 1 else set()
        if away and (parts := self._remote()) is not None:
            try:
                for tree, content in parts.reader.read_many(away).items():
                    self._keep(tree, content)
            except (RemoteCorrupt, ObjectNotFound):
                return  # A collection came by, perhaps; one by one, each is looked for again.

    def load(self, digest: Digest) -> bytes:
        """A small object. Raises ObjectNotFound, CorruptObject, RemoteError."""
        return self._here_or_there(lambda: self._cache.read(digest), lambda parts: parts.reader.read(digest))

    def link_target(self, blob: Digest) -> bytes:
        """Where a symbolic link leads. Raises as `load`, and ObjectError for what is too long to be one."""
        if self.size(blob) > LONGEST_LINK:
            raise ObjectError(f"{blob.short} is no symbolic link: no system has one that is so long")
        return self.load(blob)

    # -- blobs

    def size(self, blob: Digest) -> int:
        """The bytes of a blob. Raises ObjectNotFound, RemoteError."""
        info = self._cache.info(blob)
        if info is not None:
            return info.size
        if self._remote() is None:
            raise ObjectNotFound(str(blob))
        return self._there(lambda parts: parts.size(blob))

    def open(self, blob: Digest) -> BinaryIO:
        """A blob for reading: what is read of it comes, and nothing of it is put into the cache.

        Raises ObjectNotFound, CorruptObject, RemoteError; reading raises RemoteError.
        """
        return self._here_or_there(lambda: self._cache.open_blob(blob), lambda parts: PartFile(parts, blob))

    def read(self, ranges: Iterable[Range]) -> list[bytes]:
        """Parts of blobs, shorter where a blob ends; those of a remote in one round of requests. Raises as `open`."""
        found: dict[int, bytes] = {}
        away: dict[int, Range] = {}
        for number, wanted in enumerate(ranges):
            try:
                with self._cache.open_blob(wanted.blob) as file:
                    file.seek(wanted.start)
                    found[number] = file.read(max(wanted.stop - wanted.start, 0))
            except (ObjectNotFound, CorruptObject):
                if self._remote() is None:
                    raise
                away[number] = wanted
        if away:
            found.update(zip(away, self._there(lambda parts: parts.read(away.values())), strict=True))
        return [found[number] for number in range(len(found))]

    # -- the remote

    @property
    def received(self) -> int:
        """Bytes of packs that were read from the remote."""
        return self._parts.reader.received if self._parts else 0

    def _remote(self) -> Parts | None:
        if self._parts is None and (shelf := self._exchange.shelf_if_any()) is not None:
            self._parts = Parts(self._exchange.remote(), shelf.view)
        return self._parts

    def _there(self, use: Callable[[Parts], Answer]) -> Answer:
        """What the remote gives: as it was when it was looked at last, or else as it is now."""
        parts = self._remote()
        assert parts is not None
        try:
            return use(parts)
        except (ObjectNotFound, RemoteCorrupt):
            newer = self._newer(parts)
            if newer is None:
                raise
        return use(newer)

    def _newer(self, seen: Parts) -> Parts | None:
        """The remote as it is now; None where it is as it was. Others push meanwhile, or a collection comes by."""
        with self._lock:
            if self._parts is not seen:
                return self._parts
        shelf = self._exchange.shelf_if_any()
        if shelf is None or shelf.view.digest == seen.view.digest:
            return None
        with self._lock:
            self._parts = Parts(self._exchange.remote(), shelf.view)
            return self._parts

    def _here_or_there(self, here: Callable[[], Answer], there: Callable[[Parts], Answer]) -> Answer:
        """What the cache gives; where that lacks it, or has it damaged, what the remote gives."""
        try:
            return here()
        except (ObjectNotFound, CorruptObject) as error:
            if self._remote() is None:
                raise
            try:
                return self._there(there)
            except ObjectNotFound:
                if isinstance(error, CorruptObject):
                    raise error from None
                raise
