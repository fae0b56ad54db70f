"""A recorded directory as a read-only file system of the machine, by FUSE. What is read comes then, and is not kept.

Reads give verified bytes or an error: what is damaged, or cannot be had, is EIO, with a line that says which file and
why. Names are bytes. Times are all zero, and owners are whoever mounts, since a digest names neither. What is kept in
memory is bounded by `hitsave.contents`, and by a small buffer for each open file.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import signal
import stat
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

from hitsave.contents import Contents
from hitsave.errors import HitsaveError, MountError, ObjectError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import decode_tree
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.repository import Repository

try:
    from mfusepy import FUSE, FuseOSError, Operations
except ImportError:
    raise MountError("to mount, run: pip install 'hitsave[mount]' (mfusepy is missing)") from None
except OSError as error:
    raise MountError(f"libfuse is missing ({error}); install your system's package fuse3, on macOS macFUSE") from None

_DEVICE = Path("/dev/fuse")
_BLOCK = 4096
_MODES = {
    EntryKind.TREE: stat.S_IFDIR | 0o555,
    EntryKind.FILE: stat.S_IFREG | 0o444,
    EntryKind.EXECUTABLE: stat.S_IFREG | 0o555,
    EntryKind.SYMLINK: stat.S_IFLNK | 0o777,
}

_Answer = TypeVar("_Answer")
#: Takes a line about what went wrong.
Say = Callable[[str], None]


def mount(repository: Repository, name: str, place: Path, say: Say, mounted: Callable[[], None]) -> None:
    """Mount what a name stands for, until Ctrl-C, SIGTERM, or somebody unmounts it; `mounted` is called when it is.

    Raises MountError, and as `Repository.resolve`.
    """
    named = repository.resolve(name)
    if named.kind is not ObjectKind.TREE:
        raise ObjectError(f"{name} is no directory; 'hitsave cat {name}' prints a file")
    _check(place)
    tree = decode_tree(repository.load(named.digest))
    root = TreeEntry(b"", EntryKind.TREE, named.digest, tree.size, tree.files)
    # libfuse unmounts at signals, unless somebody else listens to them.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    try:
        FUSE(
            RecordedTree(repository.contents, root, say, mounted),
            os.fspath(place),
            foreground=True,
            encoding="utf-8",
            errors="surrogateescape",
            ro=True,
            default_permissions=True,
            fsname=f"hitsave:{named.digest.short}",
            subtype="hitsave",
        )
    except RuntimeError as error:
        raise MountError(f"{place}: cannot be mounted (FUSE says {error.args[0] if error.args else error})") from None


def _check(place: Path) -> None:
    """Tell what is in the way, better than FUSE does. Raises MountError."""
    if not place.is_dir():
        raise MountError(f"{place}: is no folder; make an empty one to mount at")
    if any(place.iterdir()):
        raise MountError(f"{place}: is not empty; name an empty folder to mount at")
    if sys.platform == "linux":
        if not _DEVICE.exists():
            raise MountError(f"{_DEVICE} is missing: this system, or container, has no FUSE")
        if not (shutil.which("fusermount3") or shutil.which("fusermount")):
            raise MountError("fusermount is missing; install your system's package fuse3")


class _Opened(NamedTuple):
    """An open file, read by one thread at a time."""

    file: BinaryIO
    lock: threading.Lock


class RecordedTree(Operations):  # type: ignore[misc]
    """What FUSE asks. Paths are absolute, with names that are not UTF-8 as `os.fsdecode` makes them."""

    use_ns = True

    def __init__(self, contents: Contents, root: TreeEntry, say: Say, mounted: Callable[[], None]) -> None:
        self._contents = contents
        self._root = root
        self._say = say
        self._mounted = mounted
        self._opened: dict[int, _Opened] = {}
        self._numbers = itertools.count(1)

    def init(self, path: str) -> None:
        """It is mounted."""
        self._mounted()

    # -- what is there

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """Kind, rights and size."""
        entry = self._entry(path)
        is_folder = entry.kind is EntryKind.TREE
        return {
            "st_mode": _MODES[entry.kind],
            "st_nlink": 2 if is_folder else 1,
            "st_size": 0 if is_folder else entry.size,
            "st_blocks": 0 if is_folder else -(-entry.size // 512),
            "st_uid": os.getuid(),
            "st_gid": os.getgid(),
            "st_atime": 0,
            "st_mtime": 0,
            "st_ctime": 0,
        }

    def readdir(self, path: str, fh: int) -> list[str]:
        """The names in a directory."""
        entry = self._entry(path)
        if entry.kind is not EntryKind.TREE:
            raise FuseOSError(errno.ENOTDIR)
        return [".", "..", *map(_text, self._children(path, entry.digest))]

    def readlink(self, path: str) -> str:
        """Where a symbolic link leads."""
        entry = self._entry(path)
        if entry.kind is not EntryKind.SYMLINK:
            raise FuseOSError(errno.EINVAL)
        return _text(self._told(path, lambda: self._contents.load(entry.digest)))

    def statfs(self, path: str) -> dict[str, int]:
        """How much there is in all, and that nothing is free."""
        blocks, files = -(-self._root.size // _BLOCK), self._root.files
        return {"f_bsize": _BLOCK, "f_frsize": _BLOCK, "f_blocks": blocks, "f_files": files, "f_namemax": 255}

    def _entry(self, path: str) -> TreeEntry:
        found = self._root
        for name in path.encode("utf-8", "surrogateescape").split(b"/"):
            if name:
                if found.kind is not EntryKind.TREE:
                    raise FuseOSError(errno.ENOTDIR)
                inner = self._children(path, found.digest).get(name)
                if inner is None:
                    raise FuseOSError(errno.ENOENT)
                found = inner
        return found

    def _children(self, path: str, tree: Digest) -> dict[bytes, TreeEntry]:
        return dict(self._told(path, lambda: self._contents.children(tree)))

    # -- content

    def open(self, path: str, flags: int) -> int:
        """Open a file for reading."""
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise FuseOSError(errno.EROFS)
        entry = self._entry(path)
        file = self._told(path, lambda: self._contents.open(entry.digest))
        number = next(self._numbers)
        self._opened[number] = _Opened(file, threading.Lock())
        return number

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Bytes of a file; no more of it is read than the chunks in which they lie."""
        opened = self._opened[fh]

        def read() -> bytes:
            with opened.lock:
                opened.file.seek(offset)
                return opened.file.read(size)

        return self._told(path, read)

    def release(self, path: str, fh: int) -> int:
        """A file is closed."""
        with suppress(HitsaveError, OSError):
            self._opened.pop(fh).file.close()
        return 0

    def _told(self, path: str, action: Callable[[], _Answer]) -> _Answer:
        """What `action` gives. What goes wrong is said, and is EIO."""
        try:
            return action()
        except (HitsaveError, OSError) as error:
            self._say(f"{path.lstrip('/')}: {error}")
            raise FuseOSError(errno.EIO) from None


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
