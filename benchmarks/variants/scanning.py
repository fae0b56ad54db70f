"""Scanning a tree of many small files with a stat of each, as `add` and `status` do when nothing changed."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.variants.timing import Variant, measure, table

Scan = Callable[[str], int]


def by_walk(root: str) -> int:
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            total += os.stat(os.path.join(folder, name), follow_symlinks=False).st_size
    return total


def by_rglob(root: str) -> int:
    return sum(path.lstat().st_size for path in Path(root).rglob("*") if not path.is_dir())


def by_scandir(root: str) -> int:
    total = 0
    pending = [root]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def by_scandir_recursive(root: str) -> int:
    return sum(entry.stat(follow_symlinks=False).st_size for entry in _entries(root))


def _entries(folder: str) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(entry.path)
            else:
                yield entry


def by_descriptor(root: str) -> int:
    """`os.scandir(fd)`: the kernel resolves one name an entry, instead of the whole path."""
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return _below(at)
    finally:
        os.close(at)


def _below(at: int) -> int:
    total = 0
    folders = []
    with os.scandir(at) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                total += entry.stat(follow_symlinks=False).st_size
    for name in folders:
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
        try:
            total += _below(inner)
        finally:
            os.close(inner)
    return total


def by_descriptor_in_order(root: str) -> int:
    """By descriptor, the entries of each folder in the order of their inodes, as on the disk."""
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return _below_in_order(at)
    finally:
        os.close(at)


def _below_in_order(at: int) -> int:
    total = 0
    with os.scandir(at) as found:
        entries = sorted(found, key=lambda entry: entry.inode())
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                inner = os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
                try:
                    total += _below_in_order(inner)
                finally:
                    os.close(inner)
            else:
                total += entry.stat(follow_symlinks=False).st_size
    return total


SCANS: dict[str, Scan] = {
    "os.walk, os.stat": by_walk,
    "Path.rglob, lstat": by_rglob,
    "os.scandir, entry.stat, a list of folders": by_scandir,
    "os.scandir, entry.stat, nested generators": by_scandir_recursive,
    "os.scandir(dir_fd), entry.stat": by_descriptor,
    "os.scandir(dir_fd), entry.stat, by inode": by_descriptor_in_order,
}


def run(folder: Path, files: int = 20_000, rounds: int = 7) -> str:
    """Measure over `files` small files in folders of a hundred, and return the table."""
    for start in range(0, files, 100):
        inner = folder / f"{start // 1000:03d}" / f"{start:06d}"
        inner.mkdir(parents=True)
        for number in range(100):
            (inner / f"{number:04d}.csv").write_bytes(b"x" * 10)
    variants = [_variant(name, scan, str(folder), files * 10) for name, scan in SCANS.items()]
    measure(variants, rounds)
    return table(f"Scanning {files} files", variants, files, "file")


def _variant(name: str, scan: Scan, root: str, expected: int) -> Variant:
    def job(_round: int) -> None:
        if (total := scan(root)) != expected:
            raise AssertionError(f"{name} saw {total} bytes of {expected}")

    return Variant(name, job)
