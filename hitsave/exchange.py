"""What moves between the cache and the configured remotes, and what need not move because it is here.

Only refs are moved, with what they own. A remote is opened when it is first needed, and none is where `offline` is set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeVar

from hitsave.amounts import count
from hitsave.cache.damage import set_aside_damaged
from hitsave.cache.store import Cache
from hitsave.config import Config, RemoteConfig
from hitsave.errors import (
    ConfigError,
    CorruptObject,
    HitsaveError,
    ObjectError,
    ObjectNotFound,
    RemoteCorrupt,
    RemoteError,
    RemoteUnsuitable,
)
from hitsave.maintenance.collect import forgotten
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.refs import Namespace, Ref
from hitsave.ownership import author
from hitsave.progress import Progress
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.commits.suitable import refuse_strangers
from hitsave.remotes.connections import Connections
from hitsave.remotes.reading import evaluations
from hitsave.remotes.reading.fetch import NO_SIZES, Fetched, fetch
from hitsave.remotes.reading.reader import Reader, Shelf
from hitsave.remotes.transports.protocol import Transport
from hitsave.remotes.writing import push as pushing
from hitsave.snapshots.datasets import is_complete
from hitsave.snapshots.layout import Include
from hitsave.snapshots.readonly import missing_here

#: The folder of the cache where immutable small files of remotes are kept.
_REMOTES_FOLDER = "remotes"
#: Evaluations that are in memory together.
_PULLED_AT_ONCE = 20_000

_Used = TypeVar("_Used")


class PulledEvaluations(NamedTuple):
    """What a pull of evaluations brought: how many, and bytes of packs received."""

    new: int = 0
    received: int = 0


class Exchange:
    """One cache and the remotes of one configuration."""

    def __init__(self, config: Config, cache: Cache, progress: Progress) -> None:
        self._config = config
        self._cache = cache
        self._progress = progress
        self._connections = Connections(config, cache.path / _REMOTES_FOLDER)

    # -- remotes

    def remote(self, name: str | None = None, create: bool = False) -> Remote:
        """A remote by name, or the default one. Raises ConfigError, RemoteError."""
        return self._connections.remote(name, create)

    def config(self, name: str | None = None) -> RemoteConfig:
        """The settings of a remote, or of the default one. Raises ConfigError, also where none is to be touched."""
        return self._connections.config(name)

    def remotes(self, but: Remote | None = None) -> Iterator[Remote]:
        """Every remote that can be opened, the default one first, without the one that is named."""
        for config in () if self._config.offline else self._config.remotes:
            try:
                remote = self.remote(config.name)
            except (ConfigError, RemoteError) as error:
                self._progress.note(f"{config.name}: {error}")
                continue
            if but is None or remote.format.identity != but.format.identity:
                yield remote

    def shelf_if_any(self, hasty: bool = False) -> Shelf | None:
        """The newest state of the default remote; None where there is none, or nothing was ever pushed there.

        A hasty look gives up within seconds where nobody answers. Raises RemoteError.
        """
        if not self._config.remotes or self._config.offline:
            return None
        found = self._config.remote()
        try:
            if not hasty:
                return _shelf(self.remote())
            with self._connections.unless_silent(found):
                return _shelf(self._connections.hasty(found))
        except RemoteUnsuitable:
            refuse_strangers(self._connections.transport(found, hasty))
            return None

    def load(self, digest: Digest) -> bytes:
        """A small object, from the cache or else the remote. Raises ObjectNotFound, CorruptObject."""
        try:
            return self._cache.read(digest)
        except ObjectNotFound:
            shelf = self.shelf_if_any()
            if shelf is None:
                raise
        return shelf.reader.read(digest)

    # -- fetching

    def fetch(
        self,
        refs: Iterable[Ref],
        remote: str | None = None,
        include: Include | None = None,
        sizes: Mapping[Digest, int] = NO_SIZES,
    ) -> Fetched:
        """Bring what refs own, or the part that `include` wants, and own it. What is all here asks no remote.

        `sizes` are those of single files, as far as they are known, to tell of the progress.

        Raises ConfigError where no remote has the name `remote`, also where none is asked.
        """
        if remote is not None:
            self._config.remote(remote)
        wanted = list(refs)
        return self.repairing(lambda: self._fetch(wanted, remote, include, sizes), lambda: None)

    def _fetch(
        self, refs: Iterable[Ref], remote: str | None, include: Include | None, sizes: Mapping[Digest, int]
    ) -> Fetched:
        away: list[Ref] = []
        for ref in refs:
            if not self._is_here(ref, include):
                away.append(ref)
            elif self._cache.ref(ref.name) is None or include is None:
                self.own(ref, partial=include is not None)
        if not away:
            return Fetched()
        roots = [(ref.digest, ref.kind) for ref in away]
        return fetch(self.remote(remote), self._cache, roots, away, include, self._progress, sizes)

    def _is_here(self, ref: Ref, include: Include | None) -> bool:
        if include is None or ref.kind is not ObjectKind.TREE:
            return is_complete(self._cache, ref.digest, ref.kind)
        return not missing_here(self._cache, ref.digest, include)

    def own(self, ref: Ref, partial: bool = False) -> None:
        """Make a ref of what is in the cache."""
        with self._cache.intake() as intake:
            needed = () if partial else self._cache.reachable([(ref.digest, ref.kind)])
            intake.publish([ref], needed, partial=partial)

    def fetch_lost(self, wanted: Mapping[Digest, ObjectKind]) -> None:
        """Bring objects, of trees nothing beneath them, from whichever remotes have them."""
        missing = dict(wanted)
        for remote in self.remotes():
            try:
                held = remote.latest().has_many(missing)
                self._fetch_each(remote, {digest: kind for digest, kind in missing.items() if digest in held})
            except RemoteError as error:
                self._progress.note(f"nothing more was taken from there: {error}")
            gone = self._cache.missing(missing)
            missing = {digest: kind for digest, kind in missing.items() if digest in gone}

    def _fetch_each(self, remote: Remote, wanted: Mapping[Digest, ObjectKind]) -> None:
        """All at once, or one by one where something of it is damaged there. Raises RemoteError."""

        def bring(some: Sequence[tuple[Digest, ObjectKind]]) -> bool:
            try:
                fetch(remote, self._cache, some, (), lambda path: False, self._progress)
            except (ObjectError, RemoteCorrupt):
                return False
            return True

        if wanted and not bring([*wanted.items()]):
            for item in wanted.items():
                bring([item])

    def repairing(self, use: Callable[[], _Used], fetch_again: Callable[[], object]) -> _Used:
        """What `use` gives. What it finds corrupt is set aside, so that `fetch_again` can bring it anew.

        What lies in packs stays as it is where no remote is to be asked. Raises what `use` raises.
        """
        seen: set[tuple[str, str]] = set()
        while True:
            try:
                return use()
            except CorruptObject as error:
                if (place := (error.digest, error.where)) in seen:
                    raise
                seen.add(place)
                self._set_aside(error)
                try:
                    fetch_again()
                except HitsaveError as reason:
                    raise error from reason

    def _set_aside(self, error: CorruptObject) -> int:
        if not self._config.remotes or self._config.offline:
            return 0
        damaged = set_aside_damaged(self._cache, error)
        if damaged:
            self._progress.note(f"{error.where}: {count(damaged, 'object')} of it cannot be read; fetching again")
        return damaged

    # -- evaluations

    def find_evaluations(self, prefixes: Iterable[str], remote: str | None = None) -> list[Ref]:
        """The evaluations and acceptances of a remote whose names begin with one of these, by name.

        Empty where there is no remote, or nothing was ever pushed there. One request while nothing new is there.
        Gives up within seconds where nobody answers, and asks again after a minute at the earliest. Raises ConfigError,
        RemoteError.
        """
        if remote is not None:
            self._config.remote(remote)
        if self._config.offline or not self._config.remotes:
            return []
        found = self._config.remote(remote)
        with self._connections.unless_silent(found):
            try:
                return evaluations.find_evaluations(self._connections.hasty(found), prefixes)
            except RemoteUnsuitable:
                refuse_strangers(self._connections.transport(found, hasty=True))
                return []

    def fetch_evaluation(self, ref: Ref, remote: str | None = None) -> Fetched:
        """Bring an evaluation with its result, or of one that is here the result, and own it.

        Snapshots that it took are not fetched. A remote that does not answer is left alone as by `find_evaluations`.
        Raises ConfigError, ObjectNotFound, RemoteError.
        """
        config = self._connections.config(remote)
        with self._connections.unless_silent(config):
            hasty = self._connections.awake(config)
            found = self.remote(remote)
            view = found.view_known_to(hasty)
            return evaluations.fetch_evaluations(found, self._cache, [ref], True, self._progress, view)

    def send_evaluations(self, refs: Iterable[Ref], remote: str | None = None) -> pushing.Pushed:
        """Push evaluations that were just made. A remote that does not answer is left alone, as by `find_evaluations`.

        Raises as `push`.
        """
        config = self._connections.config(remote)
        with self._connections.unless_silent(config):
            with suppress(RemoteUnsuitable):  # There is none yet: the push makes one.
                self._connections.awake(config)
            return self.push(refs, remote)

    def claims_store(self) -> Transport:
        """Where machines tell each other what they compute: the default remote, which is made where there is none.

        A remote that does not answer is left alone, as by `find_evaluations`. Raises ConfigError, RemoteError.
        """
        config = self._connections.config(None)
        with self._connections.unless_silent(config):
            try:
                return self._connections.awake(config).transport
            except RemoteUnsuitable:
                refuse_strangers(self._connections.transport(config, hasty=True))
                self.remote(config.name, create=True)
                return self._connections.hasty(config).transport

    def fetch_result(self, ref: Ref) -> Fetched:
        """Bring the result of an evaluation that is here, from whichever remote has it; it stays owned by its ref.

        Raises ConfigError, ObjectNotFound, RemoteError.
        """
        failure: HitsaveError = ObjectNotFound(str(ref.digest))
        for config in self._config.remotes:
            try:
                return self.fetch_evaluation(ref, config.name)
            except (ObjectNotFound, RemoteError) as error:
                failure = error
        raise failure

    def pull_evaluations(self, wanted: Callable[[Ref], bool], remote: str | None = None) -> PulledEvaluations:
        """Bring the evaluations of a remote that are wanted and neither here nor forgotten here, without their results.

        None come where there is no remote, or nothing was ever pushed there. Raises ConfigError, RemoteError.
        """
        if remote is not None:
            self._config.remote(remote)
        if self._config.offline or not self._config.remotes:
            return PulledEvaluations()
        try:
            found = self.remote(remote)
        except RemoteUnsuitable:
            refuse_strangers(self._connections.transport(self._config.remote(remote)))
            return PulledEvaluations()
        known = {ref.name for ref in self._cache.refs(Namespace.EVALUATIONS)} | forgotten(self._cache)
        held = evaluations.find_evaluations(found, [""])
        new = [ref for ref in held if ref.name not in known and wanted(ref)]
        received = 0
        for at in range(0, len(new), _PULLED_AT_ONCE):
            some = new[at : at + _PULLED_AT_ONCE]
            fetched = evaluations.fetch_evaluations(found, self._cache, some, False, self._progress, found.known)
            received += fetched.received
        return PulledEvaluations(len(new), received)

    # -- pushing

    def push(self, refs: Iterable[Ref], remote: str | None = None) -> pushing.Pushed:
        """Send what refs own, and nothing else."""
        return pushing.push(self.remote(remote, create=True), self._cache, refs, author(), self._progress)


def _shelf(remote: Remote) -> Shelf:
    view = remote.latest()
    return Shelf(view, Reader(remote, view))
