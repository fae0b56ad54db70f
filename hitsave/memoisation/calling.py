"""A call of a memoised function: its key, and the look for a result.

What stands in the way of keeping results (a full disk, a remote that is down, a result that cannot be pickled) costs a
warning and never the result. What is kept and found damaged is set aside, and computed again.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple

from hitsave.cache.forking import UNDIVIDED
from hitsave.config import find_workspace
from hitsave.errors import CacheError, CorruptObject, HitsaveError, ObjectError, ObjectNotFound
from hitsave.memoisation import withheld
from hitsave.memoisation.accepting import accepted_codes
from hitsave.memoisation.arguments import ArgumentCode, Binder, Bound, digest_arguments
from hitsave.memoisation.code.dependency import Dependency
from hitsave.memoisation.code.entered import adopt
from hitsave.memoisation.code.fingerprint import Fingerprint, Fingerprints
from hitsave.memoisation.code.ignoring import Ignored
from hitsave.memoisation.code.readings import Readings
from hitsave.memoisation.code.watch import Aliases
from hitsave.memoisation.decorators import Settings
from hitsave.memoisation.mainmodule import canonical_module
from hitsave.memoisation.place import Place, place_for
from hitsave.memoisation.reading import Kept, load_evaluation, load_result, set_aside
from hitsave.memoisation.results import Pickled, ResultUnreadable, pickle_result
from hitsave.memoisation.telling import warn, warn_once
from hitsave.memoisation.warm import LARGEST, WarmResult, WarmResults
from hitsave.objects.digest import Digest
from hitsave.objects.evaluation import call_key
from hitsave.objects.refs import RefName, unquote_name
from hitsave.recording import current

if TYPE_CHECKING:
    from hitsave.cache.evaluations import EvaluationRow
    from hitsave.memoisation.computing import Computation
    from hitsave.memoisation.explaining.explanation import Explanation

FINGERPRINTS = Fingerprints()
DEFINITIONS = FINGERPRINTS.definitions
_all_callers: weakref.WeakSet[Caller] = weakref.WeakSet()


class Found(NamedTuple):
    """A result that was found."""

    value: object


@dataclass(slots=True)
class Call:
    """One call: where its result is kept, and under what key.

    `argument_code` is what functions and classes in the arguments depend on, `codes` the code of these functions.
    `passed_over` are evaluations of the key that do not count; `lost` those of them that are damaged, and `outdated`
    names definitions that have changed since one of them.
    """

    place: Place
    fingerprint: Fingerprint
    bound: Bound
    argument_code: tuple[Dependency, ...]
    codes: list[CodeType]
    key: Digest
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    fresh: bool = False
    passed_over: list[RefName] = field(default_factory=list)
    lost: list[RefName] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        """What the function depends on, and what its arguments do."""
        return (*self.fingerprint.dependencies, *self.argument_code)


class Caller:
    """Calls one function."""

    def __init__(self, function: Callable[..., Any], settings: Settings) -> None:
        self.function = function
        self.settings = settings
        self._module = str(getattr(function, "__module__", None) or "__main__")
        name = getattr(function, "__qualname__", None) or type(function).__qualname__
        self.symbol = f"{canonical_module(self._module)}.{name}"
        self.file = _file_of(function)
        self._start = self.file.parent if self.file is not None else Path.cwd()
        self._project = os.fspath(find_workspace(self._start))
        self.ignored = Ignored(settings.ignore)
        self.aliases = Aliases()
        self._lock = threading.RLock()
        self._fingerprint: Fingerprint | None = None
        self._binder: Binder | None = None
        self._argument_code = threading.local()
        self._warm = WarmResults()
        _all_callers.add(self)

    def renew_locks(self) -> None:
        """In a child: other threads of its parent may hold them."""
        self._lock = threading.RLock()
        self._warm.renew_lock()

    # -- calls

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The result: a kept one, or else the function runs."""
        if withheld.here is not None:
            withheld.withhold()
        call = self._prepare(args, kwargs)
        found = None if call is None else self._find_or_warn(call)
        if found is not None:
            return found.value
        return self._computation(call, args, kwargs).wait_or_run()

    async def call_async(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """As `call`, of an `async def` function."""
        if withheld.here is not None:
            withheld.withhold()
        call = self._prepare(args, kwargs)
        found = None if call is None else self._find_or_warn(call)
        if found is not None:
            return found.value
        return await self._computation(call, args, kwargs).wait_or_run_async()

    def fresh(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run, whatever is kept."""
        return self._fresh(args, kwargs).run()

    async def fresh_async(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """As `fresh`, of an `async def` function."""
        return await self._fresh(args, kwargs).run_async()

    def _fresh(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Computation:
        withheld.withhold()
        call = self._prepare(args, kwargs)
        if call is not None:
            call.fresh = True
            try:
                call.passed_over += [name for name, _ in call.place.cache.evaluations.find(self.symbol, call.key)]
            except HitsaveError as error:
                warn_once(f"{self.symbol}: no result can be looked up ({error})")
        return self._computation(call, args, kwargs)

    def _computation(self, call: Call | None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Computation:
        with UNDIVIDED:
            from hitsave.memoisation.computing import Computation, prepare  # A hit needs nothing of it.

            if call is not None:
                prepare(call.place)
        return Computation(self, call, args, kwargs)

    # -- questions

    def is_cached(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Whether the result is in the cache."""
        call = self._prepare(args, kwargs)
        return call is not None and any(True for _ in self._usable(call))

    def explain(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Explanation:
        """Whether the result is in the cache, and if not, why."""
        call = self._prepare(args, kwargs)
        kept = None if call is None else next(self._usable(call), None)
        return self._computation(call, args, kwargs).explain(kept)

    def forget(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
        """Forget what is kept for a call; how many evaluations that were."""
        call = self._prepare(args, kwargs)
        if call is None:
            return 0
        from hitsave.memoisation.keeping import drop

        self._warm.drop(call.key)
        names = [name for name, _ in call.place.cache.evaluations.find(self.symbol, call.key)]
        return drop(call.place, dict.fromkeys([*names, *(kept.name for kept in self._usable(call))]))

    def accept(self, note: str) -> int:
        """Let results of the newest other version of the code count; how many evaluations that concerns."""
        from hitsave.memoisation.accepting import accept_newest

        place = place_for(self._start)
        return accept_newest(place, self.symbol, self.path_in(place), self.fingerprint(), note)

    def path_in(self, place: Place) -> str:
        """The function's file as refs have it; empty where its results are not to be shared."""
        return "" if self.settings.remote == "off" else place.path_of(self.file)

    def evaluations(self) -> list[EvaluationRow]:
        """What this project keeps of the function, the newest first."""
        place = place_for(self._start)
        return place.cache.evaluations.of(self.symbol, place.project)

    def fingerprint(self) -> Fingerprint:
        """What the function depends on now."""
        with self._lock:
            found = self._fingerprint
            if found is None or not found.holds(self.aliases):
                found = self._make_fingerprint()
            return found

    def _make_fingerprint(self) -> Fingerprint:
        names = [entry for entry in self.settings.ignore if isinstance(entry, str)]
        with UNDIVIDED:
            self._binder = Binder(self.function, names)
            self._fingerprint = FINGERPRINTS.make(
                self.function,
                memoised=True,
                own=self._module,
                folder=self._start,
                project=self._project,
                depends_on=self.settings.depends_on,
                ignored=self.ignored,
                sensitivity=self.settings.version_sensitivity,
                aliases=self.aliases,
                readings=self._readings(),
            )
            return self._fingerprint

    def _readings(self) -> Readings | None:
        """What earlier processes have read of the sources."""
        try:
            return Readings(os.fspath(place_for(self._start).cache.path), os.fspath(self.file or self._start))
        except CacheError:  # Who looks for a result is told.
            return None

    # -- the key

    def _prepare(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call | None:
        """The key of a call; None where nothing can be kept. Raises Undigestable, TypeError."""
        try:
            place = place_for(self._start)
        except CacheError as error:
            warn_once(f"{self.symbol}: nothing is kept ({error})")
            return None
        fingerprint = self.fingerprint()
        assert self._binder is not None
        code = self._code_of_arguments()
        bound = digest_arguments(self.symbol, self._binder.bind(args, kwargs), code)
        used = tuple(code.dependencies()) if code.used else ()
        key = call_key(self.symbol, fingerprint.digest, bound.digest)
        return Call(place, fingerprint, bound, used, code.codes() if code.used else [], key, args, kwargs)

    def _code_of_arguments(self) -> ArgumentCode:
        found: ArgumentCode | None = getattr(self._argument_code, "found", None)
        if found is None:
            found = self._argument_code.found = ArgumentCode(
                FINGERPRINTS, self.ignored, self.settings.version_sensitivity, self.aliases, self._project
            )
        return found

    # -- looking

    def _find_or_warn(self, call: Call) -> Found | None:
        try:
            return self.find(call)
        except HitsaveError as error:
            warn_once(f"{self.symbol}: no result can be looked up ({error})")
            return None

    def find(self, call: Call) -> Found | None:
        """The result, from this process or the cache. Raises CacheError, or CorruptObject for a damaged index."""
        warm = self._warm.get(call.key)
        if warm is not None and self._still_there(call.place, warm):
            return Found(warm.value())
        for kept in self._usable(call):
            found = self._open(call, kept)
            if found is not None:
                return found
        return None

    @staticmethod
    def _still_there(place: Place, warm: WarmResult) -> bool:
        database = place.cache.database
        version = (database.version, database.connection.total_changes)
        if warm.version != version:
            if any(place.cache.ref(name) is None for name in warm.names):
                return False
            warm.version = version
        return True

    def keys(self, call: Call) -> list[Digest]:
        """The keys under which a result counts: the call's own, and those of versions of the code that are accepted."""
        return [call.key, *(key for key, _ in self._accepted(call))]

    def codes(self, call: Call) -> list[Digest]:
        """The versions of the code whose results count: the present one, and those that are accepted."""
        code = Digest(call.fingerprint.digest)
        return [code, *(accepted.code for accepted in accepted_codes(call.place, self.symbol, code))]

    def _accepted(self, call: Call) -> Iterator[tuple[Digest, tuple[RefName, ...]]]:
        for code, words in accepted_codes(call.place, self.symbol, call.fingerprint.digest):
            yield call_key(self.symbol, code, call.bound.digest), words

    def _usable(self, call: Call) -> Iterator[Kept]:
        """What counts as the result of a call: its own evaluations, the newest first, and then accepted ones."""
        yield from self._usable_of(call, call.key)
        for key, words in self._accepted(call):
            for kept in self._usable_of(call, key):
                yield replace(kept, words=words)

    def _usable_of(self, call: Call, key: Digest) -> list[Kept]:
        found = []
        for name, digest in call.place.cache.evaluations.find(self.symbol, key):
            if name not in call.passed_over:
                try:
                    kept = load_evaluation(call.place, name, digest)
                except ObjectError as error:
                    self._pass_over(call, name, error)
                    continue
                if f"/{kept.evaluation.key}@" not in name.name:
                    call.passed_over.append(name)  # Somebody has given it another's name.
                elif kept.evaluation.extras and (changed := self._outdated(call, kept)):
                    call.passed_over.append(name)
                    call.outdated += changed
                else:
                    found.append(kept)
        return found

    def _outdated(self, call: Call, kept: Kept) -> list[str]:
        """Definitions that were found to be needed only when the evaluation ran, and that are not as they were."""
        root, sensitivity = call.place.config.workspace, self.settings.version_sensitivity
        return [
            name for name, digest in kept.evaluation.extras if DEFINITIONS.digest(name, root, sensitivity) != digest
        ]

    def _open(self, call: Call, kept: Kept) -> Found | None:
        try:
            value = self._load(call.place, kept)
        except (ObjectError, ResultUnreadable) as error:
            self._pass_over(call, kept.name, error)
            return None
        except OSError as error:  # Too many open files, say: what is kept may be as good as ever.
            call.passed_over.append(kept.name)
            warn_once(f"{self.symbol}: a kept result cannot be read ({error})")
            return None
        recorder = current()
        if recorder is not None:  # What a call took when it ran belongs to who calls it, also when it need not run.
            adopt(dict(kept.evaluation.extras))
            for taken in kept.evaluation.snapshots:
                path = unquote_name(taken.path).decode("utf-8", "surrogateescape")
                recorder.took(taken.digest, int(taken.kind), taken.size, path)
        self.keep_warm(call.key, kept, value)
        return Found(value)

    def _load(self, place: Place, kept: Kept) -> object:
        try:
            return load_result(place, kept.evaluation)
        except ObjectNotFound:
            if self.settings.remote == "off":
                raise
            from hitsave.memoisation.sharing import (
                fetch_result,  # It came by a pull, which leaves results where they are.
            )

            if not fetch_result(place, kept.name):
                raise
        return load_result(place, kept.evaluation)

    def keep_warm(self, key: Digest, kept: Kept, value: object, pickled: Pickled | None = None) -> None:
        """Keep a small result in memory as well."""
        found = kept.evaluation
        if found.size <= LARGEST and not (found.buffers or found.snapshots or found.extras):
            self._warm.put(key, WarmResult((kept.name, *kept.words), value, (pickled or pickle_result(value)).pickle))

    def _pass_over(self, call: Call, name: RefName, error: ObjectError | ResultUnreadable) -> None:
        """An evaluation that cannot be used: tell why, and let a good one take its place. Raises HitsaveError."""
        call.passed_over.append(name)
        if isinstance(error, CorruptObject):
            set_aside(call.place, error)  # Raises where no object is damaged, but the index that leads to it.
            call.lost.append(name)
            warn(f"{self.symbol}: a kept result is damaged, and is computed again ({error})")
        elif isinstance(error, ObjectNotFound):
            call.lost.append(name)
        else:
            warn(f"{self.symbol}: {error}")


def _renew_locks() -> None:
    for caller in list(_all_callers):
        caller.renew_locks()
    FINGERPRINTS.renew_locks()


UNDIVIDED.renew(_renew_locks)


def _file_of(function: Any) -> Path | None:
    """The file in which a function stands; None for what was typed in."""
    plain = getattr(function, "__func__", function)
    module = sys.modules.get(str(getattr(plain, "__module__", None)))
    file = getattr(module, "__file__", None)
    if isinstance(file, str) and os.path.isfile(file):
        return Path(os.path.abspath(file))
    return None
