"""Three-way merge of two versions that come from one. Pure but for reading trees; equal trees are not looked into.

What one side alone changed is taken, and what both changed alike. Where both changed one path differently, or one
removed what the other changed, there is a conflict. A file's content and its executable bit count as two things. All
directories that both sides changed are compared first, level by level, since they may be far away; new trees are made
only when it is known that there is no conflict, or which side is favoured in one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from hitsave.objects.digest import Digest, tree_digest
from hitsave.objects.encoding import decode_tree, encode_tree, tree_from
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.snapshots.amend import KeepTree
from hitsave.snapshots.names import Load

#: Is told of trees that will be loaded.
Bring = Callable[[Iterable[Digest]], object]


class Side(Enum):
    """One of the two versions that are merged, in git's words."""

    OURS = "ours"
    THEIRS = "theirs"


class Versions(NamedTuple):
    """What stands at one path in the three versions; None where nothing does."""

    base: TreeEntry | None
    ours: TreeEntry | None
    theirs: TreeEntry | None


@dataclass(slots=True)
class _Directory:
    """A directory that both sides changed, as it is to be; `above` is None of what holds the root alone."""

    name: bytes
    above: _Directory | None
    goes_if_empty: bool
    entries: dict[bytes, TreeEntry] = field(default_factory=dict)


@dataclass(slots=True)
class Merge:
    """A merge that was decided. `conflicts` are the paths in conflict; of these, the favoured side's entry is taken."""

    conflicts: list[bytes] = field(default_factory=list)
    _top: _Directory = field(default_factory=lambda: _Directory(b"", None, False))
    _directories: list[_Directory] = field(default_factory=list)

    def build(self, keep: KeepTree) -> TreeEntry:
        """Make what came of it. The encoding of every directory that both sides changed is given to `keep`."""
        for directory in reversed(self._directories):
            if directory.above is None or (directory.goes_if_empty and not directory.entries):
                continue
            tree = tree_from(directory.entries.values())
            encoded = encode_tree(tree)
            keep(encoded)
            digest = tree_digest(encoded)
            made = TreeEntry(directory.name, EntryKind.TREE, digest, tree.size, tree.files)
            directory.above.entries[directory.name] = made
        return self._top.entries[b""]

    def _run(self, root: Versions, load: Load, bring: Bring, favour: Side | None) -> None:
        level = self._put(self._top, b"", b"", root, favour)
        while level:
            bring({entry.digest for _, _, versions in level for entry in versions if entry and _is_tree(entry)})
            beneath: list[tuple[_Directory, bytes, Versions]] = []
            for directory, path, versions in level:
                base, ours, theirs = (_entries(version, load) for version in versions)
                for name in sorted(base.keys() | ours.keys() | theirs.keys()):
                    inner = Versions(base.get(name), ours.get(name), theirs.get(name))
                    beneath += self._put(directory, name, path + b"/" + name if path else name, inner, favour)
            level = beneath

    def _put(
        self, into: _Directory, name: bytes, path: bytes, versions: Versions, favour: Side | None
    ) -> list[tuple[_Directory, bytes, Versions]]:
        """Decide about one path; it is given back where it is a directory that has to be looked into."""
        if _is_settled(versions):
            taken = _taken(versions)
        elif _is_deeper(versions):
            deeper = _Directory(name, into, goes_if_empty=None in (versions.ours, versions.theirs))
            self._directories.append(deeper)
            return [(deeper, path, versions)]
        elif (file := _merged_file(versions)) is not None:
            taken = file
        else:
            self.conflicts.append(path)
            taken = versions.theirs if favour is Side.THEIRS else versions.ours
        if taken is not None:
            into.entries[name] = taken
        return []


def merge(versions: Versions, load: Load, bring: Bring, favour: Side | None = None) -> Merge:
    """Merge two versions of a file or directory; all three are entries with an empty name.

    Without a base, all that both sides have was added by both. In conflicts the side to `favour` holds. Raises what
    `load` and `bring` raise.
    """
    merging = Merge()
    merging._run(versions, load, bring, favour)
    return merging


def _same(one: TreeEntry | None, other: TreeEntry | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.kind, one.digest) == (other.kind, other.digest)


def _is_settled(versions: Versions) -> bool:
    """Whether at most one side changed it, or both alike."""
    base, ours, theirs = versions
    return _same(ours, theirs) or _same(base, ours) or _same(base, theirs)


def _taken(versions: Versions) -> TreeEntry | None:
    return versions.theirs if _same(versions.base, versions.ours) else versions.ours


def _is_tree(entry: TreeEntry | None) -> bool:
    return entry is not None and entry.kind is EntryKind.TREE


def _is_deeper(versions: Versions) -> bool:
    """Whether both sides have a directory there, or one changed a directory that the other removed."""
    base, ours, theirs = versions
    trees = [_is_tree(ours), _is_tree(theirs)]
    return all(trees) or (any(trees) and None in (ours, theirs) and _is_tree(base))


def _merged_file(versions: Versions) -> TreeEntry | None:
    """The file, where one side changed its content and the other its executable bit; None in a conflict."""
    base, ours, theirs = versions
    if base is None or ours is None or theirs is None:
        return None
    if not {base.kind, ours.kind, theirs.kind} <= {EntryKind.FILE, EntryKind.EXECUTABLE}:
        return None
    if ours.digest != theirs.digest and base.digest not in (ours.digest, theirs.digest):
        return None
    content = theirs if ours.digest == base.digest else ours
    return content._replace(kind=theirs.kind if ours.kind is base.kind else ours.kind)


def _entries(entry: TreeEntry | None, load: Load) -> dict[bytes, TreeEntry]:
    """What is in a directory; nothing in what is none."""
    if entry is None or entry.kind is not EntryKind.TREE:
        return {}
    return {inner.name: inner for inner in decode_tree(load(entry.digest)).entries}
