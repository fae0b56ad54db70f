"""`hitsave add`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hitsave.cli.output import count, emit, emit_json, json_option, show_path, show_size
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.snapshots.datasets import Added


@click.command("add")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@json_option
@pass_session
def command(session: Session, paths: tuple[Path, ...], as_json: bool) -> None:
    """Keep files and directories as datasets.

    Stores what is new, writes the pointer file PATH.hitsave (commit it), keeps PATH itself out of git, and owns this
    version until it is forgotten. Prints the digest and the path of each.
    """
    done = []
    for path in paths:
        added = session.repository.add(path)
        done.append(added)
        session.end_progress()
        if not as_json:
            emit(f"{added.digest}  {show_path(path)}")
            session.say(_describe(added))
    if as_json:
        emit_json(
            [
                {
                    "path": str(path),
                    "digest": str(added.digest),
                    "kind": added.kind.name.lower(),
                    "size": added.size,
                    "files": added.files,
                    "read": added.read,
                    "new_objects": added.new_objects,
                    "new_size": added.new_size,
                }
                for path, added in zip(paths, done, strict=True)
            ]
        )


def _describe(added: Added) -> str:
    total = f"{count(added.files, 'file')}, {show_size(added.size)}"
    if added.read == 0 and added.new_objects == 0:
        return f"{total}: unchanged"
    return f"{total}: {count(added.read, 'file')} read, {show_size(added.new_size)} new to the cache"
