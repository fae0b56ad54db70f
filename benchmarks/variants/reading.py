"""Reading (and hashing) many 2 KB files, as `add` does the first time."""

import os
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from benchmarks.variants.timing import Variant, in_threads, measure, split, table

SIZE = 2200
FOLDER = 100
READ = os.O_RDONLY | os.O_CLOEXEC
Read = Callable[[str, list[str]], None]


def with_open(folder: str, names: list[str]) -> None:
    for name in names:
        with open(f"{folder}/{name}", "rb") as file:
            file.read()


def with_open_unbuffered(folder: str, names: list[str]) -> None:
    for name in names:
        with open(f"{folder}/{name}", "rb", buffering=0) as file:
            file.read()


def with_pathlib(folder: str, names: list[str]) -> None:
    for name in names:
        (Path(folder) / name).read_bytes()


def with_os(folder: str, names: list[str]) -> None:
    for name in names:
        descriptor = os.open(f"{folder}/{name}", READ)
        os.read(descriptor, SIZE + 1)
        os.close(descriptor)


def with_os_stat(folder: str, names: list[str]) -> None:
    for name in names:
        descriptor = os.open(f"{folder}/{name}", READ)
        os.read(descriptor, os.fstat(descriptor).st_size + 1)
        os.close(descriptor)


def with_dir_fd(folder: str, names: list[str]) -> None:
    at = os.open(folder, READ | os.O_DIRECTORY)
    for name in names:
        descriptor = os.open(name, READ, dir_fd=at)
        os.read(descriptor, SIZE + 1)
        os.close(descriptor)
    os.close(at)


def with_os_hashed(folder: str, names: list[str]) -> None:
    for name in names:
        descriptor = os.open(f"{folder}/{name}", READ)
        blake3(os.read(descriptor, SIZE + 1)).digest()
        os.close(descriptor)


def with_dir_fd_hashed(folder: str, names: list[str]) -> None:
    at = os.open(folder, READ | os.O_DIRECTORY)
    for name in names:
        descriptor = os.open(name, READ, dir_fd=at)
        blake3(os.read(descriptor, SIZE + 1)).digest()
        os.close(descriptor)
    os.close(at)


READS: dict[str, Read] = {
    "Path.read_bytes": with_pathlib,
    'open(path, "rb")': with_open,
    'open(path, "rb", buffering=0)': with_open_unbuffered,
    "os.open, os.read": with_os,
    "os.open, os.fstat, os.read": with_os_stat,
    "os.open(dir_fd), os.read": with_dir_fd,
    "os.open, os.read, BLAKE3": with_os_hashed,
    "os.open(dir_fd), os.read, BLAKE3": with_dir_fd_hashed,
}


def run(folder: Path, files: int = 20_000, rounds: int = 5) -> str:
    """Measure over `files` files in folders of a hundred, in the page cache, and return the table."""
    names = [f"{number:04d}.csv" for number in range(FOLDER)]
    folders = [str(folder / f"{start:06d}") for start in range(0, files, FOLDER)]
    for path in folders:
        os.mkdir(path)
        for name in names:
            with open(f"{path}/{name}", "xb") as file:
                file.write(os.urandom(SIZE))
    variants = [
        _variant(name, read, split(folders, threads), names) for threads in (1, 2) for name, read in READS.items()
    ]
    measure(variants, rounds)
    return table(f"Reading {files} files of {SIZE} bytes", variants, files, "file")


def _variant(name: str, read: Read, parts: list[list[str]], names: list[str]) -> Variant:
    def read_all(part: list[str]) -> None:
        for path in part:
            read(path, names)

    label = f"{name}, {len(parts)} thread{'s' * (len(parts) > 1)}"
    return Variant(label, lambda _round: in_threads(read_all, parts))
