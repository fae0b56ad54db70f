"""Paths as they are given on the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

EMPTY = "an empty path names nothing; is a variable not set?"


class GivenPath(click.Path):
    """A path that need not exist. An empty one is refused, which elsewhere would mean the current folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Raises BadParameter."""
        if os.fspath(value) == "":
            self.fail(EMPTY, param, ctx)
        return super().convert(value, param, ctx)


def refuse_empty(words: tuple[str, ...]) -> None:
    """Refuse words that may be paths and are empty. Raises UsageError."""
    if "" in words:
        raise click.UsageError(EMPTY)
