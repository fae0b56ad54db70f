"""`hitsave merge-driver`, which git runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hitsave.amounts import count, show_size
from hitsave.cli.output import show_path
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.repository import Repository


@click.command("merge-driver", hidden=True)
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("ours", type=click.Path(path_type=Path))
@click.argument("theirs", type=click.Path(path_type=Path))
@click.argument("path", type=click.Path(path_type=Path))
@pass_session
def command(session: Session, base: Path, ours: Path, theirs: Path, path: Path) -> int:
    """Merge two versions of the pointer file PATH: git's %O %A %B %P.

    The result is written to OURS. In a conflict these are both sides between git's markers, and the exit code is 1.

    \b
    Examples:
      hitsave merge-driver base.txt ours.txt theirs.txt data.hitsave
    """
    from hitsave.cli.conflicts import describe_conflicts
    from hitsave.cli.failures import explain
    from hitsave.errors import HitsaveError
    from hitsave.looking.merging import merge_dataset, read_three
    from hitsave.snapshots.conflict import join_sides
    from hitsave.snapshots.pointer import format_pointer, target_path

    dataset = target_path(path)
    sides = [side.read_bytes() for side in (base, ours, theirs)]
    # Whatever stops us from here on leaves a conflict, and neither side's version in place of the merged one.
    ours.write_bytes(os.fsencode(join_sides(os.fsdecode(sides[1]), os.fsdecode(sides[2]))))
    try:
        place = Path(os.path.abspath(path))
        with _repository_of(session, place) as repository:
            three = read_three(sides[0], sides[1], sides[2], os.fspath(path))
            done = merge_dataset(repository, target_path(place), three)
    except HitsaveError as error:
        session.end_progress()
        code = explain(error)
        session.say(f"{show_path(path)}: left in conflict; 'hitsave resolve {show_path(dataset)}' tries it again")
        return code
    session.end_progress()
    if done.pointer is None:
        session.say(describe_conflicts(dataset, done.conflicts))
        return 1
    ours.write_bytes(format_pointer(done.pointer).encode())
    session.say(
        f"{show_path(path)}: merged, {count(done.pointer.files, 'file')}, {show_size(done.pointer.size)}; "
        "'hitsave pull' brings them"
    )
    return 0


def _repository_of(session: Session, place: Path) -> Repository:
    """That of the workspace which a file lies in; git runs us at the top of its repository."""
    from hitsave.repository import Repository

    return Repository.open(place.parent, progress=session.repository.progress)
