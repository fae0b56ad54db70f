"""The remotes of one configuration, opened when they are first needed.

Each may be opened twice: patiently, for what has to succeed, and hastily, for lookups of evaluations, which are better
done without than waited for. One that did not answer such a lookup is left alone for a while: each call that finds
nothing would wait for it.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hitsave.config import ENVIRONMENT_REMOTE, Config, RemoteConfig
from hitsave.errors import ConfigError, RemoteUnavailable, suggest
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.opening import check_url, open_transport
from hitsave.remotes.transports.protocol import Transport

#: Seconds for which a remote that did not answer is not asked for evaluations.
_SILENCE = 60.0


def _check(config: Config, remote: RemoteConfig) -> None:
    """Refuse what was mistyped, rather than make a folder of that name. Raises ConfigError, RemoteUnsuitable."""
    url = remote.url
    plain = "://" not in url and os.path.basename(url) == url and url not in (".", "..")
    check_url(url)
    if remote.name != ENVIRONMENT_REMOTE or not plain or (config.workspace / url).is_dir():
        return
    known = [each.name for each in config.remotes if each.name != ENVIRONMENT_REMOTE]
    near = suggest(url, known, f"there are {', '.join(known)}" if known else "none is set")
    raise ConfigError(f"{ENVIRONMENT_REMOTE}: there is no remote {url!r} (a folder of this name is ./{url}){near}")


class Connections:
    """The remotes; `cached` is the folder of this machine's copies of their immutable small files."""

    def __init__(self, config: Config, cached: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._cached = cached
        self._clock = clock
        self._patient: dict[str, Remote] = {}
        self._hasty: dict[str, Remote] = {}
        self._transports: dict[tuple[str, bool], Transport] = {}
        self._answered: dict[str, float] = {}
        #: When remotes did not answer, and why.
        self._silent: dict[str, tuple[float, RemoteUnavailable]] = {}

    def config(self, name: str | None) -> RemoteConfig:
        """The settings of a remote, or of the default one. Raises ConfigError, also where none is to be touched."""
        if self._config.offline:
            raise ConfigError("HITSAVE_NO_CLOUD is set, so no remote is touched")
        return self._config.remote(name)

    def remote(self, name: str | None = None, create: bool = False) -> Remote:
        """A remote by name, or the default one. Raises ConfigError, RemoteError."""
        found = self.config(name)
        remote = self._patient.get(found.name)
        if remote is None:
            hasty, transport = self._hasty.get(found.name), self.transport(found)
            if hasty is not None:
                remote = Remote(transport, hasty.format, self._cached)
            else:
                remote = Remote.open(transport, self._cached, create)
            self._patient[found.name] = remote
        if create:
            remote.probe_once()
        return remote

    def hasty(self, found: RemoteConfig) -> Remote:
        """A remote for lookups. Raises RemoteError."""
        if found.name not in self._hasty:
            self._hasty[found.name] = Remote.open(self.transport(found, hasty=True), self._cached)
        return self._hasty[found.name]

    def awake(self, found: RemoteConfig) -> Remote:
        """As `hasty`, of a remote that has answered lately, or does so now."""
        remote = self.hasty(found)
        if self._clock() >= self._answered.get(found.name, -math.inf) + _SILENCE:
            remote.latest(trusting=True)
        return remote

    def transport(self, remote: RemoteConfig, hasty: bool = False) -> Transport:
        """The way to a remote."""
        key = (remote.name, hasty)
        if key not in self._transports:
            url = remote.url
            _check(self._config, remote)
            url = url if "://" in url else os.fspath(self._config.workspace / Path(url).expanduser())
            self._transports[key] = open_transport(url, hasty=hasty)
        return self._transports[key]

    @contextmanager
    def unless_silent(self, remote: RemoteConfig) -> Iterator[None]:
        """Raise what was raised before where a remote did not answer lately; note it where it does not now."""
        since, silence = self._silent.get(remote.name, (-math.inf, None))
        if silence is not None and self._clock() < since + _SILENCE:
            raise silence
        try:
            yield
        except RemoteUnavailable as error:
            self._silent[remote.name] = (self._clock(), error)
            raise
        self._answered[remote.name] = self._clock()
