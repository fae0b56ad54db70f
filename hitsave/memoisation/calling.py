"""A call of a memoised function: its key, and what is asked about it.

What stands in the way of keeping results (a full disk, a remote that is down, a result that cannot be pickled) costs a
warning and never the result.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hitsave.cache.forking import UNDIVIDED
from hitsave.config import find_workspace
from hitsave.errors import CacheError, HitsaveError
from hitsave.memoisation import withheld
from hitsave.memoisation.arguments import ArgumentCode, Binder, digest_arguments
from hitsave.memoisation.code.fingerprint import Fingerprint, Fingerprints
from hitsave.memoisation.code.ignoring import Ignored
from hitsave.memoisation.code.normal import Attention
from hitsave.memoisation.code.readings import Readings
from hitsave.memoisation.code.watch import Aliases
from hitsave.memoisation.decorators import Settings
from hitsave.memoisation.lookup import Call, Found, Lookup
from hitsave.memoisation.mainmodule import canonical_module
from hitsave.memoisation.place import place_for
from hitsave.memoisation.telling import warn_once
from hitsave.objects.evaluation import call_key

if TYPE_CHECKING:
    from hitsave.cache.evaluations import EvaluationRow
    from hitsave.memoisation.computing import Computation
    from hitsave.memoisation.explaining.explanation import Explanation

FINGERPRINTS = Fingerprints()
DEFINITIONS = FINGERPRINTS.definitions
_all_callers: weakref.WeakSet[Caller] = weakref.WeakSet()


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
        self._wider: dict[Attention, Fingerprint] = {}
        self._binder: Binder | None = None
        self._argument_code = threading.local()
        self.results = Lookup(self.symbol, self.file, settings, DEFINITIONS)
        _all_callers.add(self)

    def renew_locks(self) -> None:
        """In a child: other threads of its parent may hold them."""
        self._lock = threading.RLock()
        self.results.renew_lock()

    # -- calls

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The result: a kept one, or else the function runs."""
        if withheld.here is not None:
            withheld.withhold()
        call = self._prepare(args, kwargs)
        found = None if call is None else self._find(call)
        if found is not None:
            return found.value
        return self._computation(call, args, kwargs).wait_or_run()

    async def call_async(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """As `call`, of an `async def` function."""
        if withheld.here is not None:
            withheld.withhold()
        call = self._prepare(args, kwargs)
        found = None if call is None else self._find(call)
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
                held = call.place.cache.evaluations.find(self.symbol, call.key, call.place.owner)
                call.passed_over += [each.name for each in held]
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
        return call is not None and any(True for _ in self.results.usable(call))

    def explain(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Explanation:
        """Whether the result is in the cache, and if not, why."""
        call = self._prepare(args, kwargs)
        kept = None if call is None else next(self.results.usable(call), None)
        return self._computation(call, args, kwargs).explain(kept)

    def forget(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
        """Forget what is kept for a call; how many evaluations that were."""
        call = self._prepare(args, kwargs)
        if call is None:
            return 0
        from hitsave.memoisation.keeping import drop

        self.results.drop_warm(call.key)
        return drop(call.place, self.results.own(call))

    def accept(self, note: str) -> int:
        """Let results of the newest other version of the code count; how many evaluations that concerns."""
        from hitsave.memoisation.accepting import accept_newest

        place = place_for(self._start)
        return accept_newest(place, self.symbol, self.results.path_in(place), self.fingerprint(), note)

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
            self._fingerprint = self._fingerprint_with(Attention())
            return self._fingerprint

    def _fingerprint_with(self, attention: Attention) -> Fingerprint:
        return FINGERPRINTS.make(
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
            attention=attention,
        )

    def _fingerprint_for(self, attention: Attention) -> Fingerprint:
        """What the function depends on for code in arguments, which looks at more than it does itself."""
        with self._lock:
            found = self._wider.get(attention)
            if found is None or not found.holds(self.aliases):
                with UNDIVIDED:
                    found = self._wider[attention] = self._fingerprint_with(attention)
            return found

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
        given = self._binder.bind(args, kwargs)
        bound = digest_arguments(self.symbol, given, code, fingerprint.attention, self._fingerprint_for)
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

    def _find(self, call: Call) -> Found | None:
        try:
            return self.results.find(call)
        except HitsaveError as error:
            warn_once(f"{self.symbol}: no result can be looked up ({error})")
            return None


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
