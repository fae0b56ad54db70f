"""`hitsave evals`."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitsave.amounts import count, show_duration, show_size
from hitsave.cli.completing import Kind, completes
from hitsave.cli.evaluations import (
    all_projects_option,
    emit_table,
    find_function,
    show_arguments,
    show_moment,
    show_project,
)
from hitsave.cli.output import emit_json, json_option, one_line
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.cache.evaluations import EvaluationIndex, EvaluationRow, FunctionTotals
    from hitsave.memoisation.place import Place
    from hitsave.objects.digest import Digest
    from hitsave.objects.evaluation import Evaluation

_SORTS = ("time", "elapsed", "size", "function")
_LONGEST = 60


def _since(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    from hitsave.limits import parse_age

    try:
        return None if value is None else time.time_ns() // 1000 - parse_age(value) * 1_000_000
    except ValueError as error:
        raise click.BadParameter(f"{error}, not {value!r}") from None


@click.command("evals")
@click.argument("function", required=False, shell_complete=completes(Kind.FUNCTION))
@click.option(
    "--sort", type=click.Choice(_SORTS), default=None, help="The newest, slowest or largest first, or by name."
)
@click.option("-n", "--limit", metavar="N", type=click.IntRange(min=0), default=None, help="At most N (20); 0 for all.")
@click.option("--since", metavar="TIME", callback=_since, help="Of the last 7d, 12h, 30m.")
@click.option("--code", metavar="DIGEST", help="Of one version of the code, which may be abbreviated.")
@click.option("--experiments", is_flag=True, help="Experiments alone.")
@all_projects_option("Of functions of all projects.")
@click.option("--metrics", is_flag=True, help="Also the numbers in the results; --json has those of arguments, too.")
@json_option
@pass_session
def command(
    session: Session,
    function: str | None,
    sort: str | None,
    limit: int | None,
    since: int | None,
    code: str | None,
    experiments: bool,
    everything: bool,
    metrics: bool,
    as_json: bool,
) -> None:
    """List what is kept of this project's memoised functions; with --all, of all projects'.

    Without anything, a line for each function: how many evaluations there are, how long they took to compute, how large
    their results are, and when it last ran. With FUNCTION (or the end of its name, where it is the only one), or with
    any option, a line for each evaluation.

    \b
    Examples:
      hitsave evals
      hitsave evals train.fit --sort elapsed -n 5
      hitsave evals train.fit --metrics
      hitsave evals --since 7d --experiments
    """
    from hitsave.cache.evaluations import Chosen, Order
    from hitsave.memoisation.place import place_for

    place = place_for(Path.cwd())
    index, project = place.cache.evaluations, None if everything else place.project
    if (function, sort, limit, since, code) == (None,) * 5 and not (experiments or metrics):
        totals = index.totals(project)
        _show_functions(session, totals, everything, as_json)
        if not totals and not as_json and not everything and index.names():
            session.say("--all lists those of other projects")
        return
    name = None if function is None else find_function(index, project, function)
    version = None if code is None else _code(index, project, name, code)
    chosen = Chosen(name, version, since, None, experiments, project)
    most = 20 if limit is None else limit or None
    rows = index.listed(chosen, Order[(sort or "time").upper()], most)
    _show_evaluations(session, place, rows, (everything, name is None, metrics), as_json)
    if not rows and not as_json and project is not None and index.listed(chosen._replace(project=None), Order.TIME, 1):
        session.say("--all lists those of other projects")
    if most == len(rows) and limit is None:
        session.say(f"these are {most}; '--limit N' shows more, or all with 0")


def _code(index: EvaluationIndex, project: str | None, function: str | None, text: str) -> Digest:
    """A version of the code by the beginning of its digest. Raises RefError."""
    from hitsave.errors import RefError

    names = index.names(project) if function is None else [function]
    rows = [row for name in names for row in index.codes(name, project)]
    found = {row.code for row in rows if row.code.hex().startswith(text.lower())}
    if len(found) == 1:
        return found.pop()
    if found:
        raise RefError(f"{text} could be {', '.join(sorted(code.hex()[:12] for code in found))}; write more digits")
    raise RefError(f"nothing is kept of code {text}")


def _show_functions(session: Session, totals: list[FunctionTotals], everything: bool, as_json: bool) -> None:
    if as_json:
        emit_json([{**each._asdict(), "project": _project(each.project)} for each in totals])
        return
    if not totals:
        session.say(f"nothing is kept of any function{'' if everything else ' of this project'} yet")
        return
    head = ["LAST RUN", "PROJECT", "FUNCTION", "EVALUATIONS", "COMPUTED IN", "SIZE"]
    rows = [
        [
            show_moment(each.last),
            show_project(each.project),
            one_line(each.function),
            f"{each.evaluations:,}",
            show_duration(each.elapsed),
            show_size(each.size),
        ]
        for each in totals
    ]
    _leave_out(1, everything, head, rows)
    emit_table(session, head, rows, right=("EVALUATIONS", "COMPUTED IN", "SIZE"))
    number, experiments = sum(each.evaluations for each in totals), sum(each.experiments for each in totals)
    elapsed, size = sum(each.elapsed for each in totals), sum(each.size for each in totals)
    which = f" ({count(experiments, 'experiment')})" if experiments else ""
    session.say(f"{count(number, 'evaluation')}{which}: computed in {show_duration(elapsed)}, {show_size(size)}")


def _leave_out(column: int, wanted: bool, head: list[str], rows: list[list[str]]) -> None:
    """Take a column out of a table, unless it is wanted."""
    if not wanted:
        for line in (head, *rows):
            del line[column]


def _project(quoted: str) -> str | None:
    return show_project(quoted) if quoted else None


def _show_evaluations(
    session: Session, place: Place, rows: list[EvaluationRow], columns: tuple[bool, bool, bool], as_json: bool
) -> None:
    """List evaluations. `columns` says whether their projects, functions and metrics are wanted."""
    from hitsave.errors import ObjectError
    from hitsave.memoisation.reading import load_evaluation

    found: list[tuple[EvaluationRow, Evaluation]] = []
    for row in rows:
        try:
            found.append((row, load_evaluation(place, row.name, row.digest).evaluation))
        except ObjectError as error:
            session.say(one_line(f"{row.name}: {error}"))
    if as_json:
        emit_json([_as_json(place, *each) for each in found])
        return
    if not found:
        session.say("there are none")
        return
    projects, functions, metrics = columns
    head = ["WHEN", "PROJECT", "FUNCTION", "ARGUMENTS", "ELAPSED", "SIZE", "CODE", "BY"]
    table = [_cells(*each) for each in found]
    if metrics:
        head.append("METRICS")
        for line, (_, evaluation) in zip(table, found, strict=True):
            line.append(_metrics_line(place, evaluation))
    _leave_out(2, functions, head, table)
    _leave_out(1, projects, head, table)
    emit_table(session, head, table, right=("ELAPSED", "SIZE"))


def _cells(row: EvaluationRow, evaluation: Evaluation) -> list[str]:
    return [
        show_moment(row.started),
        show_project(row.project),
        one_line(row.function),
        show_arguments(evaluation.shown, _LONGEST),
        show_duration(row.elapsed),
        show_size(row.size),
        row.code.hex()[:7],
        one_line(evaluation.by) + (" (experiment)" if row.experiment else ""),
    ]


def _metrics(place: Place, evaluation: Evaluation) -> dict[str, int | float | str] | None:
    """The numbers by their paths, those that are not finite as text; None where nothing is known of them."""
    from hitsave.memoisation.reading import load_display

    display = load_display(place, evaluation)
    if display is None:
        return None
    return {path: value if math.isfinite(value) else str(value) for path, value in display.metrics.items()}


def _metrics_line(place: Place, evaluation: Evaluation) -> str:
    """The numbers in the result, on one line."""
    found = _metrics(place, evaluation) or {}
    shown = {path.removeprefix("result."): value for path, value in found.items() if path.startswith("result")}
    texts = [f"{path}={value:.6g}" if type(value) is float else f"{path}={value}" for path, value in shown.items()]
    line = one_line(", ".join(texts))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def _as_json(place: Place, row: EvaluationRow, evaluation: Evaluation) -> dict[str, Any]:
    return {
        "function": row.function,
        "project": _project(row.project),
        "digest": str(row.digest),
        "name": str(row.name),
        "started": row.started,
        "elapsed": row.elapsed,
        "size": row.size,
        "code": str(row.code),
        "arguments": [{"name": each.name, "digest": str(each.digest), "text": each.text} for each in evaluation.shown],
        "metrics": _metrics(place, evaluation),
        "experiment": row.experiment,
        "by": evaluation.by,
        "git_commit": evaluation.git,
        "python": evaluation.python,
    }
