"""How trees are listed, in the manner of git's `ls-tree --long`."""

from __future__ import annotations

import os
from collections.abc import Iterator

from hitsave.cli.output import emit, emit_json, emit_nul, show_path
from hitsave.objects.digest import Digest
from hitsave.objects.encoding import decode_tree
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.repository import Repository

_MODES = {
    EntryKind.FILE: "100644 blob",
    EntryKind.EXECUTABLE: "100755 blob",
    EntryKind.TREE: "040000 tree",
    EntryKind.SYMLINK: "120000 blob",
}


def show_tree(
    repository: Repository, digest: Digest, recursive: bool = False, nul: bool = False, as_json: bool = False
) -> None:
    """List a tree on stdout."""
    rows = _rows(repository, digest, recursive)
    if as_json:
        emit_json([entry_as_json(path, entry) for path, entry in rows])
        return
    for path, entry in rows:
        head = f"{_MODES[entry.kind]} {entry.digest} {entry.size:>9}\t"
        if nul:
            emit_nul(head + os.fsdecode(path))
        else:
            emit(head + show_path(path))


def _rows(repository: Repository, digest: Digest, recursive: bool) -> Iterator[tuple[bytes, TreeEntry]]:
    if not recursive:
        return ((entry.name, entry) for entry in decode_tree(repository.load(digest)).entries)
    return ((path, entry) for path, entry in repository.walk(digest) if entry.kind is not EntryKind.TREE)


def entry_as_json(path: bytes, entry: TreeEntry) -> dict[str, str | int]:
    """An entry of a tree, for programs."""
    return {
        "path": os.fsdecode(path),
        "kind": entry.kind.name.lower(),
        "digest": str(entry.digest),
        "size": entry.size,
        "files": entry.files,
    }
