"""A full disk: how it is told from other failures, and a spare file that makes room for what frees more.

Even reading the database takes some room, for what SQLite keeps beside it. So a cache sets a megabyte aside as soon as
it takes in as much at once, and gives it up to the commands that delete something.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sqlite3
from pathlib import Path

#: Bytes of the spare file: enough for SQLite's log of a collection.
SPARE = 1 << 20
#: Below that many bytes, what SQLite says of an I/O error is a matter of room.
_LEAST = 256 * 1024
#: So much has to be left besides, or the spare file itself would fill the disk.
_AMPLE = 4 * SPARE
_NAME = "spare"
_ADVICE = "the disk is full; free some MB there, and 'hitsave gc --keep 0' then deletes what nothing owns any more"


def is_full(folder: Path) -> bool:
    """Whether the disk of a folder has hardly a byte left."""
    return _free(folder) < _LEAST


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return _AMPLE


def what_failed(error: sqlite3.Error, folder: Path) -> str:
    """What SQLite could not do, with what helps where there is no room."""
    full = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
    return _ADVICE if full or (isinstance(error, sqlite3.OperationalError) and is_full(folder)) else str(error)


def set_spare_aside(root: Path) -> None:
    """Take room while there is plenty of it."""
    path = root / _NAME
    if path.exists() or _free(root) < _AMPLE:
        return
    temporary = root / "tmp" / f"{_NAME}-{secrets.token_hex(6)}"
    with contextlib.suppress(OSError):
        temporary.write_bytes(os.urandom(SPARE))  # What could be compressed might take no room.
        temporary.replace(path)


def give_up_spare(root: Path) -> None:
    """Make room where there is little."""
    if _free(root) < SPARE:
        with contextlib.suppress(OSError):
            (root / _NAME).unlink()
