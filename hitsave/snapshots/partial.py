"""A part of a tree in a working directory: what `pull --include` asks for, and what it leaves alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from pathspec import GitIgnoreSpec

from hitsave.errors import WorkspaceError
from hitsave.objects.digest import Digest, tree_digest
from hitsave.objects.encoding import encode_tree, tree_from
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.snapshots.layout import Include
from hitsave.snapshots.names import Load, parents_of, walk

#: Keeps the encoding of a tree.
KeepTree = Callable[[bytes], object]


def include_globs(patterns: Iterable[str]) -> Include | None:
    """The files that any pattern names, in the syntax of `.gitignore`; None, for all, without patterns."""
    lines = list(patterns)
    if not lines:
        return None
    try:
        spec = GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise WorkspaceError(f"--include: {error}") from None
    return lambda path: spec.match_file(os.fsdecode(path))


def merge_trees(old: Digest, new: Digest, include: Include, load: Load, keep: KeepTree) -> Digest:
    """The tree whose files are those of `new` where `include` wants them, and of `old` elsewhere."""
    leaves = {path: entry for path, entry in _leaves(old, load) if not include(path)}
    for path, entry in _leaves(new, load):
        if include(path):
            for above in parents_of(path):
                leaves.pop(above, None)  # A file stood where a directory is needed now.
            leaves[path] = entry
    return build_tree(leaves, keep)


def _leaves(root: Digest, load: Load) -> Iterable[tuple[bytes, TreeEntry]]:
    """Files, links, and directories with nothing in them."""
    return ((path, entry) for path, entry in walk(root, load) if entry.kind is not EntryKind.TREE or entry.files == 0)


def build_tree(leaves: Mapping[bytes, TreeEntry], keep: KeepTree) -> Digest:
    """The tree of these files by their paths; every directory's encoding is given to `keep`."""
    directories: dict[bytes, dict[bytes, TreeEntry]] = {b"": {}}
    for path, entry in leaves.items():
        for above in parents_of(path):
            directories.setdefault(above, {})
        folder, _, name = path.rpartition(b"/")
        directories.setdefault(folder, {}).setdefault(name, entry._replace(name=name))
    for path in sorted(directories, key=lambda path: path.count(b"/") if path else -1, reverse=True):
        tree = tree_from(directories[path].values())
        encoded = encode_tree(tree)
        keep(encoded)
        digest = tree_digest(encoded)
        if path:
            folder, _, name = path.rpartition(b"/")
            directories[folder][name] = TreeEntry(name, EntryKind.TREE, digest, tree.size, tree.files)
    return digest
