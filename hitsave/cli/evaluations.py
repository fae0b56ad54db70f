"""What the commands for evaluations share: names of functions, and how times and arguments look."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hitsave.cli.output import Tone, emit, one_line, paint

if TYPE_CHECKING:
    from hitsave.cache.evaluations import EvaluationIndex
    from hitsave.cli.session import Session
    from hitsave.objects.evaluation import ShownArgument

Command = TypeVar("Command", bound=Callable[..., Any])

_MOST_NAMED = 10
_LONGEST_VALUE = 40
_SIGNED = re.compile(r" {6}([-+])")


def all_projects_option(text: str) -> Callable[[Command], Command]:
    """`--all`: functions of whatever project."""
    return click.option("--all", "everything", is_flag=True, help=text)


def find_function(index: EvaluationIndex, project: str | None, text: str) -> str:
    """The one of a project's functions that is called so, or whose name ends so; without a project, of all.

    Raises RefError, which lists candidates.
    """
    from hitsave.errors import RefError

    names = index.names(project)
    found = _called(names, text)
    if len(found) == 1:
        return found[0]
    if found:
        more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise RefError(f"{text} could be {', '.join(found[:_MOST_NAMED])}{more}; name one of them")
    if project is not None and _called(index.names(), text):
        raise RefError(f"nothing is kept of a function {text} of this project; --all looks at those of others, too")
    raise RefError(f"nothing is kept of a function {text}{_near(names, text)}")


def _called(names: Sequence[str], text: str) -> list[str]:
    return [text] if text in names else [name for name in names if name.endswith(f".{text}")]


def show_project(quoted: str) -> str:
    """A project as its owner calls it; a dash where none is known."""
    from hitsave.objects.refs import unquote_name

    return one_line(unquote_name(quoted).decode("utf-8", "replace")) if quoted else "-"


def _near(names: Sequence[str], text: str) -> str:
    import difflib

    short = {name.rpartition(".")[2]: name for name in names}
    near = difflib.get_close_matches(text, names, 1) or difflib.get_close_matches(text, short, 1)
    if near:
        return f"; did you mean {short.get(near[0], near[0])}?"
    return "; 'hitsave evals' lists those that there are" if names else ""


def show_moment(microseconds: int) -> str:
    """A time as the clock on the wall has it, to the minute."""
    return f"{datetime.fromtimestamp(microseconds / 1e6):%Y-%m-%d %H:%M}"


def show_arguments(shown: Sequence[ShownArgument], longest: int) -> str:
    """Arguments as in a call, on one line."""
    texts = []
    for each in shown:
        text = one_line(each.text)
        text = text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."
        texts.append(f"{each.name}={text}")
    found = ", ".join(texts)
    return found if len(found) <= longest else found[: longest - 3] + "..."


def show_differences(lines: Sequence[str], to_stderr: bool = False) -> None:
    """Lines of an explanation; on a terminal, what came and what went is coloured."""
    for line in lines:
        text = one_line(line.expandtabs(4))
        signed = _SIGNED.match(text)
        tone = None if signed is None else Tone.GOOD if signed[1] == "+" else Tone.BAD
        emit(paint(text, tone, to_stderr), to_stderr)


def emit_table(session: Session, head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> None:
    """Columns with a head, those that are called as in `right` aligned to the right. The head goes to stderr."""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    for row in (head, *rows):
        cells = [
            cell.rjust(width) if head[at] in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        line = "  ".join(cells).rstrip()
        if row is head:
            session.say(paint(line, Tone.HEAD, err=True))
        else:
            emit(line)
