"""`hitsave ls-tree`."""

from __future__ import annotations

import click

from hitsave.cli.completing import Kind, completes
from hitsave.cli.output import json_option
from hitsave.cli.session import Session, pass_session


@click.command("ls-tree")
@click.argument("name", metavar="TREE", shell_complete=completes(Kind.OBJECT))
@click.option("-r", "recursive", is_flag=True, help="Also what is in sub-directories; only files are listed.")
@click.option("-z", "nul", is_flag=True, help="End lines with NUL, and quote no names.")
@json_option
@pass_session
def command(session: Session, name: str, recursive: bool, nul: bool, as_json: bool) -> None:
    """List a directory in the store: mode, kind, digest, size in bytes, name.

    TREE is a digest or its beginning, a ref, a pointer file, a dataset, DIGEST:PATH or REV:PATH.

    \b
    Examples:
      hitsave ls-tree 32684bfa28c
      hitsave ls-tree -r -z data/images
    """
    from hitsave.cli.listing import show_tree
    from hitsave.errors import ObjectError
    from hitsave.objects.digest import ObjectKind

    repository = session.repository
    found = repository.resolve(name)
    if found.kind is not ObjectKind.TREE:
        raise ObjectError(f"{name} is a {found.kind.name.lower()}, not a tree")
    show_tree(repository, found.digest, recursive, nul, as_json)
