"""How results look: one line each on stdout, or JSON."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import click

from hitsave.amounts import TURNING
from hitsave.cli.completing import Kind, completes
from hitsave.cli.paths import GivenPath

_Command = TypeVar("_Command", bound=Callable[..., Any])
#: What a terminal would do something for, and what would make it show a text otherwise than it is.
_UNSEEN = rf"\x00-\x1f\x7f-\x9f{TURNING}"
_CONTROL_ALONE = re.compile(f"[{_UNSEEN}]")
_CONTROL = re.compile(rf'[{_UNSEEN}"\\]')
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}

#: For commands that a program might read.
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
#: What `--remote` without a name gives: the default remote.
DEFAULT_REMOTE = ""
#: One or more paths, none of which need exist.
paths_argument = click.argument(
    "paths",
    nargs=-1,
    type=GivenPath(),
    metavar="[PATH]...",
    shell_complete=completes(Kind.DATASET),
)
#: `--remote NAME`, of the default remote without it.
named_remote_option = click.option(
    "--remote",
    metavar="NAME",
    help="The remote; the first one where none is named.",
    shell_complete=completes(Kind.REMOTE),
)


def part_options(command: _Command) -> _Command:
    """`--include` and `--exclude`, as `globs` and `excluded`."""
    exclude = click.option("--exclude", "excluded", multiple=True, metavar="GLOB", help="No files that match.")
    include = click.option(
        "--include", "globs", multiple=True, metavar="GLOB", help="Only files that match, as in .gitignore."
    )
    return include(exclude(command))


def remote_option(help_text: str) -> Callable[[_Command], _Command]:
    """`--remote [NAME]`: None where it is not given, DEFAULT_REMOTE without a name."""
    return click.option(
        "--remote",
        metavar="[NAME]",
        is_flag=False,
        flag_value=DEFAULT_REMOTE,
        help=help_text,
        shell_complete=completes(Kind.REMOTE),
    )


class Tone(Enum):
    """How a piece of text is meant; the value is what a terminal shows it in."""

    GOOD = "green"
    BAD = "red"
    CHANGED = "yellow"
    MOVED = "cyan"
    NAME = "blue"
    HEAD = "bold"
    ASIDE = "dim"


#: The tones of the kinds of change, and of the states of a dataset, as commands name them.
TONES = {
    "added": Tone.GOOD,
    "removed": Tone.BAD,
    "missing": Tone.BAD,
    "changed": Tone.CHANGED,
    "modified": Tone.CHANGED,
    "mode": Tone.CHANGED,
    "partial": Tone.CHANGED,
    "renamed": Tone.MOVED,
}


def is_coloured(err: bool = False) -> bool:
    """Whether stdout (with `err`, stderr) is to be coloured: a terminal that can, unless the user says otherwise.

    NO_COLOR says no; CLICOLOR_FORCE and FORCE_COLOR say yes, also for what is no terminal.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in ("", "0") for name in ("CLICOLOR_FORCE", "FORCE_COLOR")):
        return True
    if os.environ.get("TERM") == "dumb" or os.environ.get("CLICOLOR") == "0":
        return False
    return (sys.stderr if err else sys.stdout).isatty()


def paint(text: str, tone: Tone | None, err: bool = False) -> str:
    """Text in a tone, where stdout (with `err`, stderr) is coloured; as it is elsewhere. For `emit`, not for JSON."""
    if tone is None or not text or not is_coloured(err):
        return text
    if tone in (Tone.HEAD, Tone.ASIDE):
        return click.style(text, bold=tone is Tone.HEAD or None, dim=tone is Tone.ASIDE or None)
    return click.style(text, fg=tone.value, bold=tone is Tone.NAME or None)


def emit(text: str, err: bool = False) -> None:
    """One line on stdout, or stderr."""
    click.echo(text, err=err, color=is_coloured(err))


def emit_line(text: str) -> None:
    """One line of a file's content on stdout, as it is."""
    sys.stdout.write(text + "\n")


def emit_nul(text: str) -> None:
    """Text on stdout as it is, ended by NUL, for programs."""
    sys.stdout.write(text + "\0")  # click would take control sequences out of names.


def one_line(text: str) -> str:
    """Text that stays on its line and sends nothing to a terminal that is not to be seen."""
    return _CONTROL_ALONE.sub(_escape, text)


def emit_json(value: Any) -> None:
    """A value on stdout. Names that are not UTF-8 hold lone surrogates, as `os.fsdecode` makes them."""
    click.echo(json.dumps(value, indent=2))


def show_path(path: Path | bytes | str) -> str:
    """A path on one line: as seen from here where that is shorter; quoted nearly as git does where it has to be."""
    text = os.fsdecode(path)
    if os.path.isabs(text):
        inside = os.path.relpath(text)
        text = min(inside, text, key=len)
    if not _CONTROL_ALONE.search(text):
        return text
    return f'"{_CONTROL.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    return _NAMED.get(found[0], f"\\{number:03o}" if number < 0x80 else f"\\u{number:04x}")
