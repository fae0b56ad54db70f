"""Snapshots in Python: a file or a directory as it was at one moment, named by a digest that works on every machine.

    snap = FileSnapshot.snap("model.pt")        keep it
    FileSnapshot.from_digest(snap.digest)       the same, in another program, on another machine
    snap.restore()                              put it back at its place

A directory is a mapping of paths to what is at them, and can be walked as packages' resources are (`Traversable`).

A snapshot is a small value that can be pickled. Each operation opens the repository of the current directory; pass
`repository` to use another one.
"""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, NoReturn, Self, TextIO, cast, overload

from hitsave.errors import ObjectError, WorkspaceError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.reading import Nothing, fail, in_mode, refuse_writing
from hitsave.repository import Repository
from hitsave.snapshots import layout
from hitsave.snapshots.partial import include_globs
from hitsave.snapshots.place import put_link

#: Patterns in the syntax of `.gitignore`, or a function that tells by a path, with `/`, whether a file is wanted.
Include = str | Sequence[str] | Callable[[str], bool]


def _wanted(include: Include | None) -> layout.Include | None:
    if include is None or isinstance(include, str):
        return include_globs([include] if include else [])
    if callable(include):
        tells = include
        return lambda path: tells(os.fsdecode(path))
    return include_globs(include)


def _callers_level() -> int:
    """The stack level, as `warnings.warn` counts it, of the code that called into this module."""
    level = 1
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
        level += 1
    return level


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class _Snapshot:
    """What file and directory snapshots have in common.

    `content_length` is in bytes. `relpath` is relative to the workspace, or to the directory snapshot that it was taken
    out of; `place` is then where that stands in the workspace, where it is known.
    """

    digest: str
    content_length: int
    relpath: Path | None = None
    time: datetime = field(default_factory=_now, compare=False)
    place: Path | None = field(default=None, repr=False, compare=False)
    repository: Repository | None = field(default=None, repr=False, compare=False)

    _kind = ObjectKind.BLOB

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "repository": None}

    @property
    def _repository(self) -> Repository:
        return self.repository or Repository.default()

    @property
    def _digest(self) -> Digest:
        return Digest(bytes.fromhex(self.digest))

    @property
    def _own_place(self) -> Path | None:
        return self.place or self.relpath

    @classmethod
    def snap(cls, path: str | os.PathLike[str], *, repository: Repository | None = None) -> Self:
        """Keep a file or directory as it is now.

        Raises WorkspaceError where it does not exist or is of the other kind, SnapshotError where it cannot be kept.
        """
        if path == "":
            raise WorkspaceError("an empty path names nothing")
        place = Path(path)
        if not place.exists():
            raise WorkspaceError(f"{path}: does not exist")
        if place.is_dir() is not (cls._kind is ObjectKind.TREE):
            wanted = "directory" if cls._kind is ObjectKind.TREE else "file"
            raise WorkspaceError(f"{path}: is not a {wanted}")
        opened = repository or Repository.default()
        captured = opened.keep(place)
        return cls(str(captured.digest), captured.size, opened.relative(place), repository=repository)

    @classmethod
    def from_digest(
        cls,
        digest: str,
        relpath: str | os.PathLike[str] | None = None,
        *,
        repository: Repository | None = None,
    ) -> Self:
        """The snapshot that a digest, or the first seven or more digits of one, stands for.

        It is looked up in the cache, then in the remote. Raises ObjectNotFound, AmbiguousDigest, and ObjectError where
        it is of the other kind.
        """
        opened = repository or Repository.default()
        found = opened.resolve(digest)
        if found.kind is not cls._kind:
            raise ObjectError(f"{digest} is a {found.kind.name.lower()}, not a {cls._kind.name.lower()}")
        place = Path(relpath) if relpath is not None else opened.known_place(found.digest)
        return cls(str(found.digest), opened.size_of(found.digest), place, repository=repository)

    @property
    def name(self) -> str:
        """The last part of the path at which it was taken; empty where that is not known."""
        return self.relpath.name if self.relpath else ""

    @property
    def suffix(self) -> str:
        """The suffix of that name, with its dot."""
        return self.relpath.suffix if self.relpath else ""

    @property
    def has_local_cache(self) -> bool:
        """Whether everything of it is on this machine."""
        return self._repository.has_all(self._digest, self._kind)

    @property
    def is_uploaded(self) -> bool:
        """Whether the default remote has it. Raises RemoteError where that does not answer."""
        return self._repository.is_uploaded(self._digest)

    def upload(self) -> None:
        """Send it to the default remote, with all that is in it. Raises RemoteError."""
        self._repository.upload(self._digest, self._kind)

    def download(self) -> None:
        """Fetch what is not on this machine. Raises ObjectNotFound where the remote does not have it either."""
        self._repository.ensure(self._digest, self._kind)

    def restore_safe(self) -> Path:
        """The path of a read-only copy in the cache. Downloads what is missing; never overwrites anything."""
        raise NotImplementedError

    def restore(self, overwrite: bool | None = None) -> Path:
        """Put it back at its place, as a symbolic link to the read-only copy; returns the path.

        What stands there is replaced with a warning, without one for `overwrite=True`, and not at all for
        `overwrite=False` (WorkspaceError). It is kept first, where the store does not have it, and the warning
        names its digest: nothing is lost.
        """
        place = self._own_place
        if place is None:
            raise WorkspaceError(f"{self.digest[:12]}: its place is not known; say where with restore_at(path)")
        return self.restore_at(self._repository.absolute(place), overwrite)

    def restore_at(self, path: str | os.PathLike[str], overwrite: bool | None = None) -> Path:
        """As `restore`, at another path, relative to the current folder; returns the path."""
        return self._put(self.restore_safe(), path, overwrite)

    def _put(self, source: Path, path: str | os.PathLike[str], overwrite: bool | None) -> Path:
        place = Path(os.path.abspath(path))
        if place.is_symlink() and Path(os.readlink(place)) == source:
            return place
        if os.path.lexists(place):
            self._make_way(place, overwrite)
        put_link(source, place)
        return place

    def _make_way(self, place: Path, overwrite: bool | None) -> None:
        if overwrite is False:
            raise WorkspaceError(f"{place}: exists; pass overwrite=True to replace it")
        kept = self._repository.keep_replaced(place)
        if overwrite is None and kept is not None and str(kept.digest) != self.digest:
            warnings.warn(
                f"{place} was replaced; what was there is kept as {kept.digest}", UserWarning, _callers_level()
            )


@dataclass(frozen=True)
class FileSnapshot(_Snapshot):
    """A file as it was at one moment.

    `digest` is BLAKE3 of its bytes, in 64 hex digits; `content_length` is in bytes; `relpath` is where it stood,
    relative to the workspace or to the directory snapshot that it is in, and `time` when it was taken.
    """

    _kind = ObjectKind.BLOB

    @classmethod
    def snap(cls, path: str | os.PathLike[str], *, repository: Repository | None = None) -> Self:
        """Keep a file as it is now, in the cache as a file of its own.

        Raises WorkspaceError where it does not exist or is a directory, SnapshotError where it cannot be kept.
        """
        taken = super().snap(path, repository=repository)
        taken._repository.path_of(taken._digest)
        return taken

    @property
    def local_cache_path(self) -> Path:
        """The read-only file in the cache. Raises ObjectNotFound where it is not on this machine."""
        return self._repository.cache.path_of(self._digest)

    @overload
    def open(self, mode: Literal["rb"] = ...) -> BinaryIO: ...
    @overload
    def open(
        self, mode: Literal["r", "rt"], encoding: str | None = ..., errors: str | None = ..., newline: str | None = ...
    ) -> TextIO: ...
    def open(
        self, mode: str = "rb", encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> BinaryIO | TextIO:
        """The content, for reading bytes, or with mode `r` text (UTF-8 unless `encoding` says otherwise).

        It is fetched where it is not on this machine. Raises ObjectNotFound, RemoteError.
        """
        refuse_writing(mode)
        return in_mode(self._repository.open_blob(self._digest), mode, encoding, errors, newline)

    def read_bytes(self) -> bytes:
        """All of the content; fetched where it is not on this machine."""
        with self.open() as file:
            return file.read()

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        """All of the content as text, in UTF-8 unless `encoding` says otherwise."""
        with self.open("r", encoding, errors) as file:
            return file.read()

    def is_file(self) -> bool:
        """True."""
        return True

    def is_dir(self) -> bool:
        """False."""
        return False

    def iterdir(self) -> Iterator[FileSnapshot | DirectorySnapshot]:
        """Raises NotADirectoryError."""
        fail(errno.ENOTDIR, self.relpath or self.digest)

    def joinpath(self, *parts: str | os.PathLike[str]) -> FileSnapshot | DirectorySnapshot:
        """Itself; with `parts`, what is no file and no directory, and cannot be read: NotADirectoryError."""
        if not parts:
            return self
        above = PurePosixPath(self.relpath or self.digest)
        return cast(FileSnapshot, Nothing(above.joinpath(*parts), errno.ENOTDIR))

    def __truediv__(self, part: str | os.PathLike[str]) -> FileSnapshot | DirectorySnapshot:
        return self.joinpath(part)

    def restore_safe(self) -> Path:
        """The path of the read-only file in the cache."""
        return self._repository.path_of(self._digest)


@dataclass(frozen=True)
class DirectorySnapshot(_Snapshot, Mapping[str, "FileSnapshot | DirectorySnapshot"]):
    """A directory as it was at one moment.

    `digest` names all that is in it (section 3 of objects_spec.md), and `content_length` is the bytes of all its files.

    It is a mapping whose keys are the paths of the files in it, with `/`; indexing takes the paths of directories, too.
    `/` goes from a directory to what is in it, as with paths. Only trees are fetched to look around.
    """

    _kind = ObjectKind.TREE

    @property
    def local_cache_path(self) -> Path:
        """A read-only directory under the cache. Raises ObjectNotFound where something is not on this machine."""
        return self._repository.read_only_tree(self._digest)

    @property
    def files(self) -> tuple[FileSnapshot, ...]:
        """Every file, `relpath` being its path inside the directory; only trees are fetched for this."""
        return tuple(self._file(path, entry) for path, entry in self._walk())

    def __getitem__(self, path: str) -> FileSnapshot | DirectorySnapshot:
        found = self._repository.entry_at(self._digest, os.fsencode(path))
        if found is None:
            raise KeyError(path)
        if Path(path) == Path():
            return self
        if found.kind is EntryKind.TREE:
            inner = self._place(path)
            return DirectorySnapshot(str(found.digest), found.size, Path(path), self.time, inner, self.repository)
        return self._file(path, found)

    def __iter__(self) -> Iterator[str]:
        return (path for path, _ in self._walk())

    def __len__(self) -> int:
        return sum(1 for _ in self._walk())

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self._repository.entry_at(self._digest, os.fsencode(path)) is not None

    def is_file(self) -> bool:
        """False."""
        return False

    def is_dir(self) -> bool:
        """True."""
        return True

    def iterdir(self) -> Iterator[FileSnapshot | DirectorySnapshot]:
        """The files and directories in this one. A link that leads to nothing in it is left out."""
        for name in self._repository.contents.children(self._digest):
            found = self.get(os.fsdecode(name))
            if found is not None:
                yield found

    def joinpath(self, *parts: str | os.PathLike[str]) -> FileSnapshot | DirectorySnapshot:
        """What is at a path in it; where nothing is, what is no file and no directory, as with paths.

        Reading that raises FileNotFoundError.
        """
        path = "/".join(os.fspath(part) for part in parts)
        found = self.get(path)
        return cast(FileSnapshot, Nothing(PurePosixPath(path))) if found is None else found

    def __truediv__(self, part: str | os.PathLike[str]) -> FileSnapshot | DirectorySnapshot:
        return self.joinpath(part)

    def open(self, mode: str = "rb", *_: object, **__: object) -> NoReturn:
        """Raises IsADirectoryError."""
        fail(errno.EISDIR, self.relpath or self.digest)

    def read_bytes(self) -> NoReturn:
        """Raises IsADirectoryError."""
        self.open()

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> NoReturn:
        """Raises IsADirectoryError."""
        self.open()

    def _walk(self) -> Iterator[tuple[str, TreeEntry]]:
        for path, entry in self._repository.walk(self._digest):
            if entry.kind in (EntryKind.FILE, EntryKind.EXECUTABLE):
                yield os.fsdecode(path), entry

    def _place(self, path: str) -> Path | None:
        above = self._own_place
        return above / PurePosixPath(path) if above else None

    def _file(self, path: str, entry: TreeEntry) -> FileSnapshot:
        return FileSnapshot(str(entry.digest), entry.size, Path(path), self.time, self._place(path), self.repository)

    def restore_safe(self, include: Include | None = None) -> Path:
        """The path of a read-only directory under the cache; with `include`, of one with a part of the files."""
        return self._repository.read_only_tree(self._digest, _wanted(include), fetch=True)

    def restore_at(
        self, path: str | os.PathLike[str], overwrite: bool | None = None, include: Include | None = None
    ) -> Path:
        """As `restore`, at another path; with `include`, a part of the files, fetched without the rest."""
        if include is None:
            return super().restore_at(path, overwrite)
        return self._put(self.restore_safe(include), path, overwrite)


def restore(
    snapshot: FileSnapshot | DirectorySnapshot | str,
    path: str | os.PathLike[str] | None = None,
    overwrite: bool | None = None,
) -> Path:
    """Restore a snapshot, or what a digest stands for, at `path` or at its own place; returns the path.

    It becomes a symbolic link to the read-only copy in the cache; `overwrite` is that of `FileSnapshot.restore`.
    Raises ObjectNotFound, AmbiguousDigest, and WorkspaceError where it has no place or may not replace what is there.
    """
    if isinstance(snapshot, str):
        kind = Repository.default().resolve(snapshot).kind
        cls = DirectorySnapshot if kind is ObjectKind.TREE else FileSnapshot
        snapshot = cls.from_digest(snapshot)
    return snapshot.restore(overwrite) if path is None else snapshot.restore_at(path, overwrite)
