"""What is imported: versions of datasets, as another tool names them, and the files that they are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from hitsave.errors import HitsaveError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.model import EntryKind


class Origin(NamedTuple):
    """The commit that brought a version in: its hex name, its author's time in seconds since 1970, and who that is."""

    commit: str
    time: int
    author: str


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a dataset.

    `path` lies in the git repository, `name` is what the other tool calls its content, and `current` says whether it
    is what the commit has that is checked out.
    """

    path: bytes
    name: str
    origin: Origin
    current: bool


class Checksum(NamedTuple):
    """What the other tool says of a content. With `text`, it may have been taken of it with all CRLF made LF."""

    algorithm: str
    value: str
    text: bool = False


class Part(NamedTuple):
    """One file of a version.

    `key` is equal for equal contents. `places` are the files that may hold it, the likeliest first; `load` gives what
    git itself holds. Without a checksum, the size alone is compared.
    """

    key: str
    kind: EntryKind = EntryKind.FILE
    checksum: Checksum | None = None
    size: int | None = None
    places: tuple[str, ...] = ()
    load: Callable[[], bytes] | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of a version by their paths inside it; of a single file, one with an empty path."""

    parts: Mapping[bytes, Part]
    is_directory: bool


class ListMissing(HitsaveError):
    """What a version consists of cannot be told: the list of its files is missing or damaged."""


class Skipped(NamedTuple):
    """Something in the history that is no version of a dataset, and why."""

    path: bytes
    reason: str


class Source(Protocol):
    """Another tool's way to keep datasets in a git repository."""

    #: What `versions` and `contents` came across and left out.
    skipped: list[Skipped]
    #: Whether git does not know of the datasets' own paths, so that pointer files can take them over at once.
    leaves_git_alone: bool

    def versions(self) -> list[Version]:
        """Every version in the history, older ones first."""

    def contents(self, version: Version) -> Contents:
        """The files of one of them. Raises ListMissing."""


class State(StrEnum):
    """What became of a version; READY and INCOMPLETE are all that a dry run can tell of a new one."""

    IMPORTED = "imported"
    KNOWN = "known"
    READY = "ready"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One version after an import; `size` in bytes.

    `missing` and `damaged` are paths inside it of which no content was found, or a wrong one. `executable` is of a
    single file only.
    """

    version: Version
    state: State
    digest: Digest | None = None
    kind: ObjectKind | None = None
    size: int = 0
    files: int = 0
    executable: bool = False
    missing: tuple[bytes, ...] = ()
    damaged: tuple[bytes, ...] = ()
    reason: str = ""


@dataclass(slots=True)
class Imported:
    """What an import did, or would do: versions in the order of history, pointer files written, what was left out.

    `new_size` is in bytes, of contents that the cache did not have. `linked` and `copied` count the large files among
    them that are hard links to the other tool's, and those that are not.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    pointers: list[bytes] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    new_size: int = 0
    linked: int = 0
    copied: int = 0
