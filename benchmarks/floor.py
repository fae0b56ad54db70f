"""The floor: what the machine itself takes, with `cp -r` and `b3sum`, which store nothing and check nothing.

A tool that copies every byte once and hashes every byte once can't be faster; one that links or that
leaves out files it knows can. Without a `b3sum` program, `python -m benchmarks.floor DIR` stands in:
the blake3 module, in two threads.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.place import Command, Place, Step


class Floor:
    """`cp -r` for push, pull and restore; `cp -r` and a hash of every file for add."""

    name = "floor"

    def missing(self) -> str | None:
        return None

    def version(self) -> str:
        return "cp -r, b3sum" if shutil.which("b3sum") else "cp -r, the blake3 module in place of b3sum (not found)"

    def start_up(self) -> dict[str, Command]:
        return {}

    def steps(self, place: Place) -> Iterator[Step]:
        workspace = place.folder("workspace")
        data = workspace / "data"
        place.copy_source(data)
        cached, sent, pulled = (workspace / name for name in ("cached", "sent", "pulled"))
        yield Step("add", [["cp", "-r", data, cached], _hash_all(data)], workspace)
        yield Step("push", [["cp", "-r", cached, sent]], workspace, stored=sent)
        yield Step("pull", [["cp", "-r", sent, pulled]], workspace, result=pulled)
        place.set_aside(data)
        yield Step("restore", [["cp", "-r", cached, data]], workspace, result=data)


def _hash_all(folder: Path) -> Command:
    if shutil.which("b3sum"):
        return ["sh", "-c", 'find "$1" -type f -print0 | xargs -0 b3sum --no-names > /dev/null', "sh", folder]
    return [sys.executable, "-m", "benchmarks.floor", folder]


def _digest(path: str) -> None:
    from blake3 import blake3  # only the stand-in needs it

    blake3(max_threads=blake3.AUTO).update_mmap(path).digest()


def main() -> None:
    paths = [os.path.join(folder, name) for folder, _, names in os.walk(sys.argv[1]) for name in names]
    with ThreadPoolExecutor(2) as threads:
        for _ in threads.map(_digest, paths, chunksize=64):
            pass


if __name__ == "__main__":
    main()
