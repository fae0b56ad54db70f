"""What to do about a database that is lost: its objects still lie beside it, and nothing says whose they are."""

from __future__ import annotations

import sqlite3
from pathlib import Path

_FOLDERS = ("packs", "indexes", "objects")
_CODES = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def holds_objects(root: Path) -> bool:
    """Whether there are objects in the folder of a cache, with or without a database."""
    return any((root / name).is_dir() and any((root / name).iterdir()) for name in _FOLDERS)


def is_loss(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file is not what it wrote."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _CODES


def describe_loss(database: Path, what: str) -> str:
    """The line about a database of which `what` is wrong, with what helps."""
    root = database.parent
    line = f"{database}: the cache's database {what}"
    if not holds_objects(root):
        return f"{line}; move {root} aside to begin with an empty cache"
    return (
        f"{line}, though the cache holds objects, and 'hitsave fsck --repair' cannot tell whose they are; bring the "
        f"file back, or move {root} aside and run 'hitsave pull', and 'hitsave add' for working files; what was never "
        "pushed is then in the old folder alone"
    )
