"""Errors become one line on stderr and an exit code. A traceback is shown for what is a fault of hitsave's own."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback

import click

from hitsave.cli.output import one_line
from hitsave.cli.signals import exit_code, outcome
from hitsave.errors import AmbiguousDigest, ConfigError, HitsaveError, RefError, WorkspaceError

FAILED = 1
WRONG_USAGE = 2

#: Of settings, names and working files. Where in hitsave that was noticed helps nobody.
_PLAIN_MISTAKES = (ConfigError, WorkspaceError, RefError, AmbiguousDigest)
_HINTS = {
    errno.ENOSPC: "the disk is full; nothing was half-written, free some space and run it again",
    errno.EDQUOT: "your quota is used up; nothing was half-written, free some space and run it again",
    errno.EROFS: "the file system is read-only",
    errno.EMFILE: "too many open files; raise the limit with 'ulimit -n'",
}


def explain(error: BaseException) -> int:
    """Show an error as a user should see it; the exit code."""
    code = _explain(error)
    try:
        sys.stdout.flush()
    except OSError:
        # Whoever read our output has seen enough, or it has no room. Nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def show_origin(error: Exception) -> None:
    """Show where an error came from that `explain` shows in one line; nothing of what the line says all about."""
    if isinstance(error, (BrokenPipeError, *_PLAIN_MISTAKES)):
        return
    if isinstance(error, (HitsaveError, OSError, MemoryError)):
        traceback.print_exception(error)


def _explain(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        number = next((each for each in error.args if isinstance(each, int)), signal.SIGINT)
        if sys.stderr.isatty():
            click.echo(err=True)  # The terminal has shown ^C.
        _say(outcome(number))
        return exit_code(number)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return WRONG_USAGE
    if isinstance(error, click.UsageError):
        see = f" (see '{error.ctx.command_path} --help')" if error.ctx is not None else ""
        _say(" ".join(error.format_message().split()).removesuffix(".") + see)
        return WRONG_USAGE
    if isinstance(error, BrokenPipeError):
        return FAILED
    if isinstance(error, click.ClickException):
        _say(error.format_message())
    elif isinstance(error, HitsaveError):
        _say(str(error))
    elif isinstance(error, OSError):
        _say(_describe(error))
    elif isinstance(error, MemoryError):
        _say("not enough memory")
    else:
        traceback.print_exception(error)
        _say("this is a fault of hitsave itself; please report it with the lines above")
    return FAILED


def _describe(error: OSError) -> str:
    reason = _HINTS.get(error.errno or 0) or error.strerror or str(error)
    if error.filename is None:
        return reason
    return f"{os.fsdecode(error.filename)}: {reason}"


def _say(text: str) -> None:
    click.echo("hitsave: " + one_line(text), err=True)
