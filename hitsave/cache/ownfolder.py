"""A folder that is one process's own, until it is removed, or its process dies: in the cache, or beside working files.

What tells the living from the dead is a lock on a file in it, which the system lets go of with the process.
"""

from __future__ import annotations

import errno
import os
import secrets
import threading
from pathlib import Path

from hitsave.cache.files import LocksUnsupported, remove_tree, try_lock
from hitsave.errors import CacheError

_LOCK_NAME = "lock"
_GITIGNORE = ".gitignore"


class OwnFolder:
    """Where nobody else looks; made when it is first asked for."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._made: tuple[Path, int | None] | None = None
        self._making = threading.Lock()

    @property
    def path(self) -> Path:
        """The folder. Raises CacheError where nothing can be written."""
        with self._making:
            if self._made is None:
                try:
                    self._made = make_locked(self._parent)
                except OSError as error:
                    if error.errno in (errno.EACCES, errno.EROFS):
                        root = self._parent.parent
                        raise CacheError(f"{root}: the cache cannot be written ({error.strerror})") from None
                    raise
            return self._made[0]

    def remove(self) -> None:
        """Remove it, with what is in it."""
        with self._making:
            made, self._made = self._made, None
        if made is None:
            return
        folder, lock = made
        if lock is not None:
            os.close(lock)
        try:
            remove_tree(os.fspath(folder))
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:  # A collection has just locked it, and removes what is left.
                raise


def make_locked(parent: Path, out_of_git: bool = False) -> tuple[Path, int | None]:
    """A new folder, and the lock that keeps others from taking it for a dead process's; None where there are no locks.

    `parent` is made where it is missing. With `out_of_git`, git sees nothing of the folder from the beginning.
    """
    while True:
        parent.mkdir(exist_ok=True)
        folder = parent / secrets.token_hex(8)
        try:
            folder.mkdir()
            if out_of_git:
                _keep_out_of_git(folder)
            lock = try_lock(os.fspath(folder / _LOCK_NAME))
        except LocksUnsupported:
            return folder, None
        except FileNotFoundError:
            continue
        # Somebody may have come by between the making and the locking, and taken the folder for a dead one's.
        if lock is not None:
            if (folder / _LOCK_NAME).exists():
                if out_of_git:
                    _keep_out_of_git(folder)
                return folder, lock
            os.close(lock)


def _keep_out_of_git(folder: Path) -> None:
    file = folder / _GITIGNORE
    if not file.exists():
        file.write_bytes(b"*\n")


def remove_unless_locked(folder: Path) -> bool:
    """Remove such a folder if its process is dead; whether it was. Where there are no locks, nobody can tell."""
    try:
        fd = try_lock(os.fspath(folder / _LOCK_NAME))
    except (LocksUnsupported, FileNotFoundError):  # Or its owner removed it just now.
        return False
    if fd is None:
        return False
    try:
        remove_tree(os.fspath(folder))
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:  # Its owner had made it just before, and has locked it anew.
            raise
    finally:
        os.close(fd)
    return True
