"""What a command on several datasets could not do with some of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hitsave.cli.output import show_path
from hitsave.errors import HitsaveError


def describe_failures(failed: Mapping[Path, HitsaveError | OSError]) -> list[str]:
    """What could not be done of several datasets, a line for each, which names it."""
    lines = []
    for path, error in failed.items():
        text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        lines.append(text if path.name in text else f"{show_path(path)}: {text}")
    return lines


def failures_as_json(failed: Mapping[Path, HitsaveError | OSError]) -> dict[str, dict[str, str]]:
    """What could not be done of several datasets, by their paths."""
    return {"failed": {str(path): str(error) for path, error in failed.items()}}


def raise_only_one(failed: Mapping[Path, HitsaveError | OSError]) -> None:
    """Raise what went wrong with the one dataset that there is."""
    if len(failed) == 1:
        raise next(iter(failed.values()))
