"""Ways to make a working file out of a file of the cache: share its blocks, share the file, point to it, copy it."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable, Sequence

from hitsave.cache.files import clone_file, copy_steps
from hitsave.errors import ConfigError, SnapshotError

KINDS = ("reflink", "hardlink", "symlink", "copy")


def place_file(source: str, target: bytes, mode: int, kinds: Sequence[str]) -> str:
    """Make `target`, which must not exist, by the first of `kinds` that works there; says which it was.

    `mode` is for a file of its own (reflink, copy). Raises SnapshotError where none works, OSError.
    """
    for kind in kinds:
        make = _MAKERS.get(kind)
        if make is None:
            raise ConfigError(f"{kind!r} is not a kind of link; there are {', '.join(KINDS)}")
        if make(source, target, mode):
            return kind
    raise SnapshotError(f"{os.fsdecode(target)}: none of {', '.join(kinds)} works on this file system; allow 'copy'")


def _reflink(source: str, target: bytes, mode: int) -> bool:
    if sys.platform == "darwin":
        return _clone_on_mac(source, target, mode)
    return _with_new_file(source, target, mode, clone_file)


def _clone_on_mac(source: str, target: bytes, mode: int) -> bool:
    try:
        cloned = bool(ctypes.CDLL(None, use_errno=True).clonefile(os.fsencode(source), target, 0) == 0)
    except (OSError, AttributeError):
        return False
    if cloned:
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(target, mode & ~umask)
    return cloned


def _hardlink(source: str, target: bytes, mode: int) -> bool:
    try:
        os.link(os.fsencode(source), target)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES):
            return False
        raise
    return True


def _symlink(source: str, target: bytes, mode: int) -> bool:
    try:
        os.symlink(os.fsencode(source), target)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.ENOTSUP):
            return False
        raise
    return True


def _copy(source: str, target: bytes, mode: int) -> bool:
    def copy(from_fd: int, to_fd: int) -> bool:
        for _ in copy_steps(from_fd, to_fd):
            pass
        return True

    return _with_new_file(source, target, mode, copy)


def _with_new_file(source: str, target: bytes, mode: int, fill: Callable[[int, int], bool]) -> bool:
    binary = getattr(os, "O_BINARY", 0)
    from_fd = os.open(source, os.O_RDONLY | binary)
    try:
        to_fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | binary, mode)
        try:
            done = fill(from_fd, to_fd)
        finally:
            os.close(to_fd)
    finally:
        os.close(from_fd)
    if not done:
        os.unlink(target)
    return done


_MAKERS: dict[str, Callable[[str, bytes, int], bool]] = {
    "reflink": _reflink,
    "hardlink": _hardlink,
    "symlink": _symlink,
    "copy": _copy,
}
