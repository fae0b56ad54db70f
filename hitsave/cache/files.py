"""Files of the cache as the operating system sees them: locks, syncing, read-only copies.

Nothing here knows what an object is. A file is written in a folder of its own on the same file system, synced, and
renamed into place; a name in the cache never shows half a file.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

READ_ONLY = 0o444
#: Above this many files one sync of the whole file system is quicker than one for each.
_SYNC_EACH_UP_TO = 32
_COPY_STEP = 16 << 20
_FICLONE = 0x40049409

_NETWORK_TYPES = frozenset(
    (
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "lustre",
        "gpfs",
        "beegfs",
        "ceph",
        "9p",
        "afs",
        "fuse.sshfs",
        "glusterfs",
    )
)

if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int) -> None:
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


class LocksUnsupported(OSError):
    """The file system has no locks, so that nobody can tell whether a lock's owner lives."""


def try_lock(path: str) -> int | None:
    """Lock a file, which is made where it is missing; None where a living process holds it.

    The operating system lets go when the process ends, however it ends. Returns the descriptor that holds the lock.
    Raises LocksUnsupported where the file system has none.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(fd)
    except OSError as error:
        os.close(fd)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            return None
        if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise LocksUnsupported(error.errno, error.strerror) from None
        raise
    return fd


def sync_path(path: str | Path) -> None:
    """Make one file or folder durable. Folders cannot be synced on Windows, where their entries are at once."""
    if sys.platform == "win32" and os.path.isdir(path):
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_all(paths: Sequence[str]) -> None:
    """Make many files and folders of one file system durable, in one go where they are many."""
    if len(paths) > _SYNC_EACH_UP_TO and sys.platform == "linux" and _sync_file_system(paths[0]):
        return
    for path in paths:
        sync_path(path)


def _sync_file_system(path: str) -> bool:
    try:
        syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return False
    fd = os.open(path, os.O_RDONLY)
    try:
        return bool(syncfs(fd) == 0)
    finally:
        os.close(fd)


def clone_file(source: int, target: int) -> bool:
    """Share the source's blocks with the target (a reflink); False where the file system cannot."""
    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def copy_steps(source: int, target: int) -> Iterator[int]:
    """Copy from the descriptors' positions to the end; yields the bytes of each step, after they are written."""
    kernel = hasattr(os, "copy_file_range")
    while True:
        if kernel:
            try:
                done = os.copy_file_range(source, target, _COPY_STEP)
            except OSError as error:
                if error.errno not in (
                    errno.EXDEV,
                    errno.EINVAL,
                    errno.ENOSYS,
                    errno.EOPNOTSUPP,
                    errno.EPERM,
                ):
                    raise
                kernel = False
                continue
        else:
            content = os.read(source, 1 << 20)
            write_all(target, content)
            done = len(content)
        if done == 0:
            return
        yield done


def write_all(fd: int, content: bytes | bytearray | memoryview) -> None:
    """Write everything, however often the system takes a part only."""
    done = os.write(fd, content)
    if done < len(content):
        view = memoryview(content)
        while done < len(view):
            done += os.write(fd, view[done:])


def install(temporary: str, target: str) -> list[str]:
    """Rename a finished file to its name, over what may lie there; the folders that have to be synced after it."""
    folder = os.path.dirname(target)
    try:
        os.replace(temporary, target)
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
        os.replace(temporary, target)
        return [folder, os.path.dirname(folder)]
    return [folder]


def make_empty(path: Path) -> None:
    """Make a file with nothing in it, where there is none, with the rights that the umask leaves.

    For SQLite, which gives no rights to a group; the files beside its own then have the same. Nothing is opened under
    the final name, since closing a database's file takes the locks of all others in the process with it.
    """
    if path.exists():
        return
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    with contextlib.suppress(OSError):
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        try:
            os.link(temporary, path)
        finally:
            os.unlink(temporary)


def remove_tree(path: str) -> None:
    """Remove a folder and all beneath it, however deep; what is gone already is no error."""
    folders = [path]
    for folder in folders:  # Grows while it is read: each folder comes before what is in it.
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as listing:
            for item in list(listing):  # Of what comes meanwhile, nothing is taken away.
                if item.is_dir(follow_symlinks=False):
                    folders.append(item.path)
                else:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(item.path)
    for folder in reversed(folders):
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(folder)


def is_network_folder(path: Path) -> bool:
    """Whether a folder lies on a network file system, as far as the system tells."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return False
    real = os.path.realpath(path)
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        point = fields[4].encode().decode("unicode_escape", errors="replace")
        if len(point) >= len(best) and (real == point or real.startswith(point.rstrip("/") + "/")):
            best, kind = point, fields[fields.index("-") + 1]
    return kind in _NETWORK_TYPES
