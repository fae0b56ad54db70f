"""`hitsave moved`, which git runs by way of the hooks that `hitsave install --notify` writes."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hitsave.cli.output import show_path
from hitsave.cli.parts import command_to_bring
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.cache.store import Cache
    from hitsave.snapshots.moved import Moved

_MOST_NAMED = 5


@click.command("moved", hidden=True)
@pass_session
def command(session: Session) -> int:
    """Say in one line of which datasets git brought other versions.

    Pointer files that it changed are read from stdin, a NUL behind each. The exit code is 0 whatever happens, since git
    is done already.

    \b
    Examples:
      git ls-files -z '*.hitsave' | hitsave moved
    """
    from hitsave.cache.store import Cache
    from hitsave.errors import HitsaveError
    from hitsave.snapshots.moved import find_moved

    names = [name for name in os.fsdecode(sys.stdin.buffer.read()).split("\0") if name]
    try:
        with closing(Cache.open(session.config.cache_dir)) as cache:
            if found := list(find_moved(cache, map(Path, names))):
                session.say(f"git brought other versions of {_named(found)}; {_remedy(cache, found)}")
    except (HitsaveError, OSError) as error:
        session.say(f"hitsave: which datasets moved is not known: {error}")
    return 0


def _named(found: list[Moved]) -> str:
    more = f" and {len(found) - _MOST_NAMED:,} more" if len(found) > _MOST_NAMED else ""
    return ", ".join(show_path(each.path) for each in found[:_MOST_NAMED]) + more


def _remedy(cache: Cache, found: list[Moved]) -> str:
    """What to run; of datasets that are parts, 'status' says it for each."""
    paths = [each.path for each in found]
    in_cache = all(each.in_cache for each in found)
    typed = command_to_bring(cache, paths, in_cache) if len(found) <= _MOST_NAMED else None
    return f"their files come by: {typed}" if typed else "'hitsave status' says how their files come"
