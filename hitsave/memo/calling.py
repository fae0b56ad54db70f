"""A call of a memoised function: its key, the look for a result, and the run where there is none.

What stands in the way of keeping results (a full disk, a remote that is down, a result that cannot be pickled) costs a
warning and never the result. What is kept and found damaged is set aside, and computed again.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hitsave.cache.evaluations import EvaluationRow
from hitsave.errors import CacheError, CorruptObject, HitsaveError, ObjectError, ObjectNotFound
from hitsave.memo.arguments import ArgumentCode, Binder, Bound, digest_arguments
from hitsave.memo.code.dependency import Dependency
from hitsave.memo.code.describe import describe
from hitsave.memo.code.fingerprint import Fingerprint, Fingerprints
from hitsave.memo.code.ignoring import Ignored
from hitsave.memo.code.origin import canonical_module
from hitsave.memo.code.watch import Aliases
from hitsave.memo.decorators import Settings
from hitsave.memo.explaining import Cause, Explanation
from hitsave.memo.keeping import Finished, Kept, drop, load_evaluation, load_result, publish, set_aside
from hitsave.memo.nearest import Wanted, explain_miss
from hitsave.memo.place import Place, place_for, warn_once
from hitsave.memo.results import GeneratorResult, Pickled, ResultUnreadable, Unpicklable, pickle_result
from hitsave.memo.running import Running, report_hit
from hitsave.memo.warm import LARGEST, WarmResult, WarmResults
from hitsave.objects.digest import Digest
from hitsave.objects.evaluation import ShownArgument, call_key
from hitsave.objects.refs import RefName

_SHOWN = 200
_fingerprints = Fingerprints()


class Found(NamedTuple):
    """A result that was found."""

    value: object


@dataclass(slots=True)
class Call:
    """One call: where its result is kept, and under what key. `spoilt` are evaluations that cannot be used."""

    place: Place
    fingerprint: Fingerprint
    bound: Bound
    key: Digest
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    spoilt: list[RefName]
    cause: Cause | None = None
    argument_code: tuple[Dependency, ...] = ()

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        """What the function depends on, and what its arguments do."""
        return (*self.fingerprint.dependencies, *self.argument_code)


class Caller:
    """Calls one function."""

    def __init__(self, function: Callable[..., Any], settings: Settings) -> None:
        self._function = function
        self._settings = settings
        module = str(getattr(function, "__module__", None) or "__main__")
        name = getattr(function, "__qualname__", None) or type(function).__qualname__
        self._module = module
        self.symbol = f"{canonical_module(module)}.{name}"
        self._file = _file_of(function)
        self._start = self._file.parent if self._file is not None else Path.cwd()
        self._ignored = Ignored(settings.ignore)
        self._aliases = Aliases()
        self._lock = threading.RLock()
        self._fingerprint: Fingerprint | None = None
        self._binder: Binder | None = None
        self._argument_code = threading.local()
        self._warm = WarmResults()

    # -- calls

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The result: a kept one, or else the function runs."""
        call = self._prepare(args, kwargs)
        if call is None:
            return self._function(*args, **kwargs)
        found = self._find(call)
        if found is not None:
            return found.value
        outcome = call.place.leases.wait(call.key, lambda: self._find(call))
        if isinstance(outcome, Found):
            return outcome.value
        with outcome:
            found = self._find_away(call)
            return found.value if found is not None else self._run(call)

    async def call_async(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """As `call`, of an `async def` function."""
        call = self._prepare(args, kwargs)
        if call is None:
            return await self._function(*args, **kwargs)
        found = self._find(call)
        if found is not None:
            return found.value
        outcome = await call.place.leases.wait_async(call.key, lambda: self._find(call))
        if isinstance(outcome, Found):
            return outcome.value
        with outcome:
            found = self._find_away(call)
            return found.value if found is not None else await self._run_async(call)

    def fresh(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run, whatever is kept."""
        call = self._prepare(args, kwargs)
        if call is None:
            return self._function(*args, **kwargs)
        self._pass_over(call)
        return self._run(call)

    async def fresh_async(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """As `fresh`, of an `async def` function."""
        call = self._prepare(args, kwargs)
        if call is None:
            return await self._function(*args, **kwargs)
        self._pass_over(call)
        return await self._run_async(call)

    def _pass_over(self, call: Call) -> None:
        call.cause = Cause.FRESH
        call.spoilt += [name for name, _ in call.place.cache.evaluations.find(self.symbol, call.key)]

    # -- questions

    def is_cached(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Whether the result is in the cache."""
        call = self._prepare(args, kwargs)
        return call is not None and bool(self._usable(call))

    def explain(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Explanation:
        """Whether the result is in the cache, and if not, why."""
        call = self._prepare(args, kwargs)
        if call is None:
            return Explanation(self.symbol, Cause.FIRST)
        if self._usable(call):
            return Explanation(self.symbol, Cause.HIT)
        return self._explain(call)

    def forget(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
        """Forget what is kept for a call."""
        call = self._prepare(args, kwargs)
        if call is None:
            return 0
        self._warm.drop(call.key)
        return drop(call.place, [name for name, _ in call.place.cache.evaluations.find(self.symbol, call.key)])

    def evaluations(self) -> list[EvaluationRow]:
        """What is kept of the function, the newest first."""
        return place_for(self._start).cache.evaluations.of(self.symbol)

    def fingerprint(self) -> Fingerprint:
        """What the function depends on now."""
        with self._lock:
            found = self._fingerprint
            if found is None or not found.holds(self._aliases):
                found = self._fingerprint = _fingerprints.make(
                    self._function,
                    own=self._module,
                    depends_on=self._settings.depends_on,
                    ignored=self._ignored,
                    sensitivity=self._settings.version_sensitivity,
                    aliases=self._aliases,
                )
                names = [entry for entry in self._settings.ignore if isinstance(entry, str)]
                self._binder = Binder(self._function, names)
            return found

    # -- the key

    def _prepare(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call | None:
        """The key of a call; None where nothing can be kept. Raises Undigestable, TypeError."""
        try:
            place = place_for(self._start)
        except CacheError as error:
            warn_once(str(error), f"{self.symbol}: nothing is kept ({error})")
            return None
        fingerprint = self.fingerprint()
        assert self._binder is not None
        code = self._code_of_arguments()
        bound = digest_arguments(self.symbol, self._binder.bind(args, kwargs), code)
        used = tuple(code.dependencies()) if code.used else ()
        key = call_key(self.symbol, fingerprint.digest, bound.digest)
        return Call(place, fingerprint, bound, key, args, kwargs, [], None, used)

    def _code_of_arguments(self) -> ArgumentCode:
        found: ArgumentCode | None = getattr(self._argument_code, "found", None)
        if found is None:
            found = self._argument_code.found = ArgumentCode(
                _fingerprints, self._ignored, self._settings.version_sensitivity, self._aliases
            )
        return found

    # -- looking

    def _find(self, call: Call) -> Found | None:
        """The result, from this process or the cache."""
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
            if place.cache.ref(warm.name) is None:
                return False
            warm.version = version
        return True

    def _usable(self, call: Call) -> list[Kept]:
        """The evaluations of this key, the newest first."""
        found = []
        for name, digest in call.place.cache.evaluations.find(self.symbol, call.key):
            if name in call.spoilt:
                continue
            try:
                found.append(load_evaluation(call.place, name, digest))
            except ObjectError as error:
                self._spoil(call, name, error)
        return found

    def _open(self, call: Call, kept: Kept) -> Found | None:
        try:
            value = load_result(call.place, kept.evaluation)
        except ResultUnreadable as error:
            warnings.warn(f"{self.symbol}: {error}", UserWarning, stacklevel=_level())
            call.spoilt.append(kept.name)
            return None
        except ObjectError as error:
            self._spoil(call, kept.name, error)
            return None
        report_hit(kept.evaluation)
        self._keep_warm(call.key, kept, value)
        return Found(value)

    def _keep_warm(self, key: Digest, kept: Kept, value: object, pickled: Pickled | None = None) -> None:
        if not kept.evaluation.buffers and kept.evaluation.size <= LARGEST and not kept.evaluation.snapshots:
            self._warm.put(key, WarmResult(kept.name, value, (pickled or pickle_result(value)).pickle))

    def _spoil(self, call: Call, name: RefName, error: ObjectError) -> None:
        """An evaluation that is damaged: tell, and let a good one take its place."""
        call.spoilt.append(name)
        call.cause = Cause.LOST
        if isinstance(error, CorruptObject):
            warnings.warn(
                f"{self.symbol}: a kept result is damaged, and is computed again ({error})",
                UserWarning,
                stacklevel=_level(),
            )
            set_aside(call.place, error)
        elif not isinstance(error, ObjectNotFound):
            warnings.warn(f"{self.symbol}: a kept result cannot be used ({error})", UserWarning, stacklevel=_level())

    def _find_away(self, call: Call) -> Found | None:
        """The result, from a remote."""
        return None

    # -- running

    def _run(self, call: Call) -> Any:
        reason = self._explain(call)
        with Running() as running:
            value = self._function(*call.args, **call.kwargs)
        self._keep(call, value, running, reason)
        return value

    async def _run_async(self, call: Call) -> Any:
        reason = self._explain(call)
        with Running() as running:
            value = await self._function(*call.args, **call.kwargs)
        self._keep(call, value, running, reason)
        return value

    def _explain(self, call: Call) -> Explanation:
        wanted = Wanted(
            self.symbol,
            Digest(call.fingerprint.digest),
            Digest(call.bound.digest),
            call.dependencies,
            self._shown(call),
        )
        return explain_miss(call.place, wanted, call.cause)

    @staticmethod
    def _shown(call: Call) -> tuple[ShownArgument, ...]:
        return tuple(
            ShownArgument(each.name, Digest(each.digest), _plain(describe(each.value, _SHOWN)))
            for each in call.bound.arguments
        )

    def _keep(self, call: Call, value: object, running: Running, reason: Explanation) -> None:
        """Publish what has run. Whatever fails costs a warning; a generator is an error, since nothing has run yet."""
        call.fingerprint.note_changes(self._aliases)
        try:
            pickled = pickle_result(value)
            kept = publish(call.place, self._finished(call, pickled, running, reason), call.spoilt)
            if call.cause is Cause.LOST:
                drop(call.place, call.spoilt)
            if kept is not None:
                self._keep_warm(call.key, kept, value, pickled)
        except GeneratorResult:
            raise
        except Unpicklable as error:
            warnings.warn(f"{self.symbol}: its result is not kept: {error}", UserWarning, stacklevel=_level())
        except (HitsaveError, OSError) as error:
            warn_once(f"{self.symbol} {error}", f"{self.symbol}: its result is not kept: {error}")

    def _finished(self, call: Call, pickled: Pickled, running: Running, reason: Explanation) -> Finished:
        return Finished(
            function=self.symbol,
            file=self._file,
            code=Digest(call.fingerprint.digest),
            arguments=Digest(call.bound.digest),
            dependencies=call.dependencies,
            shown=self._shown(call),
            extras=(),
            reason=reason,
            pickled=pickled,
            snapshots=running.snapshots(pickled.snapshots),
            release=running.release,
            experiment=self._settings.experiment,
            started=running.started,
            elapsed=running.elapsed,
            python=f"{sys.version_info.major}.{sys.version_info.minor}",
        )


def _file_of(function: Any) -> Path | None:
    """The file in which a function stands; None for what was typed in."""
    plain = getattr(function, "__func__", function)
    module = sys.modules.get(str(getattr(plain, "__module__", None)))
    file = getattr(module, "__file__", None)
    if isinstance(file, str) and os.path.isfile(file):
        return Path(os.path.abspath(file))
    return None


def _level() -> int:
    """The stack level of the code that called the memoised function."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("hitsave.memo"):
        frame = frame.f_back
        level += 1
    return level


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
