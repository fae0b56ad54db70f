"""Objects become working files.

A new directory is written beside its place and renamed there when it is complete: all of it appears at once, or nothing
does. Contents come out of the cache verified, and names are checked before anything is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from hitsave.cache.files import write_all
from hitsave.cache.overlap import Overlap
from hitsave.cache.store import Cache
from hitsave.config import DEFAULT_LINKS
from hitsave.errors import NameConflict, ObjectNotFound, SnapshotError
from hitsave.objects.digest import Digest
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.packing.index import Location
from hitsave.progress import Progress, Silent
from hitsave.snapshots.capture import stays_inside
from hitsave.snapshots.layout import Include, Layout, PlannedFile, plan_layout, refuse_collisions
from hitsave.snapshots.links import place_file
from hitsave.snapshots.staging import staging_in

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_WRITERS = 2
_BATCH_BYTES = 512 * 1024
_BATCH_FILES = 128


class Materialised(NamedTuple):
    """What was written: number of files, bytes of content, files removed."""

    files: int
    size: int
    removed: int = 0


class _Job(NamedTuple):
    target: bytes
    content: bytes | memoryview
    kind: EntryKind


class FileWriter:
    """Writes files from the cache to absolute paths that do not exist yet."""

    def __init__(
        self,
        cache: Cache,
        links: Sequence[str] = DEFAULT_LINKS,
        read_only: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._cache = cache
        self._links = links
        self._mode = 0o444 if read_only else 0o666
        self._executable_mode = 0o555 if read_only else 0o777
        self._progress = progress or Silent()

    def write(self, wanted: Iterable[tuple[bytes, PlannedFile]]) -> None:
        """Write each file at the path it comes with. Raises ObjectNotFound, CorruptObject, OSError."""
        targets: dict[Digest, list[tuple[bytes, PlannedFile]]] = {}
        for target, planned in wanted:
            targets.setdefault(planned.entry.digest, []).append((target, planned))
        packed = self._cache.locate_many(targets)
        for digest in targets.keys() - packed.keys():
            source = self._cache.whole_file(digest)
            if source is None:
                raise ObjectNotFound(str(digest))
            self._place(source, targets[digest])
        with Overlap(self._write_batch, threads=_WRITERS) as writers:
            for batch in self._batches(packed.values(), targets):
                writers.submit(batch)

    def _place(self, source: Path, targets: list[tuple[bytes, PlannedFile]]) -> None:
        for target, planned in targets:
            if planned.entry.kind is EntryKind.SYMLINK:
                raise SnapshotError(f"{os.fsdecode(target)}: a symbolic link's target is too long")
            mode = self._executable_mode if planned.entry.kind is EntryKind.EXECUTABLE else self._mode
            # A link would give every name of the object one executable bit.
            own = planned.entry.kind is not EntryKind.FILE
            kinds = [kind for kind in self._links if not (own and kind in ("hardlink", "symlink"))]
            place_file(os.fspath(source), target, mode, kinds or ["copy"])
            self._progress.advance(planned.entry.size, 1)

    def _batches(
        self, packed: Iterable[Location], targets: dict[Digest, list[tuple[bytes, PlannedFile]]]
    ) -> Iterator[list[_Job]]:
        batch: list[_Job] = []
        size = 0
        for digest, content in self._cache.read_many(packed):
            for target, planned in targets[digest]:
                batch.append(_Job(target, content, planned.entry.kind))
                size += len(content)
            if size > _BATCH_BYTES or len(batch) > _BATCH_FILES:
                yield batch
                batch, size = [], 0
        yield batch

    def _write_batch(self, batch: list[_Job]) -> None:
        size = 0
        for target, content, kind in batch:
            if kind is EntryKind.SYMLINK:
                os.symlink(bytes(content), target)
            else:
                fd = os.open(target, _CREATE, self._executable_mode if kind is EntryKind.EXECUTABLE else self._mode)
                try:
                    write_all(fd, content)
                finally:
                    os.close(fd)
            size += len(content)
        self._progress.advance(size, len(batch))


def materialise_tree(
    cache: Cache,
    digest: Digest,
    destination: Path,
    *,
    links: Sequence[str] = DEFAULT_LINKS,
    include: Include | None = None,
    read_only: bool = False,
    progress: Progress | None = None,
) -> Materialised:
    """Write a directory at `destination`, where nothing stands. All of it appears at once, or nothing does."""
    layout = plan_layout(digest, cache.read, include)
    refuse_links_out(cache, layout)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with staging_in(destination.parent) as staging:
        temporary = os.fsencode(staging / "new")
        os.mkdir(temporary)
        refuse_collisions(layout, temporary)
        for path in layout.directories:
            os.mkdir(os.path.join(temporary, path))
        writer = FileWriter(cache, links, read_only, progress)
        writer.write((temporary + b"/" + planned.path, planned) for planned in layout.files)
        if read_only:
            for path in reversed(layout.directories):
                os.chmod(os.path.join(temporary, path), 0o555)
        try:
            os.rename(temporary, os.fsencode(destination))
        except OSError as error:  # Nobody knows the name that it had before.
            raise OSError(error.errno, error.strerror, os.fspath(destination)) from None
        if read_only:  # Not before: what cannot be written cannot move to another folder.
            os.chmod(destination, 0o555)
    return Materialised(len(layout.files), sum(planned.entry.size for planned in layout.files))


def refuse_links_out(cache: Cache, layout: Layout) -> None:
    """Refuse a tree with a symlink that leads out of it. Raises SnapshotError."""
    for planned in layout.files:
        if planned.entry.kind is EntryKind.SYMLINK:
            target = cache.read(planned.entry.digest)
            if not stays_inside(target, planned.path.count(b"/")):
                raise SnapshotError(
                    f"{os.fsdecode(planned.path)}: a symbolic link to {os.fsdecode(target)!r}, out of the directory; "
                    "nothing was written"
                )


def materialise_blob(
    cache: Cache,
    digest: Digest,
    destination: Path,
    *,
    executable: bool = False,
    links: Sequence[str] = DEFAULT_LINKS,
    read_only: bool = False,
    progress: Progress | None = None,
) -> Materialised:
    """Write a file at `destination`, in place of a file that stands there."""
    info = cache.info(digest)
    if info is None:
        raise ObjectNotFound(str(digest))
    if len(os.fsencode(destination.name)) > 255:
        raise NameConflict(os.fspath(destination), "the name is longer than 255 bytes")
    destination.parent.mkdir(parents=True, exist_ok=True)
    kind = EntryKind.EXECUTABLE if executable else EntryKind.FILE
    planned = PlannedFile(b"", TreeEntry(b"file", kind, digest, info.size))
    with staging_in(destination.parent) as staging:
        temporary = os.fsencode(staging / "new")
        FileWriter(cache, links, read_only, progress).write([(temporary, planned)])
        os.replace(temporary, os.fsencode(destination))
    return Materialised(1, info.size)
