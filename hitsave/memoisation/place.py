"""Where results are kept: the cache, and the remotes, of the project that a function belongs to.

The project is that of the file in which the function stands, whatever the current folder is; a function that was typed
in belongs to the current folder. Settings are looked at again when one of the variables that name a store changes.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hitsave.cache.forking import UNDIVIDED
from hitsave.cache.store import Cache
from hitsave.config import Config, load
from hitsave.objects.refs import quote_name

if TYPE_CHECKING:
    from hitsave.memoisation.leases.leases import Leases
    from hitsave.repository import Repository

_VARIABLES = ("HITSAVE_LOCAL_CACHE_DIR", "HITSAVE_REMOTE", "HITSAVE_NO_CLOUD", "HITSAVE_CONFIG_DIR")
_COMMIT_SECONDS = 2.0

_places: dict[tuple[object, ...], Place] = {}
_leases: dict[Path, Leases] = {}
_lock = threading.RLock()


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


UNDIVIDED.renew(_renew_lock)


class Place:
    """An open cache, and what goes with it. What only a run needs is opened when it is first asked for."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.cache = Cache.open(config.cache_dir)
        self._commit = ("", -_COMMIT_SECONDS)

    @functools.cached_property
    def repository(self) -> Repository:
        """The repository of the project, on the same cache."""
        from hitsave.progress import Silent
        from hitsave.repository import Repository

        return Repository(self.config, self.cache, Silent())

    @functools.cached_property
    def owner(self) -> str:
        """The project's name as the index of evaluations has it; nothing is opened for it."""
        return quote_name(self.config.project.encode(), slash=True)

    @property
    def project(self) -> str:
        """As `owner`; what the project owned under a former name has followed."""
        return self.repository.project.quoted

    @functools.cached_property
    def leases(self) -> Leases:
        """The leases of the cache, one set for a process."""
        from hitsave.memoisation.leases.leases import Leases

        with _lock:
            if self.cache.path not in _leases:
                _leases[self.cache.path] = Leases(self.cache.path / "leases.db")
            return _leases[self.cache.path]

    def git_commit(self) -> str:
        """The commit that is checked out; looked at again after a while, since git takes its time."""
        from hitsave.snapshots.git import head_commit

        commit, looked = self._commit
        now = time.monotonic()
        if now - looked > _COMMIT_SECONDS:
            workspace = self.repository.workspace
            commit = head_commit(workspace.root) if workspace.in_git else ""
            self._commit = (commit, now)
        return commit

    def path_of(self, file: Path | None) -> str:
        """A file as refs have it, `PROJECT/PATH`; that of the workspace itself for what was typed in."""
        project, root = self.repository.project, self.repository.workspace.root
        return project.path_in(file or root) or project.path_in(root)


def place_for(start: Path) -> Place:
    """The place for functions of a folder. Raises ConfigError, CacheError."""
    get = os.environ.get
    key = (os.getpid(), start, get(_VARIABLES[0]), get(_VARIABLES[1]), get(_VARIABLES[2]), get(_VARIABLES[3]))
    found = _places.get(key)
    if found is None:
        with UNDIVIDED, _lock:
            found = _places.get(key)
            if found is None:
                found = _places[key] = Place(load(start, os.environ))
    return found
