"""The earlier evaluation that a call is compared with, to say why it runs, or why it ran.

A hundred thousand calls with new arguments must not pay for that: a new call of known code reads nothing, and what
changed between two versions of the code is found out once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from hitsave.cache.evaluations import Chosen, EvaluationRow, Order
from hitsave.errors import HitsaveError
from hitsave.memoisation.code.dependency import Dependency, digest_of
from hitsave.memoisation.code.fingerprint import Fingerprint
from hitsave.memoisation.explaining.differences import Difference, compare_arguments, compare_code
from hitsave.memoisation.explaining.explanation import Cause, Explanation
from hitsave.memoisation.explaining.reasons import decode_reason
from hitsave.memoisation.manifest import decode_manifest
from hitsave.memoisation.place import Place
from hitsave.memoisation.reading import load_evaluation
from hitsave.objects.digest import Digest
from hitsave.objects.evaluation import Evaluation, ShownArgument

#: Among so many evaluations, the one whose arguments differ least is looked for.
_COMPARED = 10
_MOST_KNOWN = 64

_Known = OrderedDict[tuple[Digest, tuple[Dependency, ...]], tuple[Difference, ...]]
_known: _Known = OrderedDict()


class Wanted(NamedTuple):
    """A call that found no result. `outdated` names definitions that only a run could find, and that have changed."""

    function: str
    code: Digest
    arguments: Digest
    dependencies: Sequence[Dependency]
    shown: Callable[[], tuple[ShownArgument, ...]]
    outdated: tuple[str, ...] = ()


def explain_run(place: Place, wanted: Wanted, cause: Cause | None) -> Explanation:
    """Why a call is about to run. `cause` is given where it is known already."""
    return _explain(place, wanted, cause, own=True, brief=True)


def explain_miss(place: Place, wanted: Wanted, cause: Cause | None) -> Explanation:
    """As `explain_run`, also with what sets a new call apart from the nearest one of the same code.

    Where this project has none of the function, that may be another project's. What is kept never compares with such,
    since it is pushed: the other's code is not this project's to show.
    """
    found = _explain(place, wanted, cause, own=True, brief=False)
    if found.cause is not Cause.FIRST:
        return found
    others = _explain(place, wanted, cause, own=False, brief=False)
    return replace(others, elsewhere=others.cause is not Cause.FIRST)


def _explain(place: Place, wanted: Wanted, cause: Cause | None, own: bool, brief: bool) -> Explanation:
    function, index = wanted.function, place.cache.evaluations
    if cause is Cause.FRESH:
        return Explanation(function, cause)
    try:
        project = place.project if own else None
        if same := index.same_arguments(function, wanted.arguments, 1, project):
            return _compared(place, wanted, same[0], cause)
        if index.same_code(function, wanted.code, 1, project):
            if brief:
                return Explanation(function, Cause.ARGUMENTS)
            rows = index.same_code(function, wanted.code, _COMPARED, project)
            return _most_alike(place, function, rows, wanted.shown())
        rows = index.newest(function, _COMPARED, project)
        if not rows:
            return Explanation(function, cause or Cause.FIRST)
        alike = _most_alike(place, function, rows, wanted.shown())
        row = next(row for row in rows if row.digest.hex() == alike.nearest)
        code = _code_since(place, wanted, row)
        since = row.code.hex()
        return Explanation(function, Cause.BOTH, alike.nearest, (*code, *alike.differences), since)
    except HitsaveError:  # What cannot be read cannot be compared with.
        return Explanation(function, cause or Cause.FIRST)


def _compared(place: Place, wanted: Wanted, row: EvaluationRow, cause: Cause | None) -> Explanation:
    """A call whose arguments are known: what has changed since is the code."""
    # Of a module as a whole, the name of what is in it is empty.
    outdated = (Difference("definition", name.removesuffix(":"), "as it was", "changed") for name in wanted.outdated)
    code = (*outdated, *(_code_since(place, wanted, row) if row.code != wanted.code else ()))
    cause = cause or (Cause.CODE if row.code != wanted.code else Cause.LOST)
    return Explanation(wanted.function, cause, row.digest.hex(), code, row.code.hex())


def _code_since(place: Place, wanted: Wanted, row: EvaluationRow) -> tuple[Difference, ...]:
    manifest = load_evaluation(place, row.name, row.digest).evaluation.manifest.digest
    key = (manifest, tuple(wanted.dependencies))
    known = _known.get(key)
    if known is None:
        new = {(each.kind.value, each.name): each for each in wanted.dependencies}
        known = tuple(compare_code(decode_manifest(place.cache.read(manifest)), new, wanted.function))
        _known[key] = known
        while len(_known) > _MOST_KNOWN:
            _known.popitem(last=False)
    return known


def _most_alike(
    place: Place, function: str, rows: Iterable[EvaluationRow], shown: tuple[ShownArgument, ...]
) -> Explanation:
    """What sets a call apart from the one of these whose arguments differ least. Raises ObjectError."""

    def differences(row: EvaluationRow) -> tuple[EvaluationRow, list[Difference]]:
        return row, compare_arguments(load_evaluation(place, row.name, row.digest).evaluation.shown, shown)

    row, found = min(map(differences, rows), key=lambda pair: len(pair[1]))
    return Explanation(function, Cause.ARGUMENTS, row.digest.hex(), tuple(found), row.code.hex())


# -- later


def code_against(place: Place, row: EvaluationRow, present: Fingerprint) -> list[Difference]:
    """What differs between the code of an evaluation and the present one. Raises ObjectError, RemoteError.

    A manifest also has what functions and classes in the arguments depend on, which is no part of the code.
    """
    evaluation = load_evaluation(place, row.name, row.digest).evaluation
    old = decode_manifest(place.repository.load(evaluation.manifest.digest))
    new = {(each.kind.value, each.name): each for each in present.dependencies}
    if digest_of(tuple(sorted(old.values(), key=lambda each: each[:2]))) != row.code:
        old = {key: each for key, each in old.items() if key in new}
    return compare_code(old, new, row.function)


def reason_of(place: Place, row: EvaluationRow, evaluation: Evaluation) -> Explanation:
    """Why an evaluation ran: as it was found then; of a new call, what sets it apart from those before it.

    Raises ObjectError, RemoteError.
    """
    if evaluation.reason is not None:
        return decode_reason(place.repository.load(evaluation.reason.digest))
    earlier = Chosen(function=row.function, code=row.code, before=row.started, project=row.project or None)
    rows = place.cache.evaluations.listed(earlier, Order.TIME, _COMPARED)
    if not rows:
        return Explanation(row.function, Cause.ARGUMENTS)
    return _most_alike(place, row.function, rows, evaluation.shown)
