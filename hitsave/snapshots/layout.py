"""What a tree will look like on disk, decided before anything is written.

Names that the file system cannot hold are found here: too long, or two that it takes for one (a file system that
ignores case, or normalises). A symlink that would lead out of the tree is refused.
"""

from __future__ import annotations

import os
import secrets
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from hitsave.errors import NameConflict
from hitsave.objects.digest import Digest
from hitsave.objects.encoding import decode_tree
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.snapshots.names import Repeats

_LONGEST_NAME = 255

#: Tells by its path inside the tree whether a file is wanted.
Include = Callable[[bytes], bool]
#: Gives the content of a tree.
Load = Callable[[Digest], bytes]


def may_hold(include: Include | None, directory: bytes) -> bool:
    """Whether something beneath a directory may be wanted. A plain function cannot tell, and may want anything."""
    tells = getattr(include, "may_hold", None)
    return tells is None or bool(tells(directory))


def wants_empty(include: Include | None, directory: bytes) -> bool:
    """Whether a directory without files is wanted by itself. A plain function is asked about files alone."""
    tells = getattr(include, "wants_empty", None)
    return tells is not None and bool(tells(directory))


class PlannedFile(NamedTuple):
    """A file or symlink by its path inside the tree."""

    path: bytes
    entry: TreeEntry


@dataclass(slots=True)
class Layout:
    """Directories, parents first, and the files in them. `collisions` are pairs of names that some systems confuse."""

    directories: list[bytes] = field(default_factory=list)
    files: list[PlannedFile] = field(default_factory=list)
    collisions: list[tuple[bytes, bytes]] = field(default_factory=list)

    def paths(self) -> Iterator[bytes]:
        """What there will be: files, and directories without any, whose paths end with `/`."""
        held: set[bytes] = set()
        for planned in self.files:
            yield planned.path
            above = os.path.dirname(planned.path)
            while above and above not in held:
                held.add(above)
                above = os.path.dirname(above)
        yield from (path + b"/" for path in self.directories if path not in held)

    def digests(self) -> Iterator[Digest]:
        """What has to be in the cache."""
        return (planned.entry.digest for planned in self.files)


def plan_layout(root: Digest, load: Load, include: Include | None = None) -> Layout:
    """The layout of a tree. With `include`, only what is wanted, and the directories on the way there.

    Raises NameConflict where a name cannot be held anywhere, ObjectError where there is no end of directories.
    """
    layout, repeats = Layout(), Repeats()
    wanted: list[bytes] = []
    pending: list[tuple[bytes, Digest]] = [(b"", root)]
    while pending:
        prefix, digest = pending.pop()
        entries = decode_tree(load(digest)).entries
        repeats.note(digest, len(entries))
        _check_names(prefix, entries, layout)
        for entry in entries:
            path = prefix + entry.name
            if entry.kind is EntryKind.TREE:
                layout.directories.append(path)
                if entry.files == 0 and wants_empty(include, path):
                    wanted.append(path)
                if may_hold(include, path):
                    pending.append((path + b"/", entry.digest))
            elif include is None or include(path):
                layout.files.append(PlannedFile(path, entry))
    if include is not None:
        _keep_needed_directories(layout, wanted)
    layout.directories.sort()
    return layout


def _keep_needed_directories(layout: Layout, wanted: Iterable[bytes]) -> None:
    needed: set[bytes] = set()
    for above in (*wanted, *(os.path.dirname(planned.path) for planned in layout.files)):
        while above and above not in needed:
            needed.add(above)
            above = os.path.dirname(above)
    layout.directories = [path for path in layout.directories if path in needed]


def _check_names(prefix: bytes, entries: Iterable[TreeEntry], layout: Layout) -> None:
    folded: dict[str, bytes] = {}
    for entry in entries:
        if len(entry.name) > _LONGEST_NAME:
            raise NameConflict(os.fsdecode(prefix + entry.name), f"the name is longer than {_LONGEST_NAME} bytes")
        if os.name == "nt" and b"\\" in entry.name:
            raise NameConflict(os.fsdecode(prefix + entry.name), "the name holds a separator of this system")
        name = entry.name.decode("utf-8", errors="surrogateescape")
        key = name if name.isascii() and name.islower() else unicodedata.normalize("NFC", name).casefold()
        other = folded.setdefault(key, entry.name)
        if other != entry.name:
            layout.collisions.append((prefix + other, prefix + entry.name))


def refuse_collisions(layout: Layout, folder: bytes) -> None:
    """Ask the file system of `folder` whether it can hold the doubtful pairs of names. Raises NameConflict."""
    for first, second in layout.collisions:
        probe = os.path.join(folder, b".hitsave-" + secrets.token_hex(6).encode())
        os.mkdir(probe)
        one, two = (os.path.join(probe, os.path.basename(path)) for path in (first, second))
        try:
            os.close(os.open(one, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            try:
                os.close(os.open(two, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                os.unlink(two)
            except FileExistsError:
                reason = f"this file system takes it and {os.path.basename(second)!r} for one name"
                raise NameConflict(os.fsdecode(first), reason) from None
            finally:
                os.unlink(one)
        finally:
            os.rmdir(probe)
