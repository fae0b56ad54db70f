"""What one run of the command shares: where it was started, and the repository, opened when it is asked for."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hitsave.cli.progress import Terminal
    from hitsave.config import Config
    from hitsave.remotes.transports.traffic import Traffic
    from hitsave.repository import Repository
    from hitsave.snapshots.workspace import Workspace


class Session:
    """One run. As a context manager, closes what it opened."""

    def __init__(self, folder: Path | None, quiet: bool, verbose: bool = False) -> None:
        self.quiet = quiet
        self._traffic: Traffic | None = None
        self._began = time.monotonic()
        self._repository: Repository | None = None
        self._progress: Terminal | None = None
        if folder is not None:
            try:
                os.chdir(folder)
            except OSError as error:
                raise click.UsageError(f"-C {folder}: {error.strerror}") from None
        if verbose:
            self.be_verbose()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._repository is not None:
            self.end_progress()
            self._repository.cache.close()
        if self._traffic is not None:
            self._tell(self._traffic)

    @property
    def verbose(self) -> bool:
        """Whether it is told what is used, and where errors come from."""
        return self._traffic is not None

    def be_verbose(self) -> None:
        """Tell what is used from now on."""
        from hitsave.remotes.transports.traffic import Traffic

        if self._traffic is None:
            self._traffic = Traffic(lambda url: self._note(f"asking {url}"))
            self._traffic.watch()

    def _tell(self, traffic: Traffic) -> None:
        from hitsave.amounts import count, show_size
        from hitsave.errors import ConfigError

        with contextlib.suppress(ConfigError):
            config = self.config
            self._note(f"workspace {config.workspace} (project {config.project}), cache {config.cache_dir}")
        for url, counts in traffic.counts.items():
            sent, received = show_size(counts.sent), show_size(counts.received)
            self._note(f"{url}: {count(counts.requests, 'request')}, {sent} sent, {received} received")
        self._note(f"{time.monotonic() - self._began:.2f} s")

    def _note(self, text: str) -> None:
        from hitsave.cli.output import one_line

        self.end_progress()
        click.echo(f"hitsave: {one_line(text)}", err=True)

    @property
    def config(self) -> Config:
        """The settings that hold here."""
        from hitsave.config import load

        return load(Path.cwd(), os.environ)

    @property
    def workspace(self) -> Workspace:
        """The workspace of the current folder."""
        from hitsave.snapshots.workspace import Workspace

        config = self.config
        return Workspace(config.workspace, config.project)

    @property
    def repository(self) -> Repository:
        """The repository of the current folder."""
        if self._repository is None:
            from hitsave.cli.progress import Terminal
            from hitsave.repository import Repository

            self._progress = Terminal(self.quiet)
            self._repository = Repository.open(progress=self._progress)
        return self._repository

    def end_progress(self) -> None:
        """Take the bar away before results are shown."""
        if self._progress is not None:
            self._progress.close()

    def say(self, text: str) -> None:
        """One line on stderr about what was done."""
        if not self.quiet:
            click.echo(text, err=True)

    def say_no_datasets(self) -> None:
        """That there is nothing to tell of."""
        self.say("no datasets here; 'hitsave add PATH' makes one")

    def fail(self, reasons: Iterable[str]) -> int:
        """Say what could not be done, a line for each; the exit code."""
        from hitsave.cli.output import one_line

        code = 0
        for reason in reasons:
            click.echo(f"hitsave: {one_line(reason)}", err=True)
            code = 1
        return code


pass_session = click.make_pass_decorator(Session)


QUIET = "No progress and no notes; results and errors only."
VERBOSE = "Also tell what is used and asked of remotes, and where an error came from."


def add_talk_options(command: click.Command) -> None:
    """Let `--quiet` and `--verbose` also stand after the command's name, of a group after those of its commands."""

    def told(context: click.Context, parameter: click.Parameter, value: bool) -> None:
        session = context.find_object(Session)
        if not value or session is None:
            return
        if parameter.name == "quiet":
            session.quiet = True
        else:
            session.be_verbose()

    if any(parameter.name == "verbose" for parameter in command.params):
        return
    for short, long, text in (("-q", "--quiet", QUIET), ("-v", "--verbose", VERBOSE)):
        option = click.Option([short, long], is_flag=True, expose_value=False, callback=told, help=text)
        command.params.append(option)
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            add_talk_options(inner)
