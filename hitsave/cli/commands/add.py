"""`hitsave add`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hitsave.amounts import count, show_size
from hitsave.cli.output import emit, emit_json, json_option, show_path
from hitsave.cli.paths import GivenPath
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.snapshots.adding import Added


@click.command("add")
@click.argument("paths", nargs=-1, required=True, type=GivenPath(), metavar="PATH...")
@click.option("--to", "target", metavar="PATH.hitsave[:SUBPATH]", help="Put them into a dataset instead.")
@json_option
@pass_session
def command(session: Session, paths: tuple[Path, ...], target: str | None, as_json: bool) -> None:
    """Keep files and directories as datasets.

    Stores what is new, writes the pointer file PATH.hitsave (commit it), keeps PATH itself out of git, and owns this
    version until it is forgotten. Prints the digest and the path of each. Where a part of a dataset was pulled, what
    was never asked for stays as it was.

    With --to, adds or replaces files of a dataset, whose data need not be on this machine: in SUBPATH where that is a
    directory or ends with '/', as SUBPATH otherwise. Prints the digest and the path of the dataset.

    \b
    Examples:
      hitsave add data/images
      hitsave add train.parquet data/images
      hitsave add --to data/images.hitsave:new/ ~/photos/*.png
    """
    if target is not None:
        _add_to(session, target, paths, as_json)
        return
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
                    "not_fetched": added.unseen,
                }
                for path, added in zip(paths, done, strict=True)
            ]
        )


def _add_to(session: Session, target: str, paths: tuple[Path, ...], as_json: bool) -> None:
    from hitsave.looking.adding import add_to

    done = add_to(session.repository, target, paths)
    session.end_progress()
    if as_json:
        shown = {
            name: getattr(done, name) for name in ("size", "files", "added", "replaced", "new_objects", "new_size")
        }
        emit_json([{"path": str(done.path), "digest": str(done.digest), "kind": "tree", **shown}])
        return
    emit(f"{done.digest}  {show_path(done.path)}")
    session.say(
        f"{count(done.added, 'file')} added, {count(done.replaced, 'file')} replaced: "
        f"{show_size(done.new_size)} new to the cache"
    )


def _describe(added: Added) -> str:
    total = f"{count(added.files, 'file')}, {show_size(added.size)}"
    if added.unseen:
        total += f", of which {added.unseen:,} were not pulled and stay as they were"
    if added.read == 0 and added.new_objects == 0:
        return f"{total}: unchanged"
    return f"{total}: {count(added.read, 'file')} read, {show_size(added.new_size)} new to the cache"
