"""`hitsave why`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitsave.amounts import show_duration
from hitsave.cli.completing import Kind, completes
from hitsave.cli.evaluations import all_projects_option, find_function, show_arguments, show_differences, show_moment
from hitsave.cli.output import Tone, emit, emit_json, json_option, one_line, paint
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.cache.evaluations import EvaluationRow
    from hitsave.memoisation.explaining.explanation import Explanation
    from hitsave.objects.evaluation import Evaluation

_LONGEST = 100


@click.command("why")
@click.argument("function", shell_complete=completes(Kind.FUNCTION))
@click.option("--last", metavar="N", type=click.IntRange(min=1), default=1, help="Of the newest N runs.")
@all_projects_option("Of a function of any project.")
@json_option
@pass_session
def command(session: Session, function: str, last: int, everything: bool, as_json: bool) -> None:
    """Show why a memoised function last ran: what had changed since the run before, old against new.

    FUNCTION is its module and name, as in train.fit, or the end of that where it is the only one in this project.
    Nothing is imported or run, so this works on machines to which the evaluations were pulled.

    \b
    Examples:
      hitsave why train.fit
      hitsave why fit --last 3
    """
    from hitsave.memoisation.explaining.nearest import reason_of
    from hitsave.memoisation.place import place_for
    from hitsave.memoisation.reading import load_evaluation

    place = place_for(Path.cwd())
    index = place.cache.evaluations
    project = None if everything else place.project
    rows = index.newest(find_function(index, project, function), last, project)
    told = []
    for row in rows:
        evaluation = load_evaluation(place, row.name, row.digest).evaluation
        told.append((row, evaluation, reason_of(place, row, evaluation)))
    if as_json:
        emit_json([_as_json(*each) for each in told])
        return
    for number, each in enumerate(told):
        if number:
            emit("")
        _show(*each)


def _show(row: EvaluationRow, evaluation: Evaluation, reason: Explanation) -> None:
    call = f"{row.function}({show_arguments(evaluation.shown, _LONGEST)})"
    verdict = "did not run:" if reason.cause.value == "reused" else "ran because"
    emit(f"{one_line(call)} {verdict} {one_line(reason.sentence)}")
    code = row.code.hex()[:7]
    if reason.since and reason.since != row.code.hex():
        code = f"{reason.since[:7]} -> {code}"
    facts = [show_moment(row.started), show_duration(row.elapsed), f"code {code}", f"by {evaluation.by}"]
    emit(paint(f"  {', '.join(map(one_line, facts))}", Tone.ASIDE))
    show_differences(reason.lines())


def _as_json(row: EvaluationRow, evaluation: Evaluation, reason: Explanation) -> dict[str, Any]:
    return {
        "function": row.function,
        "digest": str(row.digest),
        "started": row.started,
        "elapsed": row.elapsed,
        "by": evaluation.by,
        "git_commit": evaluation.git,
        "code": str(row.code),
        "since": reason.since or None,
        "cause": reason.cause.value,
        "because": reason.sentence,
        "differences": [
            {"kind": each.kind, "name": each.name, "was": each.was or None, "old": each.old, "new": each.new}
            for each in reason.differences
        ],
        "omitted": reason.omitted,
    }
