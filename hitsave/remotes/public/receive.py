"""Brings a public snapshot, or what lies at a path inside of it, into the cache. Nobody is trusted: every byte is
checked against its digest, and nothing longer than was named is read."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from hitsave.cache.intake import WHOLE_FROM, Intake
from hitsave.cache.store import Cache
from hitsave.errors import CorruptObject, MalformedObject, RemoteCorrupt, RemoteNotFound, RemoteRefused
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.encoding import decode_tree
from hitsave.objects.following import LONGEST_LINK, Followed, follow
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Ref
from hitsave.packing.treelist import TreeListReader
from hitsave.progress import Progress
from hitsave.remotes.ahead import in_order
from hitsave.remotes.public.host import PublicHost
from hitsave.remotes.public.layout import PublicUrl, file_key, list_key, quote_path

#: Shorter files are asked for side by side.
_LARGE = 1 << 20


class _Place(NamedTuple):
    """A blob's size in bytes, the path at which it can be read, and whether a symbolic link stands there."""

    size: int
    path: bytes
    link: bool


@dataclass(slots=True)
class _Wanted:
    """What a snapshot needs: trees, and blobs with the places at which they can be read."""

    trees: dict[Digest, bytes] = field(default_factory=dict)
    blobs: dict[Digest, _Place] = field(default_factory=dict)

    def add_blob(self, entry: TreeEntry, path: bytes) -> None:
        """Want a file or link. Where a file has the same content as a link, it is read there: any host gives that."""
        place = _Place(entry.size, path, entry.kind is EntryKind.SYMLINK)
        known = self.blobs.setdefault(entry.digest, place)
        if known.link and not place.link:
            self.blobs[entry.digest] = place


def receive(
    host: PublicHost, cache: Cache, link: PublicUrl, own: Callable[[Digest, ObjectKind], Ref], progress: Progress
) -> TreeEntry:
    """Fetch what a link names and the cache lacks, owned by the ref that `own` makes; what it is.

    Raises RemoteNotFound, RemoteCorrupt and other RemoteErrors; then nothing has changed in the cache.
    """
    trees = _read_trees(host, link)
    if trees is None:
        return _receive_file(host, cache, link, own, progress)
    path, top = _find(host, trees, link)
    wanted = _Wanted()
    if top.kind is EntryKind.TREE:
        _collect(trees, top.digest, path + b"/" if path else b"", wanted)
    else:
        wanted.add_blob(top, path)
    kind = ObjectKind.TREE if top.kind is EntryKind.TREE else ObjectKind.BLOB
    missing = cache.missing(wanted.blobs)
    progress.start("fetching", sum(wanted.blobs[blob].size for blob in missing))
    with cache.intake() as intake:
        for digest, content in wanted.trees.items():
            intake.add(ObjectKind.TREE, content, digest)
        _receive_blobs(host, link, intake, {blob: wanted.blobs[blob] for blob in missing}, progress)
        intake.publish([own(top.digest, kind)], [blob for blob in wanted.blobs if blob not in missing])
    return top


def _read_trees(host: PublicHost, link: PublicUrl) -> dict[Digest, bytes] | None:
    """The trees of a directory; None where the link may be one to a file."""
    reader = TreeListReader(link.digest)

    def use(pieces: Iterator[bytes], length: int | None) -> dict[Digest, bytes]:
        nonlocal reader
        reader = TreeListReader(link.digest)
        for piece in pieces:
            reader.feed(piece)
        reader.close()
        return reader.trees

    key = list_key(link.digest)
    try:
        return host.read(key, use)
    except (RemoteNotFound, RemoteRefused):
        return None
    except MalformedObject as error:
        raise RemoteCorrupt(host.url, key, str(error)) from None


def _find(host: PublicHost, trees: dict[Digest, bytes], link: PublicUrl) -> Followed:
    """What a link names; symbolic links on the way to it are followed. Raises RemoteNotFound, RemoteCorrupt."""

    @functools.cache  # A link may lead through a large directory over and over.
    def children(tree: Digest) -> dict[bytes, TreeEntry]:
        return {entry.name: entry for entry in decode_tree(trees[tree]).entries}

    def child(tree: Digest, name: bytes) -> TreeEntry | None:
        return children(tree).get(name)

    def target(path: bytes, entry: TreeEntry) -> bytes:
        key = _key(link, path)
        content = _get(host, key, _Place(min(entry.size, LONGEST_LINK), path, link=True))
        if blob_digest(content) != entry.digest:
            raise RemoteCorrupt(host.url, key, "its content has another digest")
        return content

    found = follow(link.digest, link.inside, child, target)
    if found is None:
        raise RemoteNotFound(link.base, _key(link, link.inside))
    return found


def _key(link: PublicUrl, path: bytes) -> str:
    return f"{file_key(link.digest)}/{quote_path(path)}"


def _collect(trees: dict[Digest, bytes], root: Digest, path: bytes, wanted: _Wanted) -> None:
    waiting = [(root, path)]
    while waiting:
        digest, above = waiting.pop()
        if digest in wanted.trees:
            continue
        wanted.trees[digest] = trees[digest]
        for entry in decode_tree(trees[digest]).entries:
            if entry.kind is EntryKind.TREE:
                waiting.append((entry.digest, above + entry.name + b"/"))
            else:
                wanted.add_blob(entry, above + entry.name)


def _receive_blobs(
    host: PublicHost, link: PublicUrl, intake: Intake, blobs: dict[Digest, _Place], progress: Progress
) -> None:
    def get(item: tuple[Digest, _Place]) -> bytes:
        return _get(host, _key(link, item[1].path), item[1])

    small = {digest: place for digest, place in blobs.items() if place.size < _LARGE}
    with in_order(small.items(), get, host.parallel, cost=lambda item: item[1].size) as contents:
        for (digest, place), content in contents:
            _add(host, intake, digest, content, _key(link, place.path))
            progress.advance(place.size, 1)
    for digest, place in blobs.items():
        if digest not in small:
            _stream(host, intake, digest, place, _key(link, place.path))
            progress.advance(place.size, 1)


def _get(host: PublicHost, key: str, place: _Place) -> bytes:
    """All of a blob."""
    return host.read(key, lambda pieces, _: b"".join(_bounded(pieces, place.size, host, key)), place.link)


def _bounded(pieces: Iterator[bytes], size: int, host: PublicHost, key: str) -> Iterator[bytes]:
    """Pieces, as long as they come to no more than was named."""
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > size:
            raise RemoteCorrupt(host.url, key, f"is longer than {size} bytes")
        yield piece


def _add(host: PublicHost, intake: Intake, digest: Digest, content: bytes, key: str) -> None:
    try:
        intake.add(ObjectKind.BLOB, content, digest)
    except CorruptObject as error:
        raise RemoteCorrupt(host.url, key, error.reason) from None


def _stream(host: PublicHost, intake: Intake, digest: Digest, place: _Place, key: str) -> None:
    def use(pieces: Iterator[bytes], _: int | None) -> None:
        with intake.blob_writer(digest, place.size) as writer:
            for piece in _bounded(pieces, place.size, host, key):
                writer.write(piece)

    try:
        host.read(key, use, place.link)
    except CorruptObject as error:
        raise RemoteCorrupt(host.url, key, error.reason) from None


def _receive_file(
    host: PublicHost, cache: Cache, link: PublicUrl, own: Callable[[Digest, ObjectKind], Ref], progress: Progress
) -> TreeEntry:
    """A file by itself, whose length only the host knows."""
    key = file_key(link.digest)
    if link.inside:
        raise RemoteNotFound(host.url, f"{key}/{quote_path(link.inside)}")
    with cache.intake() as intake:
        if intake.rely_on(link.digest):
            size = 0
        else:
            path = intake.folder / "received"

            def use(pieces: Iterator[bytes], length: int | None) -> None:
                progress.start("fetching", length or 0)
                with path.open("wb") as file:
                    for piece in pieces:
                        file.write(piece)
                        progress.advance(len(piece))

            host.read(key, use)
            size = os.path.getsize(path)
            _take_file(host, intake, link.digest, path, size, key)
        intake.publish([own(link.digest, ObjectKind.BLOB)], [link.digest])
    return TreeEntry(b"", EntryKind.FILE, link.digest, size)


def _take_file(host: PublicHost, intake: Intake, digest: Digest, path: os.PathLike[str], size: int, key: str) -> None:
    with open(path, "rb") as file:
        if size < WHOLE_FROM:
            _add(host, intake, digest, file.read(), key)
        elif intake.add_file(file.fileno(), size) != digest:
            raise RemoteCorrupt(host.url, key, "its content has another digest")
    os.unlink(path)
