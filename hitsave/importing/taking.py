"""Contents come out of another tool's store into an intake, each compared with its checksum on the way.

A version is looked through before anything of it is read: what is incomplete is not taken. A content is read once in a
run, however many versions and paths have it.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, NamedTuple

from hitsave.cache.intake import WHOLE_FROM, Intake
from hitsave.errors import FileChanged
from hitsave.importing.checksums import fits
from hitsave.importing.model import Contents, ListMissing, Part
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.progress import Progress
from hitsave.snapshots.names import parents_of
from hitsave.snapshots.partial import build_tree


class Lacking(NamedTuple):
    """Paths inside a version of which no content is here, or a wrong one."""

    missing: tuple[bytes, ...] = ()
    damaged: tuple[bytes, ...] = ()


class Taken(NamedTuple):
    """A version as an object; size in bytes."""

    digest: Digest
    kind: ObjectKind
    size: int
    files: int
    executable: bool


class Blob(NamedTuple):
    """A content that is known by its key; size in bytes."""

    digest: Digest
    size: int


def missing_parts(contents: Contents, known: Mapping[str, Blob]) -> tuple[bytes, ...]:
    """The paths of which no content is here, as far as can be told without reading."""
    return tuple(sorted(path for path, part in contents.parts.items() if not _is_here(part, known)))


def _is_here(part: Part, known: Mapping[str, Blob]) -> bool:
    return part.key in known or part.load is not None or any(_files_at(part))


def _files_at(part: Part) -> Iterator[str]:
    """The files that may hold a content: those of the right size, where that is known."""
    for place in part.places:
        try:
            found = os.stat(place)
        except OSError:  # Nothing is there, or nothing that could be read.
            continue
        if stat.S_ISREG(found.st_mode) and part.size in (None, found.st_size):
            yield place


def refuse_clashes(contents: Contents) -> None:
    """Raise ListMissing where a path is both a file and the folder of another."""
    for path in contents.parts:
        for above in parents_of(path):
            if above in contents.parts:
                raise ListMissing(f"{os.fsdecode(above)} is both a file and a folder in it")


class Taking:
    """Takes versions into intakes. `known` tells contents apart by their keys, and grows.

    With `link`, large read-only files become hard links where they can; `linked` and `copied` count large files.
    """

    def __init__(self, progress: Progress, link: bool = False) -> None:
        self.known: dict[str, Blob] = {}
        self.linked = 0
        self.copied = 0
        self._link = link
        self._progress = progress

    def take(self, intake: Intake, contents: Contents) -> Taken | Lacking:
        """Take a version whole, or tell what it lacks. Raises FileChanged, ListMissing."""
        refuse_clashes(contents)
        if missing := missing_parts(contents, self.known):
            return Lacking(missing=missing)
        leaves: dict[bytes, TreeEntry] = {}
        damaged: list[bytes] = []
        for path, part in contents.parts.items():
            blob = self._blob(intake, part)
            if blob is None:
                damaged.append(path)
            else:
                leaves[path] = TreeEntry(os.path.basename(path), part.kind, blob.digest, blob.size)
        if damaged:
            return Lacking(damaged=tuple(sorted(damaged)))
        if not contents.is_directory:
            only = leaves[b""]
            return Taken(only.digest, ObjectKind.BLOB, only.size, 1, only.kind is EntryKind.EXECUTABLE)
        digest = build_tree(leaves, lambda encoded: intake.add(ObjectKind.TREE, encoded))
        return Taken(digest, ObjectKind.TREE, sum(entry.size for entry in leaves.values()), len(leaves), False)

    def _blob(self, intake: Intake, part: Part) -> Blob | None:
        blob = self.known.get(part.key)
        if blob is not None and intake.rely_on(blob.digest):
            return blob
        if part.load is not None:
            content = part.load()
            blob = Blob(intake.add(ObjectKind.BLOB, content), len(content))
        else:
            found = (self._take_file(intake, place, part) for place in _files_at(part))
            blob = next((taken for taken in found if taken is not None), None)
        if blob is not None:
            self.known[part.key] = blob
            self._progress.advance(blob.size, 1)
        return blob

    def _take_file(self, intake: Intake, place: str, part: Part) -> Blob | None:
        """The content of a file; None where it is not what it should be. Raises FileChanged."""
        linked = self._link_large(intake, place)  # First, since it changes the file's ctime.
        with open(place, "rb", buffering=0) as file:
            before = _state(file)
            size = os.fstat(file.fileno()).st_size
            if linked is not None:
                blob = Blob(linked, size) if _is_right(file, part) else None
                self.linked += blob is not None
            elif size < WHOLE_FROM:
                content = file.read(size + 1) or b""
                right = len(content) == size and _is_right(io.BytesIO(content), part)
                blob = Blob(intake.add(ObjectKind.BLOB, content), size) if right else None
            else:
                blob = self._take_large(intake, file, place, part, size)
            if _state(file) != before:
                raise FileChanged(place)
            return blob

    def _link_large(self, intake: Intake, place: str) -> Digest | None:
        if not self._link or os.stat(place).st_size < WHOLE_FROM:
            return None
        return intake.link_file(place)

    def _take_large(self, intake: Intake, file: BinaryIO, place: str, part: Part, size: int) -> Blob | None:
        # The checksum of other tools takes longer than all else: it is computed beside. Where it is wrong, what was
        # taken is nobody's, and the next collection removes it.
        with open(place, "rb", buffering=0) as again, ThreadPoolExecutor(1) as beside:
            if _state(again) != _state(file):
                raise FileChanged(place)
            right = beside.submit(_is_right, again, part)
            digest = intake.add_file(file.fileno(), size)
            self.copied += 1
            return Blob(digest, size) if right.result() else None


def _is_right(content: BinaryIO, part: Part) -> bool:
    return part.checksum is None or fits(content, part.checksum)


def _state(file: BinaryIO) -> tuple[int, ...]:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
