"""What is in a directory of the store. Trees are all that is read."""

from __future__ import annotations

import os
from collections.abc import Iterator

from hitsave.errors import ObjectError
from hitsave.looking.sides import side_name
from hitsave.naming import Named
from hitsave.objects.digest import ObjectKind
from hitsave.objects.encoding import decode_tree
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.remotes.reading.trees import Trees
from hitsave.repository import Repository
from hitsave.snapshots.names import walk


def entries(repository: Repository, text: str, recursive: bool = False) -> Iterator[tuple[bytes, TreeEntry]]:
    """What is in a directory, with its name, or beneath it, with its path; of a file, the file itself.

    Raises ObjectNotFound, AmbiguousDigest, WorkspaceError, RemoteError; ObjectError for an evaluation.
    """
    found = repository.resolve(text)
    if found.kind is ObjectKind.EVALUATION:
        raise ObjectError(f"{text} is an evaluation, not a file or directory")
    if found.kind is ObjectKind.BLOB:
        return iter([_file(repository, text, found)])
    trees = Trees(repository.cache, repository.exchange.shelf_if_any)
    if recursive:
        trees.bring_beneath(found.digest)
        return walk(found.digest, trees.load)
    return ((entry.name, entry) for entry in decode_tree(trees.load(found.digest)).entries)


def _file(repository: Repository, text: str, found: Named) -> tuple[bytes, TreeEntry]:
    kind = EntryKind.EXECUTABLE if found.executable else EntryKind.FILE
    name = side_name(os.fsencode(text.rpartition(":")[2]))
    return name, TreeEntry(name, kind, found.digest, repository.size_of(found.digest))
