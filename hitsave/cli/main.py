"""The command line's entry: a table of commands, each imported only when it is run."""

from __future__ import annotations

import codecs
import importlib
import keyword
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitsave._version import __version__
from hitsave.cli.session import QUIET, VERBOSE, Session, add_talk_options
from hitsave.cli.signals import obey

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: Every command with its line in `hitsave --help`; `hash-object` lives in commands/hash_object.py, `import` in
#: commands/import_.py.
COMMANDS = {
    "add": "keep files and directories as datasets, with a pointer file each",
    "status": "show what differs between pointer files, working files, cache and remote",
    "diff": "show which files differ between two versions, or from the working files",
    "checkout": "make working files match their pointer files",
    "resolve": "merge pointer files that git left in conflict",
    "ls": "list a directory of the store, without fetching its files",
    "cat": "print a file of the store, without fetching anything else",
    "mount": "show a directory of the store as a folder, read-only, without fetching it",
    "du": "show what datasets take, and what of it would be freed",
    "log": "list the versions of datasets, and how much changed",
    "push": "send what is owned to a remote",
    "pull": "fetch what pointer files name, and check it out",
    "fetch": "fetch what pointer files name into the cache alone",
    "forget": "drop refs, so that gc may collect what they own",
    "gc": "collect what no ref reaches",
    "clear-local": "remove from this machine what a remote has as well",
    "undo": "bring back what the last forget or gc dropped",
    "evals": "list what is kept of memoised functions",
    "why": "show what had changed when a memoised function last ran",
    "accept": "declare a change of code compatible, so that old results still count",
    "snapshot": "keep a file or directory by its digest alone, or restore one",
    "import": "take over datasets and their history from DVC, git-lfs or git-annex",
    "remote": "name the stores that are shared with others",
    "install": "set up git: data is pushed before commits, and pointer files are merged",
    "config": "read and change settings",
    "fsck": "verify every byte and every ref",
    "dashboard": "look at what this machine's cache keeps, with a browser",
    "serve": "share a store over HTTP, with keys and pages",
    "login": "keep the key of a server",
    "logout": "keep the key of a server no longer",
    "keygen": "make, list and revoke keys of a server",
    "hash-object": "print the digest of files and directories",
    "cat-file": "show an object, its kind or its size",
    "ls-tree": "list a directory in the store",
    "show-ref": "list refs",
    "rev-parse": "print the digest that a name stands for",
    "pre-push": "push the data of commits that git is about to push",
    "merge-driver": "merge pointer files for git",
    "moved": "say which datasets git moved to other versions",
    "completion": "print the script by which a shell completes commands and names",
}

#: What `hitsave --help` lists beneath each title; a command that is in none is for other programs alone.
SECTIONS = {
    "A day's work": "add status diff checkout resolve push pull fetch",
    "Looking": "ls cat du log mount dashboard",
    "Cleaning up": "forget gc clear-local undo fsck",
    "Functions": "evals why accept",
    "Sharing and setting up": "remote snapshot import install config completion",
    "A server": "login logout keygen serve",
    "Plumbing": "hash-object cat-file ls-tree show-ref rev-parse",
}

#: Exit codes beyond this one are of processes that a signal has ended.
_SIGNALLED = 128


class CommandTable(click.Group):
    """Knows the commands by name and loads the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of a day's work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command; None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        file = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name.replace("-", "_")
        module = importlib.import_module(f"hitsave.cli.commands.{file}")
        command: click.Command = module.command
        add_talk_options(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for a slip."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from hitsave.errors import suggest

            listed = " ".join(SECTIONS.values()).split()
            known = [each for each in COMMANDS if each in listed]
            otherwise = "'hitsave --help' lists them"
            raise click.UsageError(f"there is no command {name!r}" + suggest(name, known, otherwise))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does, which would say something of its own about an interruption."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise click.Abort(*error.args) from None
        except Exception as error:
            session = ctx.find_object(Session)
            if session is not None and session.verbose:
                from hitsave.cli.failures import show_origin

                show_origin(error)
            raise

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands and options that begin so, without loading a command."""
        from click.shell_completion import CompletionItem

        listed = {name for names in SECTIONS.values() for name in names.split()}
        found = [name for name in COMMANDS if name in listed and name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=COMMANDS[name]) for name in found), *options]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table by what commands are for, without loading one."""
        widest = max(map(len, COMMANDS))
        for title, names in SECTIONS.items():
            with formatter.section(title):
                rows = [(name.ljust(widest), COMMANDS[name]) for name in names.split() if name in COMMANDS]
                formatter.write_dl(rows)


@click.command(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="hitsave %(version)s")
@click.option("-C", "folder", metavar="PATH", type=click.Path(path_type=Path), help="Run as if started in PATH.")
@click.option("-q", "--quiet", is_flag=True, help=QUIET)
@click.option("-v", "--verbose", is_flag=True, help=VERBOSE)
@click.pass_context
def hitsave(ctx: click.Context, folder: Path | None, quiet: bool, verbose: bool) -> None:
    """Keep large files and slow results in a content-addressed store, with git's manners.

    'hitsave COMMAND --help' tells more of each, with examples. Output is coloured on a terminal, unless NO_COLOR is
    set; FORCE_COLOR colours it elsewhere, as for 'hitsave log | less -R'.

    \b
    Examples:
      hitsave add data/images
      hitsave remote add origin s3://my-bucket/datasets
      hitsave push
      hitsave -C ../other-project status
    """
    ctx.obj = ctx.with_resource(Session(folder, quiet, verbose))


def run(arguments: Sequence[str]) -> int:
    """Run a command line; its exit code: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted."""
    try:
        outcome: Any = hitsave.main(args=list(arguments), prog_name="hitsave", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:
        from hitsave.cli.failures import explain

        return explain(error)
    return outcome if isinstance(outcome, int) else 0


def main() -> None:
    """The `hitsave` script."""
    _open_streams()
    if shell := os.environ.get("_HITSAVE_COMPLETE"):
        from hitsave.cli.completing.shells import answer

        answer(hitsave, shell, sys.argv[1:])
        return
    obey()
    code = run(sys.argv[1:])
    if code > _SIGNALLED:
        os._exit(code)  # Everything is said and flushed. Threads that wait for a network would be waited for.
    sys.exit(code)


def _open_streams() -> None:
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # Closed by whoever started us: no file of ours may get its number.
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            # Names of files are bytes; one that is not UTF-8 comes out as it went in.
            encoding = "utf-8" if codecs.lookup(stream.encoding).name == "ascii" else None
            reconfigure(encoding=encoding, errors="surrogateescape")
