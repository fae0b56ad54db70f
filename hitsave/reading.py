"""Recorded files, opened by what names them.

hitsave.open("data.hitsave/tables/x.csv", "r")      as the pointer file says
hitsave.open("32684bfa28c/tables/x.csv", "r")       as it was then
"""

from __future__ import annotations

import errno
import io
import os
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import BinaryIO, Literal, NoReturn, Self, TextIO, overload

from hitsave.errors import ObjectError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.model import EntryKind
from hitsave.repository import Repository


def refuse_writing(mode: str) -> None:
    """Raises io.UnsupportedOperation for a mode that is not for reading."""
    if mode not in ("r", "rt", "rb"):
        raise io.UnsupportedOperation(f"a snapshot can only be read: its mode is 'rb' or 'r', not {mode!r}")


def in_mode(
    file: BinaryIO, mode: str, encoding: str | None, errors: str | None, newline: str | None
) -> BinaryIO | TextIO:
    """The file, or what reads it as text."""
    return file if mode == "rb" else io.TextIOWrapper(file, encoding or "utf-8", errors, newline)


def fail(number: int, name: object) -> NoReturn:
    """Raise what the operating system raises for this, such as FileNotFoundError."""
    raise OSError(number, os.strerror(number), str(name))


#: What is asked of a snapshot that is taken to be there.
_OF_SNAPSHOTS = frozenset(
    "digest content_length suffix files time local_cache_path has_local_cache is_uploaded upload download restore "
    "restore_at restore_safe".split()
)


@dataclass(frozen=True)
class Nothing:
    """What is at a path of a snapshot where nothing is: it can be asked about, and not read, as a path of the kind.

    `number` is the error that reading it is.
    """

    relpath: PurePosixPath
    number: int = errno.ENOENT

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.relpath.name

    def is_file(self) -> bool:
        """False."""
        return False

    def is_dir(self) -> bool:
        """False."""
        return False

    def joinpath(self, *parts: str | os.PathLike[str]) -> Self:
        """Beneath it nothing is, either."""
        return replace(self, relpath=self.relpath.joinpath(*parts))

    def __truediv__(self, part: str | os.PathLike[str]) -> Self:
        return self.joinpath(part)

    def iterdir(self) -> NoReturn:
        """Raises FileNotFoundError; NotADirectoryError beneath a file."""
        fail(self.number, self.relpath)

    def open(self, *_: object, **__: object) -> NoReturn:
        """Raises FileNotFoundError; NotADirectoryError beneath a file."""
        fail(self.number, self.relpath)

    def __getattr__(self, name: str) -> NoReturn:
        """What only a snapshot has raises FileNotFoundError, or NotADirectoryError."""
        if name in _OF_SNAPSHOTS:
            fail(self.number, self.relpath)
        raise AttributeError(name)

    def read_bytes(self) -> NoReturn:
        """Raises FileNotFoundError; NotADirectoryError beneath a file."""
        self.open()

    def read_text(self, *_: object, **__: object) -> NoReturn:
        """Raises FileNotFoundError; NotADirectoryError beneath a file."""
        self.open()


@overload
def open(
    name: str | os.PathLike[str],
    mode: Literal["rb"] = ...,
    *,
    fetch: bool = ...,
    repository: Repository | None = ...,
) -> BinaryIO: ...
@overload
def open(
    name: str | os.PathLike[str],
    mode: Literal["r", "rt"],
    *,
    encoding: str | None = ...,
    errors: str | None = ...,
    newline: str | None = ...,
    fetch: bool = ...,
    repository: Repository | None = ...,
) -> TextIO: ...
def open(
    name: str | os.PathLike[str],
    mode: str = "rb",
    *,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    fetch: bool = True,
    repository: Repository | None = None,
) -> BinaryIO | TextIO:
    """A recorded file, for reading bytes, or with mode `r` text (UTF-8 unless `encoding` says otherwise).

    `name` is DIGEST, DIGEST/PATH, POINTER.hitsave, POINTER.hitsave/PATH, or whatever else the command takes where a
    dataset is wanted, such as the path of a file in a dataset: it is read as it was recorded. A file that is not on
    this machine is fetched first; with `fetch=False`, only what is read of it comes from the remote, and is not kept.

    Raises FileNotFoundError, IsADirectoryError, and HitsaveError where the object cannot be had.
    """
    refuse_writing(mode)
    opened = repository or Repository.default()
    digest = _file_named(opened, os.fspath(name))
    file = opened.open_blob(digest) if fetch else opened.contents.open(digest)
    return in_mode(file, mode, encoding, errors, newline)


def _file_named(repository: Repository, name: str) -> Digest:
    root = repository.contents.root(name)
    if root is None:
        named = repository.resolve(name)
        if named.kind is ObjectKind.EVALUATION:
            raise ObjectError(f"{name} is an evaluation, not a file")
        return fail(errno.EISDIR, name) if named.kind is ObjectKind.TREE else named.digest
    found = repository.contents.find(root)
    if found is None:
        fail(errno.ENOENT, name)
    return fail(errno.EISDIR, name) if found.kind is EntryKind.TREE else found.digest
