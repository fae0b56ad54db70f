"""The earlier evaluation that a call is compared with, to say why it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hitsave.cache.evaluations import EvaluationRow
from hitsave.errors import HitsaveError
from hitsave.memo.code.dependency import Dependency
from hitsave.memo.explaining import Cause, Difference, Explanation, compare_arguments, compare_code
from hitsave.memo.keeping import load_dependencies
from hitsave.memo.place import Place
from hitsave.memo.reading import load_evaluation
from hitsave.objects.digest import Digest
from hitsave.objects.evaluation import ShownArgument

#: Among so many evaluations, the one whose arguments differ least is looked for.
_COMPARED = 10


class Wanted(NamedTuple):
    """A call that found no result. `outdated` names definitions that only a run could find, and that have changed."""

    function: str
    code: Digest
    arguments: Digest
    dependencies: Sequence[Dependency]
    shown: tuple[ShownArgument, ...]
    outdated: tuple[str, ...] = ()


def explain_miss(place: Place, wanted: Wanted, cause: Cause | None) -> Explanation:
    """Why a call runs. `cause` is given where it is known already."""
    try:
        row = _nearest(place, wanted)
        if row is None:
            return Explanation(wanted.function, cause or Cause.FIRST)
        nearest = load_evaluation(place, row.name, row.digest).evaluation
        changed = compare_arguments(nearest.shown, wanted.shown)
        new = {(each.kind.value, each.name): each for each in wanted.dependencies}
        code = compare_code(load_dependencies(place, nearest), new)
        code += [Difference("definition", name, "as it was", "changed") for name in wanted.outdated]
    except HitsaveError:  # What cannot be read cannot be compared with.
        return Explanation(wanted.function, cause or Cause.FIRST)
    return Explanation(wanted.function, cause or _cause(code, changed), row.digest.hex(), (*code, *changed))


def _cause(code: list[Difference], changed: list[Difference]) -> Cause:
    if code and changed:
        return Cause.BOTH
    return Cause.CODE if code else Cause.ARGUMENTS


def _nearest(place: Place, wanted: Wanted) -> EvaluationRow | None:
    """The newest with the same arguments, or else, of the newest with the same code, the one that is most alike."""
    index = place.cache.evaluations
    if same := index.same_arguments(wanted.function, wanted.arguments, 1):
        return same[0]
    rows = index.same_code(wanted.function, wanted.code, _COMPARED) or index.newest(wanted.function, _COMPARED)

    def unlike(row: EvaluationRow) -> int:
        shown = load_evaluation(place, row.name, row.digest).evaluation.shown
        return len(compare_arguments(shown, wanted.shown))

    return min(rows, key=unlike, default=None)
