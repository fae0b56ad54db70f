"""How it is told what came of asking for parts of datasets."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hitsave.cli.output import show_path
from hitsave.cli.session import Session

if TYPE_CHECKING:
    from hitsave.cache.store import Cache
    from hitsave.looking.parts import Chosen, Wanted
    from hitsave.repository import Repository
    from hitsave.snapshots.checkout import CheckedOut

#: What is in no name by chance; a bracket may be.
_PATTERN = re.compile("[*?]")


def tell_left_alone(session: Session, chosen: Chosen) -> None:
    """Say which single files no pattern matches."""
    for path in chosen.left_alone:
        session.say(f"{show_path(path)}: left alone, since its name matches no pattern")


def find_unmatched(repository: Repository, chosen: Chosen, unchanged: Collection[Path]) -> dict[Path, tuple[str, bool]]:
    """The datasets of which nothing is what was asked for: what to say, and whether it was named by a path.

    Only those are looked at of which nothing had to be done.
    """
    from hitsave.looking.parts import matches_any

    found: dict[Path, tuple[str, bool]] = {}
    for each in chosen.wanted:
        for path in each.paths:
            if each.include is not None and path in unchanged and not matches_any(repository, path, each.include):
                found[path] = (_tell_unmatched(each, path), each.named)
    return found


def _tell_unmatched(wanted: Wanted, path: Path) -> str:
    asked = ", ".join(map(repr, wanted.asked))
    if not wanted.named:
        return f"{show_path(path)}: no file of it matches {asked}"
    patterns = [word for inner in wanted.asked if _PATTERN.search(inner) for word in ("--include", f"/{inner}")]
    hint = f"; a pattern is given like this: {shlex.join([*patterns, show_path(path)])}" if patterns else ""
    return f"there is no {asked} in {show_path(path)}{hint}"


def unchanged_by(checked_out: Iterable[CheckedOut]) -> set[Path]:
    """The datasets of which nothing was written or removed."""
    return {item.path for item in checked_out if not (item.written or item.removed)}


def find_completing(repository: Repository, chosen: Chosen) -> set[Path]:
    """The datasets that were a part, and are asked for as a whole."""
    from hitsave.snapshots.leftout import place_of

    whole = (path for each in chosen.wanted if each.include is None for path in each.paths)
    return {path for path in whole if (place := place_of(repository.cache, path)) is not None and place.parts}


def command_to_bring(cache: Cache, paths: Sequence[Path], in_cache: bool) -> str | None:
    """The command by which the versions of the pointer files come, of a part the same part.

    None for several datasets that are to be fetched, one of which is a part.
    """
    from hitsave.snapshots.leftout import place_of

    if in_cache:
        return shlex.join(["hitsave", "checkout", *map(show_path, paths)])
    parts = [part for path in paths if (place := place_of(cache, path)) is not None for part in place.parts]
    if parts and len(paths) > 1:
        return None
    words = ["hitsave", "pull"]
    excluding = any(part.excluded for part in parts)
    for part in parts[-1:] if excluding else parts:  # With patterns of files to leave out, one pull brings one part.
        words += [word for glob in part.included for word in ("--include", glob)]
        words += [word for glob in part.excluded for word in ("--exclude", glob)]
    return shlex.join([*words, *map(show_path, paths)])
