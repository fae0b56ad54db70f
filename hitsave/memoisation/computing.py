"""A call for which no result was found: one process or thread runs the function and publishes, the others wait.

Order: the lease is taken, the cache is looked at once more, then a remote. Where results are sent there, the key is
claimed there, and the remote looked at again. Only then the function runs, and its evaluation is published in one
transaction, unless somebody else's has been meanwhile. The claim ends when the result was sent.
"""

from __future__ import annotations

import functools
import importlib
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from hitsave.cache.processes import this_process
from hitsave.errors import HitsaveError, ObjectError
from hitsave.memoisation.calling import DEFINITIONS, FINGERPRINTS, Caller
from hitsave.memoisation.code.entered import Entered, entered_here, own_code, unknown
from hitsave.memoisation.depth import RAISED_LIMIT
from hitsave.memoisation.displaying.displays import Arguments, make_display, shape_arguments
from hitsave.memoisation.displaying.shapes import short_text
from hitsave.memoisation.explaining.explanation import Cause, Explanation
from hitsave.memoisation.explaining.nearest import Wanted, explain_miss, explain_run
from hitsave.memoisation.keeping import Finished, discard, publish
from hitsave.memoisation.lookup import Call, Found
from hitsave.memoisation.place import Place
from hitsave.memoisation.reading import Kept, load_evaluation
from hitsave.memoisation.recording import carry, follow_threads
from hitsave.memoisation.results import GeneratorResult, Pickled, Unpicklable, pickle_result
from hitsave.memoisation.telling import warn, warn_once
from hitsave.objects.digest import Digest
from hitsave.objects.evaluation import Extra, ShownArgument
from hitsave.ownership import author_name
from hitsave.recording import Recorder

if TYPE_CHECKING:
    from hitsave.memoisation.leases.claims import Claim
    from hitsave.memoisation.leases.leases import Lease

_is_own = own_code(FINGERPRINTS.origins)
carry(entered_here, None)
_WHILE_IT_RUNS = (
    "hitsave.snapshots.git",
    "hitsave.memoisation.code." + ("profiling" if sys.version_info < (3, 12) else "monitoring"),
)


def prepare(place: Place) -> None:
    """Load and open what a run needs."""
    with suppress(HitsaveError):  # Who needs it is told.
        _ = place.leases, place.repository
    this_process(), author_name(), sysconfig.get_config_vars()
    for name in _WHILE_IT_RUNS:
        importlib.import_module(name)
    if place.config.remotes and not place.config.offline:
        importlib.import_module("hitsave.memoisation.sharing")


class Running:
    """A context manager around the run. Times are in microseconds, `started` since 1970."""

    def __init__(self, place: Place) -> None:
        follow_threads()
        self._place = place
        self.recorder = Recorder()
        self.entered = Entered(_is_own)
        self._begun = 0
        self._level = 0
        self.started = 0
        self.elapsed = 0

    def __enter__(self) -> Running:
        self.started = time.time_ns() // 1000
        self.recorder.__enter__()
        self._begun = time.perf_counter_ns()
        self._level = RAISED_LIMIT.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        RAISED_LIMIT.leave(self._level)
        self.elapsed = (time.perf_counter_ns() - self._begun) // 1000
        self.recorder.__exit__(kind, error, trace)
        if error is not None and self.release is not None:
            with suppress(HitsaveError):
                self._place.cache.release(self.release)

    @property
    def release(self) -> str | None:
        """The token under which snapshots are held for this call alone; None where an outer one needs them, too."""
        return self.recorder.hold if self.recorder.parent is None and self.recorder.taken else None


class Before(NamedTuple):
    """What is to be told of a call that only shows before its body runs: why it runs, and what it was given."""

    reason: Explanation
    shown: tuple[ShownArgument, ...]
    shapes: Arguments


class Computation:
    """One call that has to be computed, by somebody. Without a `call`, nothing can be kept."""

    def __init__(self, caller: Caller, call: Call | None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self._caller = caller
        self._call = call
        self._args = args
        self._kwargs = kwargs

    def wait_or_run(self) -> Any:
        """The result of whoever computes it."""
        call = self._call
        if call is None:
            return self.run()
        outcome = call.place.leases.wait(call.key, self._find)
        if isinstance(outcome, Found):
            return outcome.value
        with outcome:
            if (found := self._find_away()) is not None:
                return found.value
            with self._claim(outcome) as claim:
                while claim is not None and not claim.held:
                    for seconds in claim.attempts():
                        time.sleep(seconds)
                    if (found := self._find_away()) is not None:
                        return found.value
                return self.run()

    async def wait_or_run_async(self) -> Any:
        """As `wait_or_run`, of an `async def` function."""
        call = self._call
        if call is None:
            return await self.run_async()
        outcome = await call.place.leases.wait_async(call.key, self._find)
        if isinstance(outcome, Found):
            return outcome.value
        with outcome:
            if (found := self._find_away()) is not None:
                return found.value
            with self._claim(outcome) as claim:
                while claim is not None and not claim.held:
                    await _wait(claim)
                    if (found := self._find_away()) is not None:
                        return found.value
                return await self.run_async()

    def _find(self) -> Found | None:
        assert self._call is not None
        try:
            return self._caller.results.find(self._call)
        except HitsaveError:  # It was told at the first look.
            return None

    def _claim(self, lease: Lease) -> AbstractContextManager[Claim | None]:
        """What keeps other machines from computing the same, where results are sent to a remote."""
        assert self._call is not None
        if self._caller.settings.remote == "readwrite" and self._has_remote(self._call) and not lease.shared:
            from hitsave.memoisation.sharing import claim_for

            return claim_for(self._call.place, self._call.key) or nullcontext()
        return nullcontext()

    def _has_remote(self, call: Call) -> bool:
        config = call.place.config
        return self._caller.settings.remote != "off" and not config.offline and bool(config.remotes)

    def _find_away(self) -> Found | None:
        """The result, from a remote."""
        call, results = self._call, self._caller.results
        assert call is not None
        if not self._has_remote(call):
            return None
        from hitsave.memoisation.sharing import find_away  # What has no remote needs nothing of it.

        asked: set[Digest] = set()
        try:
            while not asked.issuperset(keys := results.keys(call)):  # What is accepted may come from there as well.
                asked.update(keys)
                found = self._find() if find_away(call.place, self._caller.symbol, results.codes(call), keys) else None
                if found is not None:
                    return found
        except HitsaveError:  # It was told at the first look.
            pass
        return None

    # -- running

    def run(self) -> Any:
        """Run the function, and keep its result."""
        if self._call is None:
            return self._caller.function(*self._args, **self._kwargs)
        before = self._look(self._call)
        with Running(self._call.place) as running, running.entered:
            value = self._caller.function(*self._args, **self._kwargs)
        self._keep(self._call, value, running, before)
        return value

    async def run_async(self) -> Any:
        """As `run`, of an `async def` function."""
        if self._call is None:
            return await self._caller.function(*self._args, **self._kwargs)
        before = self._look(self._call)
        with Running(self._call.place) as running, running.entered:
            value = await self._caller.function(*self._args, **self._kwargs)
        self._keep(self._call, value, running, before)
        return value

    def _look(self, call: Call) -> Before:
        shown = self._shown
        pairs = zip(call.bound.arguments, shown, strict=True)
        shapes = shape_arguments((given.name, given.value, each.text) for given, each in pairs)
        return Before(self._reason(call), shown, shapes)

    def _reason(self, call: Call) -> Explanation:
        try:
            return explain_run(call.place, self._wanted(call), self._cause(call))
        except HitsaveError:  # Then it cannot be kept either, which is told.
            return Explanation(self._caller.symbol, Cause.FIRST)

    def explain(self, kept: Kept | None) -> Explanation:
        """Why the function runs, or that it need not, since this is kept."""
        symbol, call = self._caller.symbol, self._call
        if kept is not None:
            return Explanation(symbol, Cause.HIT, accepted=str(kept.evaluation.code) if kept.words else "")
        if call is None:
            return Explanation(symbol, Cause.FIRST)
        return explain_miss(call.place, self._wanted(call), self._cause(call))

    @staticmethod
    def _cause(call: Call) -> Cause | None:
        """Why it runs, as far as that is known without a look at other evaluations."""
        return Cause.FRESH if call.fresh else Cause.LOST if call.lost else Cause.CODE if call.outdated else None

    def _wanted(self, call: Call) -> Wanted:
        code, arguments = Digest(call.fingerprint.digest), Digest(call.bound.digest)
        symbol, outdated = self._caller.symbol, tuple(call.outdated)
        return Wanted(symbol, code, arguments, call.dependencies, lambda: self._shown, outdated)

    @functools.cached_property
    def _shown(self) -> tuple[ShownArgument, ...]:
        """The arguments in a line each, as they are when this is first asked for: the body may change them."""
        assert self._call is not None
        return tuple(
            ShownArgument(each.name, Digest(each.digest), short_text(each.value)) for each in self._call.bound.arguments
        )

    # -- keeping

    def _keep(self, call: Call, value: object, running: Running, before: Before) -> None:
        """Publish what has run. Whatever fails costs a warning; a generator is an error, since nothing has run yet."""
        caller = self._caller
        call.fingerprint.note_changes(caller.aliases)
        try:
            pickled = pickle_result(value)
            display = make_display(before.shapes, value)
            if call.fresh:
                self._pass_over_older(call, running.started)
            kept = publish(call.place, self._finished(call, pickled, display, running, before), call.passed_over)
            if call.lost:
                discard(call.place, call.lost)
            if kept is not None:
                caller.results.keep_warm(call.key, kept, value, pickled)
                caller.results.published(call.place, kept)
        except GeneratorResult:
            raise
        except Unpicklable as error:
            warn(f"{caller.symbol}: its result is not kept: {error}")
        except (HitsaveError, OSError) as error:
            warn_once(f"{caller.symbol}: its result is not kept: {error}")

    def _pass_over_older(self, call: Call, started: int) -> None:
        """What was begun before a fresh run, and published while it ran, does not stand in its way."""
        for name, digest, _ in call.place.cache.evaluations.find(self._caller.symbol, call.key, call.place.owner):
            with suppress(ObjectError):
                if load_evaluation(call.place, name, digest).evaluation.started < started:
                    call.passed_over.append(name)

    def _extras(self, call: Call, running: Running) -> tuple[Extra, ...]:
        """What was needed beside what could be told before: code that was entered, here and in calls within this."""
        entries = unknown(running.entered.entries, [*call.fingerprint.codes, *call.codes])
        entries = [each for each in entries if not self._caller.ignored.entry(each.code, each.namespace, each.qualname)]
        root, sensitivity = call.place.config.workspace, self._caller.settings.version_sensitivity
        found = {**running.entered.adopted, **DEFINITIONS.record(entries, root, sensitivity)}
        return tuple(Extra(name, Digest(digest)) for name, digest in sorted(found.items()))

    def _finished(
        self, call: Call, pickled: Pickled, display: bytes | None, running: Running, before: Before
    ) -> Finished:
        return Finished(
            function=self._caller.symbol,
            file=self._caller.file,
            shared=self._caller.settings.remote != "off",
            code=Digest(call.fingerprint.digest),
            arguments=Digest(call.bound.digest),
            dependencies=call.dependencies,
            shown=before.shown,
            extras=self._extras(call, running),
            reason=before.reason,
            display=display,
            pickled=pickled,
            taken=running.recorder.taken,
            release=running.release,
            experiment=self._caller.settings.experiment,
            started=running.started,
            elapsed=running.elapsed,
            python=f"{sys.version_info.major}.{sys.version_info.minor}",
        )


async def _wait(claim: Claim) -> None:
    import asyncio  # Who gets here has imported it already; everybody else is spared.

    for seconds in claim.attempts():
        await asyncio.sleep(seconds)
