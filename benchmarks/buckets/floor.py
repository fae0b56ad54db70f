"""The floors: the same bytes sent plainly, as one object for each file and as objects of 64 MiB."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.buckets.server import Bucket
from benchmarks.buckets.tool import data
from benchmarks.place import Command, Place

PLAIN = Path(__file__).with_name("plain.py")


class Plain:
    """A plain upload and download, 16 files or 4 pieces at once. Nothing is hashed, compressed or checked."""

    only_copies = True

    def __init__(self, name: str, moved: str) -> None:
        self.name = name
        self.restores = moved == "files"
        self._moved = moved
        self._arguments: Sequence[str] = ()

    def missing(self) -> str | None:
        return None

    def version(self) -> str:
        return f"a plain copy with obstore, in {self._moved}"

    def begin(self, place: Place, bucket: Bucket) -> None:
        place.variables |= bucket.variables
        self._arguments = (bucket.endpoint, bucket.name)
        place.folder("workspace")

    def save(self, place: Place) -> Sequence[Command]:
        return [[sys.executable, PLAIN, f"put-{self._moved}", *self._arguments, data(place)]]

    def join(self, place: Place, bucket: Bucket, first: Place) -> None:
        self.begin(place, bucket)
        data(place).mkdir()

    def load(self, place: Place) -> Sequence[Command]:
        return [[sys.executable, PLAIN, f"get-{self._moved}", *self._arguments, data(place)]]

    def load_one(self, place: Place, name: str) -> Sequence[Command]:
        return [[sys.executable, PLAIN, "get-file", *self._arguments, data(place), name]]


def files() -> Plain:
    """As tools that copy folders do it: one object for each file."""
    return Plain("files", "files")


def floor() -> Plain:
    """What the server takes for the bytes alone. Its result is one file of them all."""
    return Plain("floor", "pieces")


def held(bucket: Bucket) -> tuple[int, int]:
    """Bytes and number of the objects in a bucket."""
    asked = subprocess.run(
        [sys.executable, PLAIN, "list", bucket.endpoint, bucket.name],
        env=bucket.variables,
        capture_output=True,
        text=True,
        check=True,
    )
    size, count = json.loads(asked.stdout)
    return size, count
