"""What one run of the command shares: where it was started, and the repository, opened when it is asked for."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hitsave.cli.progress import Terminal
    from hitsave.config import Config
    from hitsave.repository import Repository


class Session:
    """One run. As a context manager, closes what it opened."""

    def __init__(self, folder: Path | None, quiet: bool) -> None:
        self.quiet = quiet
        self._repository: Repository | None = None
        self._progress: Terminal | None = None
        if folder is not None:
            try:
                os.chdir(folder)
            except OSError as error:
                raise click.UsageError(f"-C {folder}: {error.strerror}") from None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._repository is not None:
            self.end_progress()
            self._repository.cache.close()

    @property
    def config(self) -> Config:
        """The settings that hold here."""
        from hitsave.config import load

        return load(Path.cwd(), os.environ)

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


pass_session = click.make_pass_decorator(Session)
