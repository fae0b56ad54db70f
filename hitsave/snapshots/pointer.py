"""Pointer files (objects_spec.md, section 10): `PATH.hitsave` says in a few lines what PATH is.

    hitsave 1
    digest 6c5d...
    kind tree
    size 113498156
    files 50000

It is the only part of a dataset that git sees. One fact a line, in a fixed order, so that it is easy to read and a
merge conflict shows what it is about.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hitsave.errors import MergeConflict, NameConflict, WorkspaceError
from hitsave.objects.digest import Digest, ObjectKind, parse_digest
from hitsave.objects.encoding import LARGEST_NUMBER
from hitsave.snapshots.conflict import split_sides

SUFFIX = ".hitsave"
_FIRST_LINE = "hitsave 1"
_LARGEST = 4096


@dataclass(frozen=True, slots=True)
class Pointer:
    """What a pointer file says; `size` in bytes. `executable` is of a single file only."""

    digest: Digest
    kind: ObjectKind
    size: int
    files: int
    executable: bool = False


def pointer_path(path: Path) -> Path:
    """Where the pointer file of a path lies."""
    return path.with_name(path.name + SUFFIX) if path.name else path / SUFFIX  # Of the root: a name that none has.


def target_path(pointer: Path) -> Path:
    """The path that a pointer file is about."""
    return pointer.with_name(pointer.name.removesuffix(SUFFIX))


def is_pointer(path: Path) -> bool:
    """Whether a path has a pointer file's name."""
    return path.name.endswith(SUFFIX) and len(path.name) > len(SUFFIX)


def format_pointer(pointer: Pointer) -> str:
    """The text of a pointer file."""
    lines = [
        _FIRST_LINE,
        f"digest {pointer.digest}",
        f"kind {pointer.kind.name.lower()}",
        f"size {pointer.size}",
        f"files {pointer.files}",
    ]
    if pointer.executable:
        lines.append("executable yes")
    return "\n".join(lines) + "\n"


def parse_pointer(text: str, where: str) -> Pointer:
    """The pointer that a text spells. Raises WorkspaceError, which names the file and the line; MergeConflict.

    Lines may end as git's `autocrlf` makes them end. Nothing else ends a line, whatever Python takes for an end.
    """
    if sides := split_sides(text):
        raise _conflict(sides, where)
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    if lines[0] != _FIRST_LINE:
        raise WorkspaceError(f"{where}: line 1: is not a pointer file of this version ({_FIRST_LINE!r} expected)")
    values: dict[str, Any] = {}
    for number, line in enumerate(lines[1:], 2):
        key, _, value = line.partition(" ")
        if key not in _READERS or key in values or not value:
            raise WorkspaceError(f"{where}: line {number}: cannot be understood: {line[:60]!r}")
        try:
            values[key] = _READERS[key](value)
        except KeyError:
            raise WorkspaceError(f"{where}: line {number}: {value[:60]!r} is missing or not known") from None
        except ValueError as error:
            raise WorkspaceError(f"{where}: line {number}: {error}") from None
    for key in _NEEDED:
        if key not in values:
            raise WorkspaceError(f"{where}: {key!r} is missing or not known")
    pointer = Pointer(**values)
    if pointer.kind is ObjectKind.TREE and pointer.executable:
        raise WorkspaceError(f"{where}: a tree cannot be executable")
    if pointer.kind is ObjectKind.BLOB and pointer.files != 1:
        raise WorkspaceError(f"{where}: a blob is 1 file, not {pointer.files}")
    return pointer


def _conflict(sides: tuple[str, str], where: str) -> MergeConflict:
    """The error for a conflict, with what both sides say where that can be read."""
    try:
        ours, theirs = (parse_pointer(side, where) for side in sides)
    except WorkspaceError:
        return MergeConflict(where)
    return MergeConflict(where, str(ours.digest), str(theirs.digest))


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > LARGEST_NUMBER:
        raise ValueError(f"{text[:30]!r} is not a number")
    return int(text)


_NEEDED = ("digest", "kind", "size", "files")
_READERS: dict[str, Callable[[str], Any]] = {
    "digest": parse_digest,
    "kind": {"tree": ObjectKind.TREE, "blob": ObjectKind.BLOB}.__getitem__,
    "size": _number,
    "files": _number,
    "executable": {"yes": True, "no": False}.__getitem__,
}


def load_pointer(path: Path) -> Pointer:
    """The pointer in a file. Raises WorkspaceError, FileNotFoundError."""
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise WorkspaceError(f"{path}: is too large to be a pointer file")
    return parse_pointer(content.decode("utf-8", errors="replace"), os.fspath(path))


def save_pointer(path: Path, pointer: Pointer) -> bool:
    """Write a pointer file, wholly or not at all; False where it said the same already."""
    content = format_pointer(pointer).encode()
    try:
        if path.read_bytes() == content:
            return False
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise NameConflict(os.fspath(path), "its name is too long for a pointer file beside it") from None
        raise
    temporary = path.with_name(f".hitsave-{secrets.token_hex(6)}")
    temporary.write_bytes(content)
    os.replace(temporary, path)
    return True


def check_pointer_name(path: Path) -> None:
    """Refuse, before anything is stored, a path whose pointer file could not have a name. Raises NameConflict."""
    if len(os.fsencode(pointer_path(path).name)) > 255:
        raise NameConflict(os.fspath(path), "its name is too long for a pointer file beside it (247 bytes at most)")
