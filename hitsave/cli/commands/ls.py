"""`hitsave ls`."""

from __future__ import annotations

import click

from hitsave.cli.completing import Kind, completes
from hitsave.cli.output import Tone, emit, emit_json, json_option, paint, show_path
from hitsave.cli.session import Session, pass_session


@click.command("ls")
@click.argument("name", metavar="NAME", shell_complete=completes(Kind.OBJECT))
@click.option(
    "-l", "--long", is_flag=True, help="Also kind, size in bytes (of a directory, of all beneath) and digest."
)
@click.option("-R", "--recursive", is_flag=True, help="Also what is in sub-directories.")
@json_option
@pass_session
def command(session: Session, name: str, long: bool, recursive: bool, as_json: bool) -> None:
    """List a directory of the store, without fetching its files.

    NAME is a digest or its beginning, a ref, a pointer file, a dataset, DATASET@DIGEST, a path in one, DIGEST:PATH,
    DATASET:PATH or REV:PATH, which is seen from the top of the git repository (REV:./PATH from here).

    \b
    Examples:
      hitsave ls data/images
      hitsave ls -l 32684bfa28c:train
      hitsave ls -R HEAD~1:data/images
    """
    from hitsave.looking.listing import entries
    from hitsave.objects.model import EntryKind

    rows = list(entries(session.repository, name, recursive))
    if as_json:
        from hitsave.cli.listing import entry_as_json

        emit_json([entry_as_json(path, entry) for path, entry in rows])
        return
    width = max((len(str(entry.size)) for _, entry in rows), default=0)
    for path, entry in rows:
        is_folder = entry.kind is EntryKind.TREE
        shown = paint(show_path(path), Tone.NAME if is_folder else None)
        if long:
            kind = entry.kind.name.lower()
            emit(f"{kind:<10} {entry.size:>{width}}  {entry.digest.short}  {shown}")
        else:
            emit(f"{shown}/" if is_folder else shown)
