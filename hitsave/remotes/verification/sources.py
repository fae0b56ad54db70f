"""Where objects are looked for that a remote has lost: this machine's cache, older commits, other remotes.

Whatever comes out of a source was checked against its digest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from hitsave.cache.hashing import hash_descriptor, new_hasher
from hitsave.cache.store import Cache
from hitsave.errors import ObjectError, RemoteCorrupt, RemoteError
from hitsave.objects.digest import Digest, blob_digest
from hitsave.packing.blocks import EntryKindInPack
from hitsave.packing.index import Location
from hitsave.packing.recipe import Chunk
from hitsave.remotes.commits.view import View
from hitsave.remotes.reading.ranges import windows
from hitsave.remotes.reading.reader import Content, Reader
from hitsave.remotes.verification.closure import Piece, read_each


class Entry(NamedTuple):
    """An object or a chunk, as a pack holds it."""

    digest: Digest
    kind: int
    content: Content


class Source(Protocol):
    """Has some objects, perhaps. What it lacks, or has damaged, it leaves out. Raises RemoteError."""

    def entries(self, digests: Collection[Digest], longest: int | None) -> Iterator[Entry]:
        """Small objects and chunks, no longer than that many bytes."""

    def piece(self, blob: Digest, piece: Piece) -> bytes | None:
        """A part of a large blob."""

    def files(self, blobs: Iterable[Digest], folder: Path) -> Iterator[tuple[Digest, Path]]:
        """Large blobs as files, if need be in `folder`; each is there until the next one is asked for."""


class CacheSource:
    """The cache of this machine."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def entries(self, digests: Collection[Digest], longest: int | None) -> Iterator[Entry]:
        """Small objects."""
        for digest in digests:
            with contextlib.suppress(ObjectError):
                location = self._cache.locate(digest)
                if location is not None and (longest is None or location.length <= longest):
                    yield Entry(digest, location.kind, self._cache.read(digest))

    def piece(self, blob: Digest, piece: Piece) -> bytes | None:
        """A part of a whole file."""
        path = self._path(blob)
        if path is None:
            return None
        with path.open("rb") as file:
            file.seek(piece.offset)
            content = file.read(piece.length)
        return content if blob_digest(content) == piece.digest else None

    def files(self, blobs: Iterable[Digest], folder: Path) -> Iterator[tuple[Digest, Path]]:
        """Whole files."""
        for digest in blobs:
            path = self._path(digest)
            if path is not None:
                with path.open("rb") as file:
                    sound = hash_descriptor(file.fileno()) == digest
                if sound:
                    yield digest, path

    def _path(self, blob: Digest) -> Path | None:
        with contextlib.suppress(ObjectError):
            return self._cache.whole_file(blob)
        return None


#: Tells where entries are.
Find = Callable[[Iterable[Digest]], dict[Digest, Location]]


class PackSource:
    """Packs of a remote, of which `find` tells what they hold."""

    def __init__(self, find: Find, reader: Reader) -> None:
        self._find = find
        self._reader = reader

    def entries(self, digests: Collection[Digest], longest: int | None) -> Iterator[Entry]:
        """Small objects and chunks."""
        places = [
            place
            for place in self._find(digests).values()
            if place.kind != EntryKindInPack.RECIPE and (longest is None or place.length <= longest)
        ]
        for place, content in read_each(self._reader, places):
            if not isinstance(content, RemoteCorrupt):
                yield Entry(place.digest, place.kind, content)

    def piece(self, blob: Digest, piece: Piece) -> bytes | None:
        """No whole blobs are known here."""
        return None

    def files(self, blobs: Iterable[Digest], folder: Path) -> Iterator[tuple[Digest, Path]]:
        """No whole blobs are known here."""
        return iter(())


class RemoteSource(PackSource):
    """Another remote."""

    def __init__(self, view: View, reader: Reader) -> None:
        super().__init__(view.find_many, reader)

    def piece(self, blob: Digest, piece: Piece) -> bytes | None:
        """A part of a large blob, however that one is cut there."""
        with contextlib.suppress(ObjectError, RemoteCorrupt):
            content = self._reader.read_range(blob, piece.offset, piece.length)
            if blob_digest(content) == piece.digest:
                return content
        return None

    def files(self, blobs: Iterable[Digest], folder: Path) -> Iterator[tuple[Digest, Path]]:
        """Large blobs, put together in `folder`."""
        for digest in blobs:
            path = folder / str(digest)
            try:
                if self._write(digest, path):
                    yield digest, path
            except (ObjectError, RemoteCorrupt):
                continue
            finally:
                path.unlink(missing_ok=True)

    def _write(self, digest: Digest, path: Path) -> bool:
        recipe = self._reader.recipe(digest)
        hasher = new_hasher()
        with path.open("wb") as file:
            for content in self._chunks(recipe.chunks) if recipe else (self._reader.read(digest),):
                hasher.update(content)
                file.write(content)
        return hasher.digest() == digest

    def _chunks(self, chunks: Iterable[Chunk]) -> Iterator[Content]:
        wanted = [chunk.digest for chunk in chunks]
        places = self._reader.locate_many(dict.fromkeys(wanted))
        with self._reader.reading_windows(windows((0, places[digest]) for digest in wanted)) as read:
            for window, contents in read:
                for _, place in window.order:
                    yield contents[place.digest]


def unless_it_fails(source: Source, note: Callable[[str], object]) -> Source:
    """A source that is left out, with a note, as soon as it cannot be asked."""
    return _Patient(source, note)


class _Patient:
    def __init__(self, source: Source, note: Callable[[str], object]) -> None:
        self._source = source
        self._note = note
        self._failed = False

    def entries(self, digests: Collection[Digest], longest: int | None) -> Iterator[Entry]:
        if not self._failed:
            try:
                yield from self._source.entries(digests, longest)
            except RemoteError as error:
                self._fail(error)

    def piece(self, blob: Digest, piece: Piece) -> bytes | None:
        if not self._failed:
            try:
                return self._source.piece(blob, piece)
            except RemoteError as error:
                self._fail(error)
        return None

    def files(self, blobs: Iterable[Digest], folder: Path) -> Iterator[tuple[Digest, Path]]:
        if not self._failed:
            try:
                yield from self._source.files(blobs, folder)
            except RemoteError as error:
                self._fail(error)

    def _fail(self, error: RemoteError) -> None:
        self._failed = True
        self._note(f"nothing was taken from there: {error}")
