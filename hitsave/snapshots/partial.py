"""A part of a tree in a working directory: what `pull --include` asks for, and what it leaves alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

from pathspec import GitIgnoreSpec

from hitsave.cache.places import Part
from hitsave.errors import WorkspaceError
from hitsave.objects.digest import Digest, tree_digest
from hitsave.objects.encoding import encode_tree, tree_from
from hitsave.objects.model import EntryKind, Tree, TreeEntry
from hitsave.snapshots.layout import Include, may_hold, wants_empty
from hitsave.snapshots.names import Load, parents_of, walk

#: A directory without files may still hold others without any.
_EMPTY = tree_digest(encode_tree(Tree()))
#: Keeps the encoding of a tree.
KeepTree = Callable[[bytes], object]


def include_globs(patterns: Iterable[str], excluded: Iterable[str] = ()) -> Globs | None:
    """The files that any of `patterns` names, all without one, but for those that any of `excluded` names.

    Both in the syntax of `.gitignore`. None, for all files, where nothing is given. Raises WorkspaceError.
    """
    lines, others = list(patterns), list(excluded)
    if not lines and not others:
        return None
    wanted = _spec("--include", lines or ["*"])
    anchored = tuple(_anchored(line) for line in lines if line.strip() and line[0] not in "#!") if lines else (None,)
    takes_back = any(line.startswith("!") for line in others)
    return Globs(Part(tuple(lines), tuple(others)), wanted, anchored, _spec("--exclude", others), takes_back)


def _spec(option: str, lines: list[str]) -> GitIgnoreSpec:
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise WorkspaceError(f"{option}: {error}") from None


class Globs:
    """Tells by its path whether a file is wanted, and by a directory's whether anything beneath it may be."""

    def __init__(
        self,
        part: Part,
        wanted: GitIgnoreSpec,
        anchored: tuple[list[str] | None, ...],
        excluded: GitIgnoreSpec,
        takes_back: bool,
    ) -> None:
        """`part` is what the patterns are; `takes_back`: some of `excluded` wants again what another one does not."""
        self.part = part
        self._wanted = wanted
        self._anchored = anchored
        self._excluded = excluded
        self._takes_back = takes_back

    def __call__(self, path: bytes) -> bool:
        name = os.fsdecode(path)
        return self._wanted.match_file(name) and not self._excluded.match_file(name)

    def wants_empty(self, directory: bytes) -> bool:
        """Whether a directory without files is wanted, by its own name or with all that is beneath another one."""
        return self(directory) or self(directory + b"/")

    def may_hold(self, directory: bytes) -> bool:
        """Never false where a file beneath is wanted; sometimes true where none is."""
        name = os.fsdecode(directory)
        if not self._takes_back and self._excluded.match_file(name + "/"):
            return False
        names = name.split("/")
        return any(parts is None or _may_lead(parts, names) for parts in self._anchored)


def _anchored(pattern: str) -> list[str] | None:
    """The parts of a pattern that begins at the top; None where it may match at any depth."""
    parts = pattern.rstrip("/").split("/")
    if len(parts) == 1 or "" in parts[1:] or pattern != pattern.strip():
        return None
    return parts[1:] if parts[0] == "" else parts


def _may_lead(parts: list[str], names: list[str]) -> bool:
    """Whether a pattern may match a directory, one above it, or something beneath it."""
    for part, name in zip(parts, names, strict=False):
        if "**" in part:
            return True
        if not {"\\", "["} & set(part) and not fnmatchcase(name, part):
            return False
    return True


def merge_trees(old: Digest, new: Digest, include: Include, load: Load, keep: KeepTree) -> Digest:
    """The tree whose files are those of `new` where `include` wants them, and of `old` elsewhere."""

    def wanted(path: bytes, entry: TreeEntry) -> bool:
        return include(path) or (entry.kind is EntryKind.TREE and wants_empty(include, path))

    leaves = {path: entry for path, entry in _leaves(old, load) if not wanted(path, entry)}
    for path, entry in _leaves(new, load, include):
        if wanted(path, entry):
            for above in parents_of(path):
                leaves.pop(above, None)  # A file stood where a directory is needed now.
            leaves[path] = entry
    return build_tree(leaves, keep)


def _leaves(root: Digest, load: Load, include: Include | None = None) -> Iterable[tuple[bytes, TreeEntry]]:
    """Files, links, and directories with nothing in them; not of directories in which nothing can be wanted."""
    entries = walk(root, load, lambda path: may_hold(include, path))
    return ((path, entry) for path, entry in entries if entry.kind is not EntryKind.TREE or entry.digest == _EMPTY)


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
