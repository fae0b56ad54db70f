"""A file system for fsspec: `hitsave://DIGEST/PATH`, for whatever library takes its paths.

    pandas.read_parquet("hitsave://32684bfa28c/part-0.parquet")

DIGEST may be abbreviated; instead of it a pointer file can stand (`hitsave://data.hitsave/part-0.parquet`), so that
code follows the commit that is checked out. What is in the cache is read there. Of other files the parts that are asked
for are read from the default remote, and not kept; `hitsave pull` and `DirectorySnapshot.download` keep them.

Nothing can be written. What is not there is FileNotFoundError; what goes wrong otherwise is a HitsaveError.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from hitsave.contents import Contents, Range, Root
from hitsave.errors import HitsaveError, ObjectNotFound
from hitsave.objects.digest import Digest
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.repository import Repository

try:
    from fsspec import AbstractFileSystem
except ImportError:
    raise ImportError("for hitsave:// paths, run: pip install 'hitsave[fsspec]' (fsspec is missing)") from None

#: Trees that are asked for together.
_BROUGHT_AT_ONCE = 256
#: The repositories of workspaces that were named, and the process and settings for which they were opened.
_opened: dict[tuple[object, ...], Repository] = {}


def _repository(workspace: str) -> Repository:
    settings = sorted((key, value) for key, value in os.environ.items() if key.startswith("HITSAVE_"))
    key = (os.getpid(), os.path.abspath(workspace), *settings)
    if key not in _opened:
        _opened[key] = Repository.open(Path(workspace))
    return _opened[key]


class HitsaveFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """Snapshots and datasets as a read-only file system.

    `workspace` is a folder whose settings (cache, remotes) are used; the current folder by default, at each operation.
    It can be pickled, and used from several threads and in processes that were forked.
    """

    protocol = "hitsave"
    root_marker = ""

    def __init__(self, workspace: str | os.PathLike[str] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._workspace = None if workspace is None else os.fspath(workspace)

    @property
    def fsid(self) -> str:
        """The same for every instance: a digest names the same everywhere."""
        return "hitsave"

    @property
    def _contents(self) -> Contents:
        return (Repository.default() if self._workspace is None else _repository(self._workspace)).contents

    # -- what is there

    def _root(self, path: str) -> Root:
        start = None if self._workspace is None else Path(self._workspace)
        try:
            root = self._contents.root(path, start)
        except ObjectNotFound as error:
            raise _missing(path, str(error)) from None
        if root is None:
            raise _missing(path, "begins with no digest (7 hex digits or more) and no pointer file")
        return root

    def _find(self, path: str) -> TreeEntry:
        found = self._contents.find(self._root(path))
        if found is None:
            raise _missing(path)
        return found

    def _file(self, path: str) -> TreeEntry:
        found = self._find(self._strip_protocol(path))
        if found.kind is EntryKind.TREE:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), _url(path))
        return found

    def _children(self, path: str, tree: Digest) -> Iterator[tuple[dict[str, Any], TreeEntry]]:
        """What is in a directory. A link to a directory is told as a link, or a walk could go round for ever."""
        for name, entry in self._contents.children(tree).items():
            inner = f"{path}/{os.fsdecode(name)}"
            if entry.kind is not EntryKind.SYMLINK:
                yield _info(inner, entry), entry
                continue
            link = {"name": inner, "size": entry.size, "type": "link", "digest": str(entry.digest), "islink": True}
            with suppress(FileNotFoundError):
                target = self._find(inner)
                if target.kind is not EntryKind.TREE:
                    link = {**_info(inner, target), "islink": True}
            yield link, entry

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Name, type, size in bytes (0 for a directory) and digest; for a file also whether it is executable."""
        path = self._strip_protocol(path)
        return _info(path, self._find(path))

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """What is in a directory, as names or as `info` tells it; of a file, itself."""
        path = self._strip_protocol(path)
        found = self._find(path)
        if found.kind is EntryKind.TREE:
            infos = [info for info, _ in self._children(path, found.digest)]
        else:
            infos = [_info(path, found)]
        return infos if detail else [info["name"] for info in infos]

    def find(
        self, path: str, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, **_: Any
    ) -> Any:
        """The files beneath a path, as fsspec has it. The trees of a remote are read many at once."""
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        path = self._strip_protocol(path)
        found: dict[str, dict[str, Any]] = {}
        try:
            top = self._find(path)
        except FileNotFoundError:
            return {} if detail else []
        if withdirs or top.kind is not EntryKind.TREE:
            found[path] = _info(path, top)
        level = [(path, top.digest)] if top.kind is EntryKind.TREE else []
        depth = 0
        while level and depth != maxdepth:
            level = self._find_level(level, found, withdirs)
            depth += 1
        names = sorted(found)
        return {name: found[name] for name in names} if detail else names

    def _find_level(
        self, level: list[tuple[str, Digest]], found: dict[str, dict[str, Any]], withdirs: bool
    ) -> list[tuple[str, Digest]]:
        """Note what is in some directories; those that are in them."""
        beneath: list[tuple[str, Digest]] = []
        for at in range(0, len(level), _BROUGHT_AT_ONCE):
            some = level[at : at + _BROUGHT_AT_ONCE]
            self._contents.bring(tree for _, tree in some)
            for path, tree in some:
                for info, entry in self._children(path, tree):
                    if info["type"] == "directory":
                        beneath.append((info["name"], entry.digest))
                    if withdirs or info["type"] == "file":
                        found[info["name"]] = info
        return beneath

    def exists(self, path: str, **_: Any) -> bool:
        """Whether there is something. Raises HitsaveError where that cannot be known."""
        return self._type(path) is not None

    def isfile(self, path: str) -> bool:
        """Whether there is a file. Raises as `exists`."""
        return self._type(path) == "file"

    def isdir(self, path: str) -> bool:
        """Whether there is a directory. Raises as `exists`."""
        return self._type(path) == "directory"

    def _type(self, path: str) -> str | None:
        try:
            return str(self.info(path)["type"])
        except FileNotFoundError:
            return None

    def ukey(self, path: str) -> str:
        """The digest: what names the content, wherever it stands."""
        return str(self.info(path)["digest"])

    def checksum(self, path: str) -> int:
        """The digest as a number."""
        return int(self.ukey(path), 16)

    def modified(self, path: str) -> datetime:
        """When what is at a path may last have been something else.

        For a pointer file, when that was written; behind a digest nothing changes, which is as old as time is.
        """
        path = self._strip_protocol(path)
        self._find(path)
        pointer = self._root(path).pointer
        return datetime.fromtimestamp(0 if pointer is None else pointer.stat().st_mtime, UTC)

    # -- content

    def _open(self, path: str, mode: str = "rb", **_: Any) -> BinaryIO:
        if mode != "rb":
            self._refuse(path)
        return self._contents.open(self._file(path).digest)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """The content of a file, or a part of it."""
        return self._contents.read([self._range(path, start, end)])[0]

    def cat_ranges(
        self,
        paths: list[str],
        starts: int | list[int] | None,
        ends: int | list[int] | None,
        max_gap: int | None = None,
        on_error: str = "return",
        **_: Any,
    ) -> list[Any]:
        """Parts of files, those out of a remote in one round of requests. What lies close together comes in one."""
        each_start = starts if isinstance(starts, list) else [starts] * len(paths)
        each_end = ends if isinstance(ends, list) else [ends] * len(paths)
        try:
            return list(self._contents.read(map(self._range, paths, each_start, each_end)))
        except (OSError, HitsaveError):
            if on_error != "return":
                raise
        return list(super().cat_ranges(paths, each_start, each_end, on_error=on_error))

    def _range(self, path: str, start: int | None, end: int | None) -> Range:
        found = self._file(path)
        first, last, _ = slice(start, end).indices(found.size)
        return Range(found.digest, first, last)

    # -- what cannot be done

    def _refuse(self, path: Any, *_: Any, **__: Any) -> NoReturn:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), _url(str(path)))

    mkdir = makedirs = rmdir = rm = rm_file = _rm = cp_file = mv = touch = pipe_file = put_file = _refuse


def _url(path: str) -> str:
    return path if path.startswith("hitsave://") else f"hitsave://{path}"


def _missing(path: str, why: str = "") -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, why or os.strerror(errno.ENOENT), _url(path))


def _info(path: str, entry: TreeEntry) -> dict[str, Any]:
    if entry.kind is EntryKind.TREE:
        return {"name": path, "size": 0, "type": "directory", "digest": str(entry.digest)}
    executable = entry.kind is EntryKind.EXECUTABLE
    return {
        "name": path,
        "size": entry.size,
        "type": "file",
        "digest": str(entry.digest),
        "executable": executable,
    }
