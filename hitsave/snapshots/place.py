"""Putting a symbolic link where something may stand: the name always holds the old or the new."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from hitsave.cache.files import remove_tree


def put_link(source: Path, place: Path) -> None:
    """Make `place` a symbolic link to `source`. What stands there is removed; the caller has kept it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".hitsave-{secrets.token_hex(6)}")
    os.symlink(source, temporary, target_is_directory=source.is_dir())
    if place.is_dir() and not place.is_symlink():
        aside = place.with_name(f".hitsave-{secrets.token_hex(6)}")
        os.rename(place, aside)
        os.rename(temporary, place)
        remove_tree(os.fspath(aside))
    else:
        os.replace(temporary, place)
