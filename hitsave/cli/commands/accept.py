"""`hitsave accept`."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from hitsave.amounts import count
from hitsave.cli.completing import Kind, completes
from hitsave.cli.evaluations import all_projects_option, find_function, show_differences, show_moment
from hitsave.cli.output import emit, emit_json, json_option, one_line
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.cache.evaluations import EvaluationIndex, EvaluationRow
    from hitsave.memoisation.calling import Caller
    from hitsave.memoisation.place import Place
    from hitsave.memoisation.withheld import Withheld
    from hitsave.objects.refs import Ref


@click.command("accept")
@click.argument("function", shell_complete=completes(Kind.FUNCTION))
@click.option(
    "--from", "code", metavar="CODE", help="The version whose results count, instead of the newest other one."
)
@click.option("--note", metavar="TEXT", default="", help="Why, for people.")
@click.option("-n", "--dry-run", is_flag=True, help="Only show what differs.")
@all_projects_option("Also versions of which other projects alone have results.")
@json_option
@pass_session
def command(
    session: Session, function: str, code: str | None, note: str, dry_run: bool, everything: bool, as_json: bool
) -> None:
    """Declare a change of a memoised function compatible, so that results of its code before count for the present one.

    FUNCTION is its module and name, as in train.fit, or the end of that where it is the only one. Its module is
    imported, as the programs of the workspace would import it, up to where that calls a memoised function: nothing is
    computed. It counts in this project alone. 'hitsave push' shares what was accepted with the team; 'hitsave forget'
    of the digest that is told takes it back.

    \b
    Examples:
      hitsave accept train.fit --dry-run
      hitsave accept train.fit --note "only renamed a variable"
      hitsave accept train.fit --from 90a1f5c
    """
    from hitsave.memoisation.accepting import accept, accepted_codes, count_of
    from hitsave.memoisation.place import place_for
    from hitsave.memoisation.withheld import calls_withheld

    place = place_for(Path.cwd())
    index, project = place.cache.evaluations, None if everything else place.project
    name = _name(index, project, function)
    with contextlib.redirect_stdout(sys.stderr), calls_withheld() as withheld:
        caller = _find(place, name, withheld)
        present = caller.fingerprint()
    row = _version(index, project, caller, present.digest, code)
    path = caller.results.path_in(place)
    before = {accepted.code for accepted in accepted_codes(place, caller.symbol, present.digest)}
    known = row is None or row.code in before
    if as_json:
        made = None
        if row is not None and not known and not dry_run:
            made = accept(place, caller.symbol, path, row.code, present, note)
        counting = 0 if made is None else count_of(place, caller.symbol, present.digest, before)
        emit_json(_as_json(caller.symbol, None if known else row, present.digest, made, counting))
        return
    symbol = one_line(caller.symbol)
    if row is None or row.code in before:
        reason = _why_nothing(index, project, caller.symbol, present.digest, row)
        session.say(f"{symbol}: nothing to accept: {reason}")
        return
    if not session.quiet:
        _show_change(place, caller, row)
    old, new = row.code.hex()[:7], present.digest.hex()[:7]
    if dry_run:
        emit(f"{symbol}: results of code {old} would count for code {new}")
        return
    ref = accept(place, caller.symbol, path, row.code, present, note)
    emit(f"{symbol}: results of code {old} count for code {new}")
    again = count(count_of(place, caller.symbol, present.digest, before), "evaluation")
    session.say(f"{again} by that; 'hitsave forget {ref.digest.short}' takes it back, 'hitsave push' shares it")


def _as_json(function: str, row: EvaluationRow | None, new: bytes, ref: Ref | None, evaluations: int) -> dict[str, Any]:
    """What is to be accepted, if anything; `accepted` is the acceptance, whose digest takes it back."""
    return {
        "function": function,
        "from": None if row is None else str(row.code),
        "code": new.hex(),
        "accepted": None if ref is None else str(ref.digest),
        "evaluations": evaluations,
    }


def _why_nothing(
    index: EvaluationIndex, project: str | None, function: str, present: bytes, row: EvaluationRow | None
) -> str:
    if row is not None:
        return f"code {row.code.hex()[:7]} counts already"
    if project is not None and any(other.code != present for other in index.codes(function)):
        return "this project keeps no other version of its code; --all looks at those of others, too"
    return "no other version of its code is kept"


def _name(index: EvaluationIndex, project: str | None, function: str) -> str:
    from hitsave.errors import RefError

    try:
        return find_function(index, project, function)
    except RefError:
        names = index.names(project)
        if "." in function and not any(name.endswith(f".{function}") for name in names):
            return function
        raise


def _version(
    index: EvaluationIndex, project: str | None, caller: Caller, present: bytes, text: str | None
) -> EvaluationRow | None:
    """The newest evaluation of the version that is to be accepted. Raises RefError."""
    from hitsave.errors import RefError

    others = [row for row in index.codes(caller.symbol, project) if row.code != present]
    if text is None:
        return others[0] if others else None
    if present.hex().startswith(text.lower()):
        raise RefError(f"{text} is the present code of {caller.symbol}")
    found = [row for row in others if row.code.hex().startswith(text.lower())]
    if len(found) == 1:
        return found[0]
    there = ", ".join(f"{row.code.hex()[:7]} ({show_moment(row.started)})" for row in found or others)
    what = (
        f"{text} could be {there}" if found else f"{caller.symbol} has no code {text} (there is {there or 'no other'})"
    )
    raise RefError(what)


def _show_change(place: Place, caller: Caller, row: EvaluationRow) -> None:
    from hitsave.memoisation.explaining.nearest import code_against

    differences = code_against(place, row, caller.fingerprint())
    show_differences([f"  {line}" for each in differences for line in each.lines()], to_stderr=True)


# -- finding the function


def _find(place: Place, name: str, withheld: Withheld) -> Caller:
    """What calls a function, by its module and name. Raises WorkspaceError."""
    from hitsave.errors import WorkspaceError

    if "<locals>" in name:
        raise WorkspaceError(f"{name} is made by a function; call its accept() where it is made")
    sys.path[:0] = [str(folder) for folder in _folders(place, name)]
    sys.argv = [name]
    module, rest = _import_module(name, withheld)
    found: Any = module
    for part in rest:
        found = getattr(found, part, None)
    found = getattr(found, "__func__", found)
    while found is not None and not getattr(type(found), "_keeps_results", False):
        found = getattr(found, "__wrapped__", None)
    if found is None and withheld.modules:
        raise WorkspaceError(
            f"{module.__name__} calls a memoised function while it is imported, before {'.'.join(rest)} is defined; "
            "put such calls under: if __name__ == '__main__'"
        )
    if found is None:
        raise WorkspaceError(f"{module.__name__} has no memoised function {'.'.join(rest)}")
    caller: Caller = found._begin()
    return caller


def _folders(place: Place, name: str) -> Iterator[Path]:
    """Where the workspace's programs find their modules: also the folder from which evaluations of it came."""
    from hitsave.objects.refs import unquote_name

    root = place.config.workspace
    yield from dict.fromkeys((Path.cwd(), root, root / "src"))
    for row in place.cache.evaluations.newest(name, 1, place.project):
        ref = place.cache.ref(row.name)
        if ref is not None and place.repository.project.has_path(ref):
            file = root / unquote_name(ref.path.partition("/")[2]).decode("utf-8", "surrogateescape")
            inner = file.parent if file.name == "__init__.py" else file
            if inner.with_suffix("").name in name.split("."):
                yield inner.parents[name.split(".").index(inner.with_suffix("").name)]


def _import_module(name: str, withheld: Withheld) -> tuple[ModuleType, list[str]]:
    """The longest beginning of a name that is a module, imported, and the rest of the name.

    An import that calls a memoised function ends there; its modules have what they had defined by then.
    """
    from hitsave.errors import WorkspaceError

    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:length])
        try:
            found = _import_up_to_a_call(module, withheld)
            if found is not None:
                return found, parts[length:]
        except ModuleNotFoundError as error:
            if error.name is not None and not f"{module}.".startswith(f"{error.name}."):
                raise WorkspaceError(f"{module} cannot be imported here ({error})") from None
        except (Exception, SystemExit) as error:
            raise WorkspaceError(f"{module} cannot be imported here ({type(error).__name__}: {error})") from None
    raise WorkspaceError(f"there is no module {'.'.join(parts[:-1]) or name} here; run this where its programs run")


def _import_up_to_a_call(name: str, withheld: Withheld) -> ModuleType | None:
    """A module; None where there is none of that name."""
    from hitsave.memoisation.withheld import CallWithheld

    while True:
        try:
            return importlib.import_module(name) if importlib.util.find_spec(name) is not None else None
        except CallWithheld:
            withheld.restore()  # What is there already is not imported again: each round gets further.
