"""Folders in which working files are made before they get their names.

They lie beside the place where something is to be, so that a rename brings it there. Each is one process's own; git
never sees anything of it. What a killed process left is removed by whoever next writes in the same place.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from hitsave.cache.files import remove_tree
from hitsave.cache.ownfolder import make_locked, remove_unless_locked
from hitsave.snapshots.listing import paths_beneath

#: How the names begin of what holds these folders.
STAGING_PREFIX = ".hitsave-tmp-"
#: Holds the folders of one user's processes, and nothing else; others could not write in it.
STAGING = f"{STAGING_PREFIX}{getattr(os, 'getuid', lambda: 0)()}"


@contextlib.contextmanager
def staging_in(folder: Path) -> Iterator[Path]:
    """A new folder beneath an existing one; removed at the end, with what is still in it. Raises OSError."""
    remove_dead(folder)
    own, lock = make_locked(folder / STAGING, out_of_git=True)
    try:
        yield own
    finally:
        if lock is not None:
            os.close(lock)
        _remove(own)
        with contextlib.suppress(OSError):  # Another one is in it.
            os.rmdir(folder / STAGING)


def remove_dead(folder: Path) -> None:
    """Remove what killed processes left beneath a folder. What cannot be removed stays."""
    with contextlib.suppress(OSError):
        for item in list(os.scandir(folder / STAGING)):
            with contextlib.suppress(OSError):
                _remove_dead(Path(item.path))
        os.rmdir(folder / STAGING)


def _remove_dead(own: Path) -> None:
    try:
        remove_unless_locked(own)
    except PermissionError:  # The lock was ours.
        make_removable(os.fsencode(own))
        remove_unless_locked(own)


def _remove(own: Path) -> None:
    """What cannot be removed, or somebody else has begun to, is as that of a dead process."""
    with contextlib.suppress(OSError):
        try:
            remove_tree(os.fspath(own))
        except PermissionError:
            make_removable(os.fsencode(own))
            remove_tree(os.fspath(own))


def make_removable(folder: bytes) -> None:
    """Give a read-only directory tree back its write permissions."""
    os.chmod(folder, 0o755)
    for path, is_directory in paths_beneath(folder):
        if is_directory:
            os.chmod(os.path.join(folder, path), 0o755)
