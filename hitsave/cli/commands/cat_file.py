"""`hitsave cat-file`."""

from __future__ import annotations

import shutil
import sys

import click

from hitsave.cli.completing import Kind, completes
from hitsave.cli.output import emit
from hitsave.cli.session import Session, pass_session


@click.command("cat-file")
@click.argument("name", metavar="OBJECT", shell_complete=completes(Kind.OBJECT))
@click.option("-t", "what", flag_value="kind", help="Its kind: blob, tree or evaluation.")
@click.option("-s", "what", flag_value="size", help="Its size: of a tree, the total beneath it.")
@click.option("-e", "what", flag_value="exists", help="Nothing; exit code 1 where there is no such object.")
@click.option("-p", "what", flag_value="content", default=True, help="Its content (the default); of a tree, a list.")
@pass_session
def command(session: Session, name: str, what: str) -> None:
    """Show an object, its kind or its size.

    OBJECT is a digest or its beginning, a ref, a pointer file, a dataset, DIGEST:PATH or REV:PATH.

    \b
    Examples:
      hitsave cat-file -t 32684bfa28c
      hitsave cat-file -s data/images
      hitsave cat-file 32684bfa28c:train/labels.csv
    """
    from hitsave.cli.listing import show_tree
    from hitsave.objects.digest import ObjectKind

    repository = session.repository
    found = repository.resolve(name)
    if what == "kind":
        emit(found.kind.name.lower())
    elif what == "size":
        emit(str(repository.size_of(found.digest)))
    elif what == "content":
        if found.kind is ObjectKind.TREE:
            show_tree(repository, found.digest)
        else:
            sys.stdout.flush()
            with repository.open_blob(found.digest) as source:
                shutil.copyfileobj(source, sys.stdout.buffer, 1 << 20)
            sys.stdout.buffer.flush()
