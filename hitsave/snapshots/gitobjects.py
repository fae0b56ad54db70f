"""Objects of git's, read as they are stored: trees that are looked at once, and whatever is missing is an error."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hitsave.errors import WorkspaceError

if TYPE_CHECKING:
    import pygit2

#: An entry of a tree as git writes it: its mode in octal digits, its name, and the 20 bytes that name its object.
Entry = tuple[bytes, bytes, bytes]

_ENTRY = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)
#: The mode of a folder; some tools have written it with a zero before it.
FOLDER_MODES = frozenset((b"40000", b"040000"))


class Listing(NamedTuple):
    """A tree at a path (empty, or ending in `/`), with its entries."""

    prefix: bytes
    tree: pygit2.Oid
    entries: list[Entry]


class Trees:
    """The trees of a repository, each read once at each path where it stands: the cost is that of what changed."""

    def __init__(self, git: pygit2.Repository) -> None:
        self._git = git
        self._seen: set[tuple[bytes, pygit2.Oid]] = set()

    def new(self, root: pygit2.Oid, leave_out: Container[bytes] = ()) -> Iterator[Listing]:
        """A tree and all beneath it that were not seen at their paths before; no folder at a path of `leave_out`.

        Submodules are entries, and are not looked into. Raises WorkspaceError where a tree is missing.
        """
        import pygit2

        pending = [(b"", root)]
        while pending:
            place = pending.pop()
            if place in self._seen:
                continue
            self._seen.add(place)
            prefix, tree = place
            entries: list[Entry] = _ENTRY.findall(read_object(self._git, tree))
            pending += [
                (prefix + name + b"/", pygit2.Oid(raw=oid))
                for mode, name, oid in entries
                if mode in FOLDER_MODES and prefix + name not in leave_out
            ]
            yield Listing(prefix, tree, entries)


def read_object(git: pygit2.Repository, oid: pygit2.Oid) -> bytes:
    """The content of an object of git's. Raises WorkspaceError where it is missing, as in a partial clone."""
    import pygit2

    try:
        return bytes(git.read(oid)[1])
    except (KeyError, pygit2.GitError):
        raise incomplete(git, f"object {oid}") from None


def size_of(git: pygit2.Repository, oid: pygit2.Oid) -> int:
    """Bytes of an object of git's, which is not read for it. Raises WorkspaceError as `read_object` does."""
    import pygit2

    try:
        return int(git.odb.read_header(oid)[1])
    except (KeyError, pygit2.GitError):
        raise incomplete(git, f"object {oid}") from None


def incomplete(git: pygit2.Repository, what: str) -> WorkspaceError:
    """The error for an object that cannot be read, of a history that is needed whole."""
    return WorkspaceError(
        f"{git.workdir or git.path}: {what} of the git history is missing or damaged, and all of it is needed; "
        "'git fsck' tells more, and a partial clone has to be made a whole one"
    )


def common_folder(git: pygit2.Repository) -> Path:
    """Where git, and tools that extend it, keep things; one for all work trees."""
    folder = Path(git.path)
    try:
        return folder / (folder / "commondir").read_text().strip()
    except FileNotFoundError:
        return folder
