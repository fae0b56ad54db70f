"""Files that were renamed: one that went and one that came, with the same content or one much like it.

What is the same is told by digests alone. Likeness is looked for among small files whose contents are at hand, and only
where they are few, since each that went is compared with each that came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import NamedTuple

from hitsave.objects.digest import Digest, blob_digest
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.snapshots.diff import Change, ChangeKind


class Difference(NamedTuple):
    """A change; of a file that was renamed also where it stood, and how much of its content is the same (per cent)."""

    path: bytes
    kind: ChangeKind
    old: TreeEntry | None
    new: TreeEntry | None
    old_path: bytes = b""
    alike: int = 100


#: The content of what went or came; None where it is not at hand.
Content = Callable[[Change], bytes | None]

_LEAST_ALIKE = 50
_MOST_COMPARED = 50
_LARGEST_COMPARED = 256 * 1024
_LONGEST_PIECE = 64
_EMPTY = blob_digest(b"")
_Key = tuple[Digest, bool]


def find_renames(changes: Iterable[Change], content: Content) -> list[Difference]:
    """The changes by path, with a file that went and one that came put together where they are the same, or alike."""
    rest = list(changes)
    renamed = [*_by_digest(rest)]
    rest = _without(rest, renamed)
    renamed += _by_likeness(rest, content)
    others = [Difference(*change) for change in _without(rest, renamed)]
    return sorted([*others, *renamed], key=attrgetter("path"))


def _without(changes: list[Change], renamed: list[Difference]) -> list[Change]:
    gone = {change.old_path for change in renamed}
    new = {change.path for change in renamed}
    return [
        change
        for change in changes
        if not (change.kind is ChangeKind.REMOVED and change.path in gone)
        and not (change.kind is ChangeKind.ADDED and change.path in new)
    ]


def _is_file(entry: TreeEntry | None) -> bool:
    return entry is not None and entry.kind in (EntryKind.FILE, EntryKind.EXECUTABLE)


def _removed(changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.kind is ChangeKind.REMOVED and change.old]


def _added(changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.kind is ChangeKind.ADDED and change.new]


def _renamed(old: Change, new: Change, alike: int = 100) -> Difference:
    return Difference(new.path, ChangeKind.RENAMED, old.old, new.new, old.path, alike)


def _key(entry: TreeEntry) -> _Key | None:
    """What two entries must share to be the same; None of directories, and of files that hold nothing."""
    if entry.kind is EntryKind.TREE or entry.digest == _EMPTY:
        return None
    return entry.digest, entry.kind is EntryKind.SYMLINK


def _by_digest(changes: list[Change]) -> Iterator[Difference]:
    """Same content; where several have it, one that keeps its name goes first."""
    gone: dict[_Key, list[Change]] = {}
    for change in _removed(changes):
        if change.old is not None and (key := _key(change.old)) is not None:
            gone.setdefault(key, []).append(change)
    came: dict[_Key, list[Change]] = {}
    for change in _added(changes):
        if change.new is not None and (key := _key(change.new)) in gone:
            came.setdefault(key, []).append(change)
    for key, added in came.items():
        by_name: dict[bytes, list[Change]] = {}
        for old in gone[key]:
            by_name.setdefault(_name(old), []).append(old)
        later: list[Change] = []
        for new in added:
            if found := by_name.get(_name(new)):
                yield _renamed(found.pop(0), new)
            else:
                later.append(new)
        left = (old for some in by_name.values() for old in some)
        yield from (_renamed(old, new) for old, new in zip(left, later, strict=False))


def _name(change: Change) -> bytes:
    return change.path.rpartition(b"/")[2]


def _by_likeness(changes: list[Change], content: Content) -> list[Difference]:
    """The likest first; each file is in one pair at most."""
    gone = [change for change in _removed(changes) if _is_file(change.old)]
    came = [change for change in _added(changes) if _is_file(change.new)]
    if not gone or not came or len(gone) > _MOST_COMPARED or len(came) > _MOST_COMPARED:
        return []
    old_pieces = {change.path: pieces for change in gone if (pieces := _pieces(change, change.old, content))}
    new_pieces = {change.path: pieces for change in came if (pieces := _pieces(change, change.new, content))}
    pairs = [
        (likeness(old_pieces[old.path], new_pieces[new.path]), _name(old) == _name(new), old, new)
        for old in gone
        for new in came
        if old.path in old_pieces and new.path in new_pieces and _may_be_alike(old.old, new.new)
    ]
    found: list[Difference] = []
    taken: set[tuple[str, bytes]] = set()
    for alike, _, old, new in sorted(pairs, key=lambda pair: (-pair[0], not pair[1], pair[2].path, pair[3].path)):
        if alike >= _LEAST_ALIKE and not taken & {("old", old.path), ("new", new.path)}:
            taken |= {("old", old.path), ("new", new.path)}
            found.append(_renamed(old, new, min(alike, 99)))
    return found


def _may_be_alike(old: TreeEntry | None, new: TreeEntry | None) -> bool:
    return (
        old is not None and new is not None and 100 * min(old.size, new.size) >= _LEAST_ALIKE * max(old.size, new.size)
    )


def _pieces(change: Change, entry: TreeEntry | None, content: Content) -> Counter[bytes] | None:
    if entry is None or not 0 < entry.size <= _LARGEST_COMPARED:
        return None
    found = content(change)
    return None if found is None else pieces_of(found)


def pieces_of(content: bytes) -> Counter[bytes]:
    """The lines of a content, long ones cut, each with how often it comes."""
    return Counter(
        line[at : at + _LONGEST_PIECE]
        for line in content.splitlines(keepends=True)
        for at in range(0, len(line), _LONGEST_PIECE)
    )


def likeness(one: Counter[bytes], other: Counter[bytes]) -> int:
    """How much of the larger of two contents is in the other one too, in per cent of its bytes."""
    larger = max(_size(one), _size(other))
    return 100 * _size(one & other) // larger if larger else 100


def _size(pieces: Counter[bytes]) -> int:
    return sum(len(piece) * number for piece, number in pieces.items())
