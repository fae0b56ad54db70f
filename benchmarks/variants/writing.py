"""Writing many 2 KB files, as `pull` and `checkout` do: which call sequence is the cheapest?

Three ways to make a file appear: created under its final name (a crash can leave half a file), written
to a temporary name and renamed, or written to a nameless `O_TMPFILE` and linked. Each by full path and
by directory descriptor, with one thread and with two.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.variants.timing import Variant, in_threads, measure, split, table

FILES_PER_FOLDER = 100
CONTENT = (b"epoch,loss,accuracy\n" * 110)[:2200]
EXCLUSIVE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
NAMELESS = os.O_WRONLY | getattr(os, "O_TMPFILE", 0) | os.O_CLOEXEC
NAMES = [f"{number:04d}.csv" for number in range(FILES_PER_FOLDER)]

FolderWriter = Callable[[str], None]


def plain(folder: str) -> None:
    for name in NAMES:
        descriptor = os.open(f"{folder}/{name}", EXCLUSIVE, 0o666)
        os.write(descriptor, CONTENT)
        os.close(descriptor)


def plain_open(folder: str) -> None:
    for name in NAMES:
        with open(f"{folder}/{name}", "xb") as file:
            file.write(CONTENT)


def renamed(folder: str) -> None:
    for name in NAMES:
        temporary = f"{folder}/.{name}.tmp"
        descriptor = os.open(temporary, EXCLUSIVE, 0o666)
        os.write(descriptor, CONTENT)
        os.close(descriptor)
        os.rename(temporary, f"{folder}/{name}")


def linked(folder: str) -> None:
    anywhere = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for name in NAMES:
        descriptor = os.open(folder, NAMELESS, 0o666)
        os.write(descriptor, CONTENT)
        # A src_dir_fd makes Python call linkat with AT_SYMLINK_FOLLOW, which /proc/self/fd needs.
        os.link(f"/proc/self/fd/{descriptor}", f"{folder}/{name}", src_dir_fd=anywhere)
        os.close(descriptor)
    os.close(anywhere)


def plain_at(folder: str) -> None:
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for name in NAMES:
        descriptor = os.open(name, EXCLUSIVE, 0o666, dir_fd=at)
        os.write(descriptor, CONTENT)
        os.close(descriptor)
    os.close(at)


def plain_at_stat(folder: str) -> None:
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for name in NAMES:
        descriptor = os.open(name, EXCLUSIVE, 0o666, dir_fd=at)
        os.write(descriptor, CONTENT)
        os.fstat(descriptor)
        os.close(descriptor)
    os.close(at)


def renamed_at(folder: str) -> None:
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for name in NAMES:
        temporary = f".{name}.tmp"
        descriptor = os.open(temporary, EXCLUSIVE, 0o666, dir_fd=at)
        os.write(descriptor, CONTENT)
        os.close(descriptor)
        os.rename(temporary, name, src_dir_fd=at, dst_dir_fd=at)
    os.close(at)


def linked_at(folder: str) -> None:
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for name in NAMES:
        descriptor = os.open(".", NAMELESS, 0o666, dir_fd=at)
        os.write(descriptor, CONTENT)
        os.link(f"/proc/self/fd/{descriptor}", name, src_dir_fd=at, dst_dir_fd=at)
        os.close(descriptor)
    os.close(at)


WRITERS: dict[str, FolderWriter] = {
    "O_EXCL at the final name": plain,
    'open(path, "xb")': plain_open,
    "temporary + rename": renamed,
    "O_TMPFILE + link": linked,
    "O_EXCL at the final name, dir_fd": plain_at,
    "O_EXCL at the final name, dir_fd, fstat": plain_at_stat,
    "temporary + rename, dir_fd": renamed_at,
    "O_TMPFILE + link, dir_fd": linked_at,
}


def run(folder: Path, files: int = 5000, rounds: int = 5) -> str:
    """Measure in `folder` and return the table; leaves its files there for the caller to delete."""
    if sys.platform != "linux":
        return "writing: O_TMPFILE and /proc/self/fd are Linux's own; left out\n"
    variants = []
    for threads in (1, 2):
        for name, writer in WRITERS.items():
            variants.append(_variant(folder, f"{name}, {threads} thread{'s' * (threads > 1)}", writer, files, threads))
    measure(variants, rounds, sync=True)
    return table(f"Writing {files} files of {len(CONTENT)} bytes", variants, files, "file")


def _variant(root: Path, name: str, writer: FolderWriter, files: int, threads: int) -> Variant:
    label = name.replace(" ", "_").replace("/", "_")

    def folders(round_number: int) -> list[str]:
        base = root / f"{label}-{round_number}"
        return [str(base / f"{number:03d}") for number in range(files // FILES_PER_FOLDER)]

    def prepare(round_number: int) -> None:
        for path in folders(round_number):
            os.makedirs(path)

    def write(part: list[str]) -> None:
        for path in part:
            writer(path)

    return Variant(name, lambda number: in_threads(write, split(folders(number), threads)), prepare)
