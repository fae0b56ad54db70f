"""How a merge that came to conflicts is told."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hitsave.cli.output import show_path

_MOST_SHOWN = 5


def describe_conflicts(dataset: Path, conflicts: Sequence[bytes]) -> str:
    """Which files of a dataset both sides changed, and how to go on, in one line."""
    place = os.fsencode(dataset)
    shown = [show_path(os.path.join(place, inner) if inner else place) for inner in conflicts[:_MOST_SHOWN]]
    if len(conflicts) > _MOST_SHOWN:
        shown.append(f"and {len(conflicts) - _MOST_SHOWN:,} more")
    return (
        f"{show_path(dataset)}: both sides changed {', '.join(shown)}; 'hitsave resolve --ours {show_path(dataset)}' "
        "keeps our version where they conflict, --theirs the other one"
    )
