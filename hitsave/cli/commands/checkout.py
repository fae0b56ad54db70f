"""`hitsave checkout`."""

from __future__ import annotations

from pathlib import Path

import click

from hitsave.cli.output import count, paths_argument, show_path
from hitsave.cli.session import Session, pass_session


@click.command("checkout")
@paths_argument
@click.option("-f", "--force", is_flag=True, help="Give up changes that were not added.")
@pass_session
def command(session: Session, paths: tuple[Path, ...], force: bool) -> None:
    """Make working files match their pointer files.

    What was changed and not added is never overwritten without --force.
    """
    repository = session.repository
    for path in repository.find_datasets(paths):
        done = repository.checkout(path, force)
        session.end_progress()
        if done.written or done.removed:
            session.say(
                f"{show_path(path)}: {count(done.written, 'file')} written, {count(done.removed, 'file')} removed"
            )
        else:
            session.say(f"{show_path(path)}: as it should be")
