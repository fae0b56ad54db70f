"""Tools that put a stand-in for each large file into git: git-lfs and git-annex.

A dataset is a single such file, or a folder with all that it holds, files that git keeps itself included: what `hitsave
add` would make of that folder at that commit.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from pygit2.enums import FileMode

from hitsave.errors import WorkspaceError
from hitsave.importing.history import Found, History, origin_of
from hitsave.importing.model import Checksum, Contents, Part, Skipped, Version
from hitsave.objects.model import EntryKind
from hitsave.snapshots.capture import stays_inside
from hitsave.snapshots.names import parents_of


class Key(NamedTuple):
    """What a stand-in says of a content. Without a checksum, its name is all that there is."""

    name: str
    size: int | None = None
    checksum: Checksum | None = None


class Format(Protocol):
    """How one tool writes its stand-ins, and where it keeps contents."""

    #: The tool's name, for people.
    tool: str
    #: The longest stand-in, in bytes.
    longest: int

    def key(self, content: bytes, is_link: bool) -> Key | None:
        """What the content of a file, or the target of a link, stands in for; None where it is no stand-in."""

    def places(self, key: Key) -> tuple[str, ...]:
        """The files that may hold a content."""

    def folders(self) -> set[bytes]:
        """The folders that the repository itself says are kept so as a whole."""


class TrackedSource:
    """A repository with stand-ins in it."""

    leaves_git_alone = False

    def __init__(self, history: History, form: Format, folders: Iterable[bytes], keep_links: bool) -> None:
        """Each of `folders` is one dataset. With `keep_links`, links in them are kept that stay inside."""
        self._history = history
        self._format = form
        self._asked = set(folders)
        self._keep_links = keep_links
        self._files: dict[Version, Found] = {}
        self._without: set[str] = set()
        self.skipped: list[Skipped] = []

    def versions(self) -> list[Version]:
        """Folders first, then single files; each by history. Raises WorkspaceError where there are none."""
        folders = _outermost(self._asked | self._format.folders())
        found = list(self._folder_versions(folders))
        if empty := self._asked.intersection(folders) - {version.path for version in found}:
            name = os.fsdecode(min(empty))
            raise WorkspaceError(f"{name}: no commit has a folder there with files of {self._format.tool}")
        current = {(file.path, key.name) for file, key in self._stand_ins(self._history.head_files(_any, folders))}
        seen: set[tuple[bytes, str]] = set()
        for file, key in self._stand_ins(self._history.files(_any, folders)):
            if (file.path, key.name) not in seen:
                seen.add((file.path, key.name))
                version = Version(file.path, key.name, file.origin, (file.path, key.name) in current)
                self._files[version] = file
                found.append(version)
        if not found:
            raise WorkspaceError(f"{self._history.root}: no commit has files of {self._format.tool}")
        return found

    def _folder_versions(self, folders: set[bytes]) -> Iterator[Version]:
        for folder in sorted(folders):
            head = self._history.folder(self._history.head, folder) if self._history.head else None
            seen: set[str] = set()
            for commit in self._history.commits:
                tree = self._history.folder(commit, folder)
                if tree is not None and tree not in seen:
                    seen.add(tree)
                    if self._holds_stand_ins(tree):
                        yield Version(folder, tree, origin_of(commit), tree == head)

    def _holds_stand_ins(self, tree: str) -> bool:
        seen: list[str] = []
        pending = [tree]
        while pending:
            if (name := pending.pop()) in self._without:
                continue
            seen.append(name)
            for _, oid, mode in self._history.entries(name):
                if mode == FileMode.TREE:
                    pending.append(oid)
                elif self._key(oid, mode):
                    return True
        self._without.update(seen)  # So that of a later version only what changed is looked at.
        return False

    def _stand_ins(self, files: Iterator[Found]) -> Iterator[tuple[Found, Key]]:
        for file in files:
            if key := self._key(file.blob, file.mode):
                yield file, key

    @functools.cache  # noqa: B019  as long-lived as its object
    def _key(self, blob: str, mode: int) -> Key | None:
        if mode == FileMode.COMMIT or self._history.size(blob) > self._format.longest:
            return None
        return self._format.key(self._history.read(blob), mode == FileMode.LINK)

    def contents(self, version: Version) -> Contents:
        """The file, or all files of the folder."""
        if file := self._files.get(version):
            part = self._part(version, b"", file.blob, file.mode)
            return Contents({b"": part} if part else {}, is_directory=False)
        parts: dict[bytes, Part] = {}
        for path, blob, mode in self._history.walk(version.name):
            part = self._part(version, path, blob, mode)
            if part is not None:
                parts[path] = part
        return Contents(parts, is_directory=True)

    def _part(self, version: Version, path: bytes, blob: str, mode: int) -> Part | None:
        kind = EntryKind.EXECUTABLE if mode == FileMode.BLOB_EXECUTABLE else EntryKind.FILE
        if key := self._key(blob, mode):
            working = os.path.join(os.fsencode(self._history.root), version.path, path).rstrip(b"/")
            places = self._format.places(key) + ((os.fsdecode(working),) if version.current else ())
            return Part(key.name, kind, key.checksum, key.size, places)
        if mode == FileMode.COMMIT:
            self._skip(version.path + b"/" + path, "is another repository")
            return None
        if mode == FileMode.LINK:
            target = self._history.read(blob)
            if not self._keep_links or not stays_inside(target, path.count(b"/")):
                self._skip(version.path + b"/" + path, "is a symbolic link")
                return None
            kind = EntryKind.SYMLINK
        return Part(f"git {blob}", kind, load=functools.partial(self._history.read, blob))

    def _skip(self, path: bytes, reason: str) -> None:
        if (skipped := Skipped(path, reason)) not in self.skipped:
            self.skipped.append(skipped)


def _any(name: bytes) -> bool:
    return True


def _outermost(folders: set[bytes]) -> set[bytes]:
    return {folder for folder in folders if not folders.intersection(parents_of(folder))}
