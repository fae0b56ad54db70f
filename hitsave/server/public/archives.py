"""Directories as archives, made while they are sent: nothing is stored, and memory is bounded."""

from __future__ import annotations

import stat
import struct
import tarfile
import threading
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from io import RawIOBase
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

import zstandard

from hitsave.objects.digest import Digest
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.server.streaming import Torn
from hitsave.snapshots.capture import stays_inside

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_PIECE = 1 << 20
#: What is sent at once has more bytes, but for the last: who takes it is not kept waiting, and small files are many.
_LEAST = 16 << 10
_FILE_MODE, _EXECUTABLE_MODE, _FOLDER_MODE = 0o644, 0o755, 0o755
#: The first time that zip can tell, and one that is near the last.
_ZIP_EPOCH, _ZIP_END = 315_532_800, 4_354_819_000
#: The most bytes that a path may have, and all paths in archives that are being made; each entry takes some besides.
_LONGEST_PATH = 4096
_MOST_LISTED = 1 << 30
_OF_ENTRY = 512

#: Every entry of a directory with its path, directories before what they hold.
Entries = Iterable[tuple[bytes, TreeEntry]]


class Content(NamedTuple):
    """Where content comes from: a blob as a file, and a small one whole, as links are.

    `above` directories of the snapshot are above what goes into the archive; links may lead there, and no further.
    """

    open: Callable[[Digest], BinaryIO]
    load: Callable[[Digest], bytes]
    above: int = 0

    def target(self, path: bytes, link: Digest) -> bytes:
        """Where the link at a path leads. Raises Torn where that is out of the snapshot: strangers unpack this."""
        leads = self.load(link)
        if not stays_inside(leads, self.above + path.count(b"/")):
            raise Torn("this cannot be put into an archive: a symbolic link leads out of it")
        return leads


class _Outlet(RawIOBase):
    """Takes what an archive is made of, for whoever sends it on."""

    def __init__(self) -> None:
        self._pieces = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: ReadableBuffer, /) -> int:
        self._pieces += memoryview(content).cast("B")
        return memoryview(content).nbytes

    def take(self, least: int = _LEAST) -> bytes:
        """What came since it was asked last; nothing as long as that is little: small files have many small pieces."""
        if len(self._pieces) < least:
            return b""
        content = bytes(self._pieces)
        self._pieces.clear()
        return content


def tar_zst(entries: Entries, content: Content, top: str, modified: int) -> Iterator[bytes]:
    """A compressed tar archive, in pieces. All lies in a folder `top`; `modified` is in seconds since 1970."""
    outlet = _Outlet()
    with (
        zstandard.ZstdCompressor(level=3).stream_writer(cast(BinaryIO, outlet), closefd=False) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive,
    ):
        archive.addfile(_tar_info(top, TreeEntry(b"", EntryKind.TREE, Digest(bytes(32)), 0), modified))
        for path, entry in entries:
            info = _tar_info(f"{top}/{path.decode('utf-8', 'surrogateescape')}", entry, modified)
            if entry.kind is EntryKind.SYMLINK:
                info.linkname = content.target(path, entry.digest).decode("utf-8", "surrogateescape")
            if not info.isreg():
                archive.addfile(info)
                archive.getmembers().clear()  # It would keep all of them until its end.
            else:
                yield from _tar_file(archive, info, content.open(entry.digest), outlet)
            if piece := outlet.take():
                yield piece
    yield outlet.take(0)


def _tar_info(name: str, entry: TreeEntry, modified: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mtime = modified
    info.mode = _mode(entry.kind)
    if entry.kind is EntryKind.TREE:
        info.type = tarfile.DIRTYPE
    elif entry.kind is EntryKind.SYMLINK:
        info.type = tarfile.SYMTYPE
    else:
        info.size = entry.size
    return info


def _tar_file(archive: tarfile.TarFile, info: tarfile.TarInfo, file: BinaryIO, outlet: _Outlet) -> Iterator[bytes]:
    """One file, sent on while it is read; `addfile` would read all of it first."""
    with file:
        header = info.tobuf(archive.format, "utf-8", "surrogateescape")
        target = archive.fileobj
        assert target is not None
        target.write(header)
        archive.offset += len(header)
        rest = info.size
        while rest:
            piece = file.read(min(_PIECE, rest))
            if not piece:
                raise EOFError(info.name)
            target.write(piece)
            rest -= len(piece)
            if made := outlet.take():
                yield made
        padding = -info.size % tarfile.BLOCKSIZE
        target.write(bytes(padding))
        archive.offset += info.size + padding


def zip_stored(entries: Entries, content: Content, top: str, modified: int) -> Iterator[bytes]:
    """A zip archive, in pieces, whose files are not compressed, as `tar_zst` otherwise. Links are kept as Unix does.

    Names have to be UTF-8: two that are not would become one.
    """
    outlet = _Outlet()
    moment = datetime.fromtimestamp(min(max(modified, _ZIP_EPOCH), _ZIP_END), UTC).timetuple()[:6]
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for path, entry in entries:
            folder = entry.kind is EntryKind.TREE
            name = f"{top}/{path.decode()}" + ("/" if folder else "")
            info = zipfile.ZipInfo(name, moment)
            info.external_attr = (_type(entry.kind) | _mode(entry.kind)) << 16 | (0x10 if folder else 0)
            if folder or entry.kind is EntryKind.SYMLINK:
                archive.writestr(info, b"" if folder else content.target(path, entry.digest))
            else:
                info.file_size = entry.size
                yield from _zip_file(archive, info, content.open(entry.digest), outlet)
            if piece := outlet.take():
                yield piece
    yield outlet.take(0)


def _zip_file(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: BinaryIO, outlet: _Outlet) -> Iterator[bytes]:
    with file, archive.open(info, "w") as target:
        while piece := file.read(_PIECE):
            target.write(piece)
            if made := outlet.take():
                yield made


def _mode(kind: EntryKind) -> int:
    if kind is EntryKind.TREE:
        return _FOLDER_MODE
    return _EXECUTABLE_MODE if kind is EntryKind.EXECUTABLE else _FILE_MODE


def _type(kind: EntryKind) -> int:
    if kind is EntryKind.TREE:
        return stat.S_IFDIR
    return stat.S_IFLNK if kind is EntryKind.SYMLINK else stat.S_IFREG


def archive_pieces(kind: str, entries: Entries, content: Content, top: str, modified: int) -> Iterator[bytes]:
    """An archive by the ending of its name. Raises Torn where it cannot go on: what is stored may lie about itself."""
    try:
        with closing(_bounded(entries)) as bounded:
            yield from ARCHIVES[kind](bounded, content, top, modified)
    except (EOFError, ValueError, RuntimeError, OverflowError, struct.error, zipfile.LargeZipFile) as error:
        raise Torn(f"this cannot be put into an archive: {error}") from error


class _Lists:
    """What the lists of all archives take that are being made: a zip archive ends with a list of all that is in it."""

    def __init__(self) -> None:
        self._taken = 0
        self._changing = threading.Lock()

    def take(self, size: int) -> None:
        """Note so many bytes more. Raises Torn where they are too many; a negative size gives back."""
        with self._changing:
            if size > 0 and self._taken + size > _MOST_LISTED:
                raise Torn("the archives that are being made have too many entries; this one stops here")
            self._taken += size


_lists = _Lists()


def _bounded(entries: Entries) -> Generator[tuple[bytes, TreeEntry], None, None]:
    """The same entries, unless their paths would fill the memory."""
    total = 0
    try:
        for path, entry in entries:
            if len(path) > _LONGEST_PATH:
                raise Torn(f"there is a path of more than {_LONGEST_PATH} bytes, which archives do not hold here")
            _lists.take(len(path) + _OF_ENTRY)
            total += len(path) + _OF_ENTRY
            yield path, entry
    finally:
        _lists.take(-total)


#: Archives by the endings of their names.
ARCHIVES: dict[str, Callable[[Entries, Content, str, int], Iterator[bytes]]] = {
    "tar.zst": tar_zst,
    "zip": zip_stored,
}
MEDIA_TYPES = {"tar.zst": "application/zstd", "zip": "application/zip"}
