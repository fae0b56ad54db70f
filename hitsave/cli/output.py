"""How results look: one line each on stdout, or JSON."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from hitsave.cli.completing import Kind, completes

_Command = TypeVar("_Command", bound=Callable[..., Any])
_CONTROL_ALONE = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL = re.compile(r'[\x00-\x1f\x7f"\\]')
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}

#: For commands that a program might read.
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
#: What `--remote` without a name gives: the default remote.
DEFAULT_REMOTE = ""
#: One or more paths, none of which need exist.
paths_argument = click.argument(
    "paths",
    nargs=-1,
    type=click.Path(path_type=Path),
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


def emit(text: str) -> None:
    """One line on stdout."""
    click.echo(text)


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
    """A path on one line: relative where it lies below; quoted as git does where it holds control characters."""
    text = os.fsdecode(path)
    if os.path.isabs(text):
        inside = os.path.relpath(text)
        text = text if inside.startswith("..") else inside
    if not _CONTROL_ALONE.search(text):
        return text
    return f'"{_CONTROL.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    return _NAMED.get(found[0], f"\\{ord(found[0]):03o}")


def show_size(size: int) -> str:
    """Bytes for people: 999 B, 1.2 kB, 3.4 GB."""
    if size < 1000:
        return f"{size} B"
    amount = float(size)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        amount /= 1000
        if amount < 999.5:
            return f"{amount:.1f} {unit}"
    return f"{amount:.0f} PB"


def count(number: int, what: str) -> str:
    """`1 file`, `3 files`."""
    return f"{number} {what}" if number == 1 else f"{number:,} {what}s"
