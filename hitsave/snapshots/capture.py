"""Working files become objects: a directory is listed, what is new is read, and its tree gets its digest.

What the stat cache vouches for is not read. Each file is looked at before and after it is read; one that changes
meanwhile is read again, and refused with FileChanged where it does not come to rest: nothing torn is ever stored.
Directories are visited without recursion, so that depth is bounded by the file system alone.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hitsave.cache.intake import WHOLE_FROM
from hitsave.cache.stats import (
    UNTRUSTED,
    DirectoryStats,
    StatCache,
    is_racy,
    split_signature,
    stat_record,
)
from hitsave.errors import FileChanged, SnapshotError, UnsupportedFile
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import decode_tree, encode_entry, entry_count, join_entries
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.progress import Progress, Silent
from hitsave.snapshots.ignore import Rules, load_rules
from hitsave.snapshots.keeping import Keep
from hitsave.snapshots.staging import STAGING_PREFIX

_TRIES = 3
#: Where git keeps what it knows of a project: a folder, or a file that names one.
GIT = b".git"
#: Half-made files, whoever makes them, are nobody's content.
_STAGING = os.fsencode(STAGING_PREFIX)
#: Names of links that are left out, in a warning.
_MOST_NAMED = 3
_READ_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_KIND_NAMES = {
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "block device",
    stat.S_IFCHR: "character device",
}


@dataclass(frozen=True, slots=True)
class CaptureOptions:
    """How to capture. `symlinks` is "ignore", "store" or "follow"; `rules` are those that hold above the path.

    With `everything`, no `.hitsaveignore` is looked at, and what cannot be kept is an error. `cached` is the folder of
    the cache's files, ended by a separator: a link to one of them is a way to check a file out, and is taken for that
    file. With `without_git`, git's own folders stay out: they hold the history of all the project, and its settings.
    """

    symlinks: str = "ignore"
    rules: Rules | None = None
    everything: bool = False
    cached: bytes = b""
    without_git: bool = False


class Captured(NamedTuple):
    """What a path was: size in bytes and number of files; `read` counts the files whose content was read.

    `left_out` counts symbolic links that are not in it.
    """

    digest: Digest
    kind: ObjectKind
    size: int
    files: int
    executable: bool
    read: int
    left_out: int = 0


class _Total(NamedTuple):
    digest: Digest
    size: int
    files: int


@dataclass(slots=True)
class _Directory:
    """A directory under way: its files are done, its sub-directories come next."""

    path: bytes
    key: bytes
    rules: Rules | None
    real: tuple[int, int]
    entries: list[tuple[bytes, bytes]] = field(default_factory=list)
    pending: list[bytes] = field(default_factory=list)
    signature: bytes = b""
    row: DirectoryStats | None = None
    size: int = 0
    files: int = 0
    untouched: bool = False
    encoded: bytes | None = None


def capture(
    path: Path,
    keep: Keep,
    stats: StatCache,
    options: CaptureOptions | None = None,
    progress: Progress | None = None,
    clock: Callable[[], int] = time.time_ns,
) -> Captured:
    """Capture a file or a directory. Raises SnapshotError and what lies beneath it, OSError.

    The caller saves what was learned by `stats` only through this function, which does so at its end.
    """
    return _Capture(keep, stats, options or CaptureOptions(), progress or Silent(), clock).run(path)


class _Capture:
    def __init__(
        self,
        keep: Keep,
        stats: StatCache,
        options: CaptureOptions,
        progress: Progress,
        clock: Callable[[], int],
    ) -> None:
        self._keep = keep
        self._stats = stats
        self._options = options
        self._progress = progress
        self._clock = clock
        self._rows: dict[bytes, DirectoryStats] = {}
        self._changed: dict[bytes, DirectoryStats] = {}
        self._seen: set[bytes] = set()
        self._root = b""
        self._read = 0
        self._left_out: list[bytes] = []
        self._git_left_out = False

    def run(self, path: Path) -> Captured:
        absolute, found = self._find(path)
        self._rows = self._stats.beneath(self._key(absolute))
        self._refuse_special(absolute, found.st_mode)
        if stat.S_ISDIR(found.st_mode):
            total = self._walk(absolute, found)
            links = len(self._left_out)
            captured = Captured(total.digest, ObjectKind.TREE, total.size, total.files, False, self._read, links)
        else:
            captured = self._single_file(absolute, found)
        gone = [key for key in self._rows if key not in self._seen]
        self._stats.save(self._changed, gone)
        if self._left_out:
            self._progress.note(f"{os.fsdecode(absolute)}: {self._what_was_left_out()}")
        if self._git_left_out:
            self._progress.note(f"{os.fsdecode(absolute)}: .git is git's own, and was left out")
        return captured

    def _find(self, path: Path) -> tuple[bytes, os.stat_result]:
        """The absolute path of what is captured, which a link leads to, and its state."""
        absolute = os.fsencode(os.path.abspath(path))
        try:
            found = os.stat(absolute) if self._options.symlinks == "follow" else os.lstat(absolute)
            if stat.S_ISLNK(found.st_mode):
                absolute = os.path.realpath(absolute)
                found = os.stat(absolute)
        except FileNotFoundError:
            if not os.path.islink(path):
                raise
            target = os.path.realpath(path)
            raise SnapshotError(f"{path}: is a symbolic link to {target}, and nothing is there") from None
        return absolute, found

    def _what_was_left_out(self) -> str:
        names = ", ".join(os.fsdecode(path[len(self._root) :].lstrip(b"/")) for path in self._left_out[:_MOST_NAMED])
        more = ", ..." if len(self._left_out) > _MOST_NAMED else ""
        if self._options.symlinks == "store":
            why = "outside of the directory they would mean something else"
        else:
            why = "'hitsave config set symlinks store' keeps those that stay inside"
        links = "1 symbolic link was" if len(self._left_out) == 1 else f"{len(self._left_out)} symbolic links were"
        return f"{links} left out ({names}{more}); {why}"

    # -- the walk

    def _key(self, path: bytes) -> bytes:
        # What a tree holds depends on how links are taken, so that each way has rows of its own.
        return self._options.symlinks.encode() + b":" + path

    def _walk(self, root: bytes, found: os.stat_result) -> _Total:
        self._root = root
        stack = [self._open(root, self._options.rules, (found.st_dev, found.st_ino))]
        while True:
            directory = stack[-1]
            if directory.pending:
                stack.append(self._enter(stack, directory, directory.pending.pop()))
                continue
            stack.pop()
            total = self._close(directory)
            if not stack:
                return total
            parent = stack[-1]
            name = directory.path[len(parent.path) + 1 :] if parent.path != b"/" else directory.path[1:]
            encoded = encode_entry(name, EntryKind.TREE, total.digest, total.size, total.files)
            parent.entries.append((name, encoded))
            parent.size += total.size
            parent.files += total.files

    def _enter(self, stack: list[_Directory], parent: _Directory, name: bytes) -> _Directory:
        path = os.path.join(parent.path, name)
        real = (0, 0)
        if self._options.symlinks == "follow":
            found = os.stat(path)
            real = (found.st_dev, found.st_ino)
            if any(above.real == real for above in stack):
                raise SnapshotError(f"{os.fsdecode(path)}: a symbolic link that leads back to a directory above it")
        return self._open(path, parent.rules, real)

    def _open(self, path: bytes, rules: Rules | None, real: tuple[int, int]) -> _Directory:
        key = self._key(path)
        self._seen.add(key)
        own_rules = None if self._options.everything else load_rules(path, rules)
        directory = _Directory(path, key, own_rules, real, row=self._rows.get(key))
        files = self._list(directory)
        files.sort()
        directory.signature = b"".join([name + b"\0" + stat_record(found) for name, found in files])
        if not self._take_unchanged(directory, files):
            self._take_files(directory, files)
        directory.pending.sort(reverse=True)
        return directory

    def _list(self, directory: _Directory) -> list[tuple[bytes, os.stat_result]]:
        """The files of a directory; its sub-directories become `pending`, links and special files are dealt with."""
        files: list[tuple[bytes, os.stat_result]] = []
        rules = directory.rules
        with os.scandir(directory.path) as listing:
            for item in listing:
                if item.name.startswith(_STAGING):
                    continue
                found = item.stat(follow_symlinks=False)
                mode = found.st_mode
                if self._options.without_git and item.name == GIT:
                    self._git_left_out = True
                    continue
                if rules is not None and rules.ignores(item.path, stat.S_ISDIR(mode)):
                    continue
                if stat.S_ISREG(mode):
                    files.append((item.name, found))
                elif stat.S_ISDIR(mode):
                    directory.pending.append(item.name)
                elif stat.S_ISLNK(mode):
                    self._take_link(directory, item.name, item.path, files)
                else:
                    self._refuse_special(item.path, mode)
        return files

    def _take_link(
        self, directory: _Directory, name: bytes, path: bytes, files: list[tuple[bytes, os.stat_result]]
    ) -> None:
        if self._is_cached(path):
            files.append((name, os.stat(path)))
        elif self._options.symlinks == "ignore":
            self._left_out.append(path)
        elif self._options.symlinks == "store":
            self._store_link(directory, name, path)
        else:
            try:
                found = os.stat(path)
            except FileNotFoundError:
                raise SnapshotError(f"{os.fsdecode(path)}: a symbolic link to nothing cannot be followed") from None
            if stat.S_ISDIR(found.st_mode):
                directory.pending.append(name)
            else:
                self._refuse_special(path, found.st_mode)
                files.append((name, found))

    def _is_cached(self, path: bytes) -> bool:
        cached = self._options.cached
        return bool(cached) and os.readlink(path).startswith(cached) and os.path.isfile(path)

    def _store_link(self, directory: _Directory, name: bytes, path: bytes) -> None:
        target = os.readlink(path)
        # How deep the directory lies below the root decides how many `..` a target may begin with.
        depth = directory.path[len(self._root) :].count(b"/")
        if not stays_inside(target, depth):
            if self._options.everything:
                raise SnapshotError(f"{os.fsdecode(path)}: a symbolic link that leads out of the directory")
            self._left_out.append(path)
            return
        digest = self._keep.content(ObjectKind.BLOB, target)
        directory.entries.append((name, encode_entry(name, EntryKind.SYMLINK, digest, len(target))))
        directory.size += len(target)
        directory.files += 1

    # -- files

    def _take_unchanged(self, directory: _Directory, files: list[tuple[bytes, os.stat_result]]) -> bool:
        row = directory.row
        if row is None or row.signature != directory.signature or not self._keep.trusts_tree(row.tree):
            return False
        directory.untouched = True
        directory.size += sum(found.st_size for _, found in files)
        directory.files += len(files)
        if not directory.pending and not directory.entries and entry_count(row.tree) == len(files):
            directory.encoded = row.tree  # Nothing but these files: the tree is as it was.
            return True
        entries = [entry for entry in decode_tree(row.tree).entries if entry.kind <= EntryKind.EXECUTABLE]
        directory.entries += [(entry.name, encode_entry(*entry)) for entry in entries]
        return True

    def _take_files(self, directory: _Directory, files: list[tuple[bytes, os.stat_result]]) -> None:
        known = _known_files(directory.row)
        signature: list[bytes] = []
        prefix = directory.path.rstrip(b"/") + b"/"
        for name, found in files:
            record = stat_record(found)
            before = known.get(name)
            if before is not None and before[0] == record and self._keep.trusts(before[1].digest):
                digest, size, mode = before[1].digest, found.st_size, found.st_mode
            else:
                digest, found, record = self._read_file(prefix + name)
                size, mode = found.st_size, found.st_mode
            kind = EntryKind.EXECUTABLE if mode & 0o100 else EntryKind.FILE
            directory.entries.append((name, encode_entry(name, kind, digest, size)))
            directory.size += size
            signature.append(name + b"\0" + record)
        directory.files += len(files)
        directory.signature = b"".join(signature)

    def _read_file(self, path: bytes) -> tuple[Digest, os.stat_result, bytes]:
        """Digest, state and stat record of a file; the record is UNTRUSTED where a later change might not show."""
        flags = _READ_FLAGS
        if self._options.symlinks == "follow" or (os.path.islink(path) and self._is_cached(path)):
            flags &= ~getattr(os, "O_NOFOLLOW", 0)
        fd = os.open(path, flags)
        try:
            for _ in range(_TRIES):
                started = self._clock()
                found = os.fstat(fd)
                digest = self._read_open_file(fd, found.st_size)
                after = os.fstat(fd)
                if digest is not None and stat_record(found) == stat_record(after):
                    self._read += 1
                    self._progress.advance(found.st_size, 1)
                    return digest, found, UNTRUSTED if is_racy(found, started) else stat_record(found)
                os.lseek(fd, 0, os.SEEK_SET)
        finally:
            os.close(fd)
        raise FileChanged(os.fsdecode(path))

    def _read_open_file(self, fd: int, size: int) -> Digest | None:
        if size >= WHOLE_FROM:
            return self._keep.file(fd, size)
        content = os.read(fd, size + 1)
        return self._keep.content(ObjectKind.BLOB, content) if len(content) == size else None

    def _close(self, directory: _Directory) -> _Total:
        encoded = directory.encoded
        if encoded is None:
            directory.entries.sort()
            encoded = join_entries([entry for _, entry in directory.entries])
        digest = self._keep.content(ObjectKind.TREE, encoded)
        row = directory.row
        if row is None or not directory.untouched or row.tree != encoded:
            self._changed[directory.key] = DirectoryStats(directory.signature, encoded)
        return _Total(digest, directory.size, directory.files)

    def _single_file(self, path: bytes, found: os.stat_result) -> Captured:
        name = os.path.basename(path)
        key = self._key(path)
        self._seen.add(key)
        known = _known_files(self._rows.get(key)).get(name)
        record = stat_record(found)
        if known is not None and known[0] == record and self._keep.trusts(known[1].digest):
            digest = known[1].digest
        else:
            digest, found, record = self._read_file(path)
            entry = encode_entry(name, EntryKind.FILE, digest, found.st_size)
            self._changed[key] = DirectoryStats(name + b"\0" + record, join_entries([entry]))
        return Captured(digest, ObjectKind.BLOB, found.st_size, 1, bool(found.st_mode & 0o100), self._read)

    @staticmethod
    def _refuse_special(path: bytes, mode: int) -> None:
        if kind := _KIND_NAMES.get(stat.S_IFMT(mode)):
            raise UnsupportedFile(os.fsdecode(path), kind)


def _known_files(row: DirectoryStats | None) -> dict[bytes, tuple[bytes, TreeEntry]]:
    if row is None:
        return {}
    entries = {entry.name: entry for entry in decode_tree(row.tree).entries}
    return {
        name: (record, entries[name])
        for name, record in split_signature(row.signature)
        if record != UNTRUSTED and name in entries
    }


def stays_inside(target: bytes, depth: int) -> bool:
    """Whether a symlink in a directory `depth` levels below a root never leads above that root."""
    if target.startswith(b"/") or b"\0" in target or not target:
        return False
    for part in target.split(b"/"):
        if part == b"..":
            depth -= 1
            if depth < 0:
                return False
        elif part not in (b"", b"."):
            depth += 1
    return True
