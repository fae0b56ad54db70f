"""The look for the result of a call: in this process, then in the cache.

The project's own results count first. One of another project becomes its own, too, when it is used, unless it has
forgotten the same: who does so wants it computed again. What is found damaged is set aside, and the next best counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

from hitsave.cache.evaluations import Held
from hitsave.cache.forking import UNDIVIDED
from hitsave.errors import CorruptObject, HitsaveError, ObjectError, ObjectNotFound
from hitsave.memoisation.accepting import accepted_codes
from hitsave.memoisation.arguments import Bound
from hitsave.memoisation.code.definitions import Definitions
from hitsave.memoisation.code.dependency import Dependency
from hitsave.memoisation.code.entered import adopt
from hitsave.memoisation.code.fingerprint import Fingerprint
from hitsave.memoisation.decorators import Settings
from hitsave.memoisation.place import Place
from hitsave.memoisation.reading import Kept, load_evaluation, load_result, set_aside
from hitsave.memoisation.results import Pickled, ResultUnreadable, pickle_result
from hitsave.memoisation.telling import warn, warn_once
from hitsave.memoisation.warm import LARGEST, WarmResult, WarmResults
from hitsave.objects.digest import Digest
from hitsave.objects.evaluation import call_key
from hitsave.objects.refs import RefName, unquote_name
from hitsave.recording import current


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


class Lookup:
    """Looks for results of one function."""

    def __init__(self, symbol: str, file: Path | None, settings: Settings, definitions: Definitions) -> None:
        self._symbol = symbol
        self._file = file
        self._settings = settings
        self._definitions = definitions
        self._warm = WarmResults()
        self._left_alone: set[Digest] = set()

    def renew_lock(self) -> None:
        """In a child: another thread of its parent may hold it."""
        self._warm.renew_lock()

    def find(self, call: Call) -> Found | None:
        """The result, from this process or the cache. Raises CacheError, or CorruptObject for a damaged index."""
        warm = self._warm.get(call.key)
        if warm is not None and self._still_there(call.place, warm):
            return Found(warm.value())
        for kept in self.usable(call):
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
        return [code, *(accepted.code for accepted in accepted_codes(call.place, self._symbol, code))]

    def _accepted(self, call: Call) -> Iterator[tuple[Digest, tuple[RefName, ...]]]:
        for code, words in accepted_codes(call.place, self._symbol, call.fingerprint.digest):
            yield call_key(self._symbol, code, call.bound.digest), words

    def usable(self, call: Call) -> Iterator[Kept]:
        """What counts as the result of a call: its own evaluations, this project's first, and then accepted ones."""
        yield from self._usable_of(call, call.key)
        for key, words in self._accepted(call):
            for kept in self._usable_of(call, key):
                yield replace(kept, words=words)

    def _usable_of(self, call: Call, key: Digest) -> Iterator[Kept]:
        for name, digest, foreign in self._held(call, key):
            if name not in call.passed_over:
                try:
                    kept = load_evaluation(call.place, name, digest, foreign)
                except ObjectError as error:
                    self._pass_over(call, name, error, foreign)
                    continue
                if f"/{kept.evaluation.key}@" not in name.name:
                    call.passed_over.append(name)  # Somebody has given it another's name.
                elif kept.evaluation.extras and (changed := self._outdated(call, kept)):
                    call.passed_over.append(name)
                    call.outdated += [] if foreign else changed
                else:
                    yield kept

    def _held(self, call: Call, key: Digest) -> list[Held]:
        """The evaluations of a key. Others' do not count where this project has forgotten its own."""
        index, owner = call.place.cache.evaluations, call.place.owner
        held = index.find(self._symbol, key, owner)
        if held and held[0].foreign and index.was_forgotten(self._symbol, key, owner):
            call.passed_over += [each.name for each in held if each.name not in call.passed_over]
        return held

    def _outdated(self, call: Call, kept: Kept) -> list[str]:
        """Definitions that were found to be needed only when the evaluation ran, and that are not as they were."""
        root, sensitivity = call.place.config.workspace, self._settings.version_sensitivity
        return [
            name
            for name, digest in kept.evaluation.extras
            if self._definitions.digest(name, root, sensitivity) != digest
        ]

    def _open(self, call: Call, kept: Kept) -> Found | None:
        try:
            value = self._load(call.place, kept)
        except (ObjectError, ResultUnreadable) as error:
            self._pass_over(call, kept.name, error, kept.foreign)
            return None
        except OSError as error:  # Too many open files, say: what is kept may be as good as ever.
            call.passed_over.append(kept.name)
            warn_once(f"{self._symbol}: a kept result cannot be read ({error})")
            return None
        recorder = current()
        if recorder is not None:  # What a call took when it ran belongs to who calls it, also when it need not run.
            adopt(dict(kept.evaluation.extras))
            for taken in kept.evaluation.snapshots:
                path = unquote_name(taken.path).decode("utf-8", "surrogateescape")
                recorder.took(taken.digest, int(taken.kind), taken.size, path)
        self.keep_warm(call.key, self._reused(call, kept) if kept.foreign else kept, value)
        return Found(value)

    def _reused(self, call: Call, kept: Kept) -> Kept:
        """This project's own evaluation with the result of another's; that one, where it cannot be made."""
        key = kept.evaluation.key
        if key in self._left_alone:
            return kept
        try:
            with UNDIVIDED:
                from hitsave.memoisation.reusing import reuse  # Other hits need nothing of it.
            known = [each.name for each in self._held(call, key) if each.foreign]
            code = call.dependencies if key == call.key else None
            experiment = self._settings.experiment
            own = reuse(call.place, kept, self.path_in(call.place), code, experiment, [*known, *call.passed_over])
            if own.name != kept.name:
                self.published(call.place, own)
            return own
        except (HitsaveError, OSError) as error:
            self._left_alone.add(key)
            warn_once(f"{self._symbol}: a result of another project is used, and not kept for this one ({error})")
            return kept

    def path_in(self, place: Place) -> str:
        """The function's file as refs have it; empty where its results are not to be shared."""
        return "" if self._settings.remote == "off" else place.path_of(self._file)

    def published(self, place: Place, kept: Kept) -> None:
        """What follows when an evaluation is new: it is sent, and the function kept within its limits, as was asked."""
        if self._settings.remote == "readwrite":
            from hitsave.memoisation.sharing import send

            if (ref := place.cache.ref(kept.name)) is not None:
                send(place, ref)
        if self._settings.keep is not None:
            from hitsave.memoisation.eviction import after_publish  # Few functions need it.

            after_publish(place, self._symbol, self._settings.keep, kept.digest)

    def own(self, call: Call) -> list[RefName]:
        """This project's evaluations of a call. What counts of others' alone becomes its own before."""
        names = [held.name for held in self._held(call, call.key) if not held.foreign]
        known = {call.key} if names else set()
        for kept in self.usable(call):
            key = kept.evaluation.key
            own = self._reused(call, kept) if kept.foreign and key not in known else kept
            if not own.foreign:
                known.add(key)
                names.append(own.name)
        return list(dict.fromkeys(names))

    def _load(self, place: Place, kept: Kept) -> object:
        try:
            return load_result(place, kept.evaluation)
        except ObjectNotFound:
            if self._settings.remote == "off":
                raise
            from hitsave.memoisation.sharing import fetch_result  # It came by a pull, which leaves results there.

            if not fetch_result(place, kept.name):
                raise
        return load_result(place, kept.evaluation)

    def drop_warm(self, key: Digest) -> None:
        """Forget what is in memory of a key."""
        self._warm.drop(key)

    def keep_warm(self, key: Digest, kept: Kept, value: object, pickled: Pickled | None = None) -> None:
        """Keep a small result in memory as well."""
        found = kept.evaluation
        if found.size <= LARGEST and not (found.buffers or found.snapshots or found.extras):
            self._warm.put(key, WarmResult((kept.name, *kept.words), value, (pickled or pickle_result(value)).pickle))

    def _pass_over(self, call: Call, name: RefName, error: ObjectError | ResultUnreadable, foreign: bool) -> None:
        """An evaluation that cannot be used: tell why, and let a good one take its place. Raises HitsaveError."""
        call.passed_over.append(name)
        if isinstance(error, CorruptObject):
            set_aside(call.place, error)  # Raises where no object is damaged, but the index that leads to it.
            call.lost += [] if foreign else [name]
            warn(f"{self._symbol}: a kept result is damaged, and is computed again ({error})")
        elif isinstance(error, ObjectNotFound):
            call.lost += [] if foreign else [name]  # Another project may have a remote with the result.
        else:
            warn(f"{self._symbol}: {error}")
