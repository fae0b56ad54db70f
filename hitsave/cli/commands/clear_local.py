"""`hitsave clear-local`."""

from __future__ import annotations

import sys
import time

import click

from hitsave.amounts import count, show_size
from hitsave.cli.output import emit_json, json_option
from hitsave.cli.session import Session, pass_session


@click.command("clear-local")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would go.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("-f", "--force", is_flag=True, help="Give up what no remote has, too.")
@click.option("--all", "everybody", is_flag=True, help="What belongs to other projects, too.")
@json_option
@pass_session
def command(session: Session, dry_run: bool, yes: bool, force: bool, everybody: bool, as_json: bool) -> None:
    """Remove from this machine's cache what this project owns and a remote has as well, for good and at once.

    Working files stay, and so does everything in remotes: 'hitsave pull' brings it back. What no remote of this
    workspace has is kept, unless --force gives it up. Links into the cache, as restore() makes them, lead nowhere then.

    \b
    Examples:
      hitsave clear-local --dry-run
      hitsave clear-local --yes
    """
    from hitsave.cache.room import give_up_spare
    from hitsave.clearing import clear, find_clearable
    from hitsave.errors import ConfigError

    give_up_spare(session.config.cache_dir)
    repository = session.repository
    cache = repository.cache
    if repository.config.offline and not force:
        raise ConfigError("HITSAVE_NO_CLOUD is set, so no remote was asked what it has; nothing was removed")
    asked = list(repository.exchange.remotes())
    found = find_clearable(cache, asked, None if everybody else repository.project)
    session.end_progress()
    going = (*found.elsewhere, *found.only_here) if force else found.elsewhere
    freed = 0
    if not dry_run and (going or force):
        _confirm(len(going), yes)
        freed = clear(cache, going, int(time.time())).purged_bytes
    if as_json:
        emit_json(
            {
                "dry_run": dry_run,
                "refs": [str(ref.name) for ref in going],
                "kept": [] if force else [str(ref.name) for ref in found.only_here],
                "others": [str(ref.name) for ref in found.others],
                "freed": freed,
            }
        )
        return
    _describe(session, len(going), freed, dry_run)
    if found.only_here and not force:
        silent = len(asked) < len(repository.config.remotes)
        which = "no remote has that could be asked" if silent else "no remote of this workspace has"
        kept = count(len(found.only_here), "ref")
        session.say(f"{kept} kept, which {which}: 'hitsave push' sends them, --force gives them up")
    if found.others:
        session.say(f"{count(len(found.others), 'ref')} of other projects left alone; --all takes them, too")


def _confirm(refs: int, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here; --yes says that it is meant")
    if not click.confirm(f"Remove {count(refs, 'ref')} and what they alone own from this machine?", err=True):
        raise click.ClickException("nothing was removed")


def _describe(session: Session, going: int, freed: int, dry_run: bool) -> None:
    if dry_run:
        session.say(f"{count(going, 'ref')} would go, with what they alone own")
    else:
        session.say(f"{count(going, 'ref')} removed from this machine, {show_size(freed)} deleted")
