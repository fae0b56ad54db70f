"""What differs between two trees. Pure but for reading trees; sub-trees with one digest are not looked into."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from hitsave.objects.digest import Digest, tree_digest
from hitsave.objects.encoding import decode_tree, encode_tree
from hitsave.objects.model import EntryKind, Tree, TreeEntry
from hitsave.snapshots.names import Repeats


class ChangeKind(StrEnum):
    """How a path differs."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MODE = "mode"
    RENAMED = "renamed"


class Change(NamedTuple):
    """One path that differs, with its entries before and after."""

    path: bytes
    kind: ChangeKind
    old: TreeEntry | None
    new: TreeEntry | None


#: Gives the content of a tree.
Load = Callable[[Digest], bytes]
#: Is told of trees that will be loaded.
Bring = Callable[[Iterable[Digest]], object]
#: Tells of a tree that it is not here.
Away = Callable[[Digest], bool]


def _all_here(tree: Digest) -> bool:
    return False


def diff_trees(
    old: Digest | None, new: Digest | None, load_old: Load, load_new: Load, away: Away = _all_here
) -> Iterator[Change]:
    """Every file, link and empty directory that differs, by path. None stands for no tree at all.

    A directory that has become empty, or was, is no difference itself. An old tree that is `away` cannot be looked
    into. It counts as removed, as a whole. Raises ObjectError where there is no end of directories.
    """
    repeats = Repeats()
    pending: list[tuple[Change | None, bytes, tuple[Digest | None, Digest | None] | None]] = [(None, b"", (old, new))]
    while pending:
        change, prefix, trees = pending.pop()
        if change is not None:
            yield change
        if trees is None or trees[0] == trees[1]:
            continue
        before = _entries(trees[0], load_old)
        after = _entries(trees[1], load_new)
        repeats.note(trees, len(before) + len(after))
        for name in sorted(before.keys() | after.keys(), reverse=True):
            path = prefix + name
            was, now = before.get(name), after.get(name)
            if was is not None and was != now and _is_tree(was) and away(was.digest):
                pending.append((Change(path, ChangeKind.REMOVED, was, None), b"", None))
                was, now = None, None if now is not None and now.digest == _EMPTY else now
            found, deeper = _compare(path, was, now)
            if found is not None or deeper is not None:
                pending.append((found, path + b"/", deeper))


def bring_differing(old: Digest | None, new: Digest | None, load: Load, bring: Bring, away: Away = _all_here) -> None:
    """Have the trees that `diff_trees` will look into brought, level by level, since they may be far away."""
    level = [(old, new)]
    while level := [pair for pair in dict.fromkeys(level) if pair[0] != pair[1]]:
        bring({tree for pair in level for tree in pair if tree is not None})
        level = [pair for before, after in level for pair in _differing(_entries(before, load), _entries(after, load))]
        level = [(before, after) for before, after in level if before is None or not away(before)]


def _differing(
    before: dict[bytes, TreeEntry], after: dict[bytes, TreeEntry]
) -> Iterator[tuple[Digest | None, Digest | None]]:
    for name in before.keys() | after.keys():
        _, deeper = _compare(b"", before.get(name), after.get(name))
        if deeper is not None:
            yield deeper


def _entries(tree: Digest | None, load: Load) -> dict[bytes, TreeEntry]:
    return {} if tree is None else {entry.name: entry for entry in decode_tree(load(tree)).entries}


def _is_tree(entry: TreeEntry | None) -> bool:
    return entry is not None and entry.kind is EntryKind.TREE


def _compare(
    path: bytes, old: TreeEntry | None, new: TreeEntry | None
) -> tuple[Change | None, tuple[Digest | None, Digest | None] | None]:
    """The change at a path itself, and the two trees to look into."""
    if old == new:
        return None, None
    deeper = None
    if _is_tree(old) or _is_tree(new):
        deeper = (old.digest if old and _is_tree(old) else None, new.digest if new and _is_tree(new) else None)
    if _is_tree(old) and _is_tree(new):
        return None, deeper
    old_leaf = old if _leaf(old) else None
    new_leaf = new if _leaf(new) else None
    if old_leaf is None and new_leaf is None:
        return None, deeper
    if old_leaf is None:
        return Change(path, ChangeKind.ADDED, None, new_leaf), deeper
    if new_leaf is None:
        return Change(path, ChangeKind.REMOVED, old_leaf, None), deeper
    same = old_leaf.digest == new_leaf.digest and EntryKind.SYMLINK not in (old_leaf.kind, new_leaf.kind)
    return Change(path, ChangeKind.MODE if same else ChangeKind.CHANGED, old_leaf, new_leaf), deeper


_EMPTY = tree_digest(encode_tree(Tree()))


def _leaf(entry: TreeEntry | None) -> bool:
    """Whether an entry is shown itself: files, links and empty directories."""
    return entry is not None and (entry.kind is not EntryKind.TREE or entry.digest == _EMPTY)
