"""A folder in the cache that is one process's own, until it is removed, or its process dies."""

from __future__ import annotations

import errno
import os
import secrets
import threading
from pathlib import Path

from hitsave.cache.files import LocksUnsupported, remove_tree, try_lock
from hitsave.errors import CacheError

_LOCK_NAME = "lock"


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
                    self._made = _make_locked(self._parent)
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


def _make_locked(parent: Path) -> tuple[Path, int | None]:
    """A new folder, and the lock that keeps a collection from taking it for a dead process's."""
    parent.mkdir(exist_ok=True)
    while True:
        folder = parent / secrets.token_hex(8)
        folder.mkdir()
        try:
            lock = try_lock(os.fspath(folder / _LOCK_NAME))
        except LocksUnsupported:
            return folder, None
        except FileNotFoundError:
            continue
        # A collection may have come by between the making and the locking, and taken the folder for a dead one's.
        if lock is not None:
            if (folder / _LOCK_NAME).exists():
                return folder, lock
            os.close(lock)
