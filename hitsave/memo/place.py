"""Where results are kept: the cache, and the remotes, of the project that a function belongs to.

The project is that of the file in which the function stands, whatever the current folder is; a function that was typed
in belongs to the current folder. Settings are looked at again when one of the variables that name a store changes.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
from pathlib import Path

from hitsave.cache.store import Cache
from hitsave.memo.leases import Leases
from hitsave.repository import Repository
from hitsave.snapshots.git import head_commit

_VARIABLES = ("HITSAVE_LOCAL_CACHE_DIR", "HITSAVE_REMOTE", "HITSAVE_NO_CLOUD", "HITSAVE_CONFIG_DIR")

_COMMIT_SECONDS = 2.0

_places: dict[tuple[object, ...], Place] = {}
_leases: dict[str, Leases] = {}
_lock = threading.Lock()


class Place:
    """An open repository, and what goes with it."""

    def __init__(self, repository: Repository, leases: Leases) -> None:
        self.repository = repository
        self.cache: Cache = repository.cache
        self.leases = leases
        self._commit = ("", -_COMMIT_SECONDS)

    def git_commit(self) -> str:
        """The commit that is checked out; looked at again after a while, since git takes its time."""
        commit, looked = self._commit
        now = time.monotonic()
        if now - looked > _COMMIT_SECONDS:
            workspace = self.repository.workspace
            commit = head_commit(workspace.root) if workspace.in_git else ""
            self._commit = (commit, now)
        return commit

    def path_of(self, file: Path | None) -> str:
        """A file as refs have it, `PROJECT/PATH`; that of the workspace itself for what was typed in."""
        project = self.repository.project
        return project.path_in(file or self.repository.workspace.root) or project.path_in(
            self.repository.workspace.root
        )


def place_for(start: Path) -> Place:
    """The place for functions of a folder. Raises ConfigError, CacheError."""
    get = os.environ.get
    key = (os.getpid(), start, get(_VARIABLES[0]), get(_VARIABLES[1]), get(_VARIABLES[2]), get(_VARIABLES[3]))
    found = _places.get(key)
    if found is None:
        with _lock:
            found = _places.get(key)
            if found is None:
                found = _places[key] = _open(start)
    return found


def _open(start: Path) -> Place:
    repository = Repository.open(start)
    folder = os.fspath(repository.cache.path)
    leases = _leases.get(folder)
    if leases is None:
        leases = _leases[folder] = Leases(repository.cache.path / "leases.db")
    return Place(repository, leases)


_warned: set[str] = set()


def warn_once(kind: str, message: str) -> None:
    """Tell the user something once in a process."""
    if kind not in _warned:
        _warned.add(kind)
        warnings.warn(message, UserWarning, stacklevel=2)
