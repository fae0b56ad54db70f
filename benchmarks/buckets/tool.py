"""What a tool has to tell the harness to be measured over a bucket: commands, and what to prepare for them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from benchmarks.buckets.server import Bucket
from benchmarks.place import Command, Place


class Tool(Protocol):
    """A tool to measure. A place is one machine: its home folder, and the folder `workspace` with the data.

    Only the commands are timed. `only_copies` says that a tool keeps no record of what it sent: then sending again,
    sending what was edited and resuming are no questions to ask it. `restores`: whether it leaves files as they were.
    """

    name: str
    only_copies: bool
    restores: bool

    def missing(self) -> str | None:
        """Why the tool can't run here, or None."""

    def version(self) -> str:
        """One line for the report."""

    def begin(self, place: Place, bucket: Bucket) -> None:
        """Make an empty workspace, a repository and what belongs to it, with the bucket as its remote."""

    def save(self, place: Place) -> Sequence[Command]:
        """The commands after which `workspace/data` is in the bucket; the last one uploads."""

    def join(self, place: Place, bucket: Bucket, first: Place) -> None:
        """Make the workspace of a colleague of `first`, without data and with an empty cache."""

    def load(self, place: Place) -> Sequence[Command]:
        """The commands after which `workspace/data` is there."""

    def load_one(self, place: Place, name: str) -> Sequence[Command]:
        """The commands after which one file of it is there; `name` is its path in `data`."""


ToolMaker = Callable[[], Tool]


def workspace(place: Place) -> Path:
    """The workspace of a place."""
    return place.root / "workspace"


def data(place: Place) -> Path:
    """Where the data set lies or is to lie."""
    return workspace(place) / "data"
