"""Where the servers of these tests keep things: in a folder, or in PostgreSQL and a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hitsave.cache.store import Cache
from hitsave.objects.refs import Ref
from hitsave.remotes.commits.log import Author, Remote
from hitsave.remotes.opening import open_transport
from hitsave.remotes.writing.push import push


@dataclass(frozen=True)
class Place:
    """One server's folder, store and database."""

    folder: Path
    store: str
    database: str = ""

    @classmethod
    def in_folder(cls, folder: Path) -> Place:
        """With a folder for a store, and SQLite."""
        return cls(folder, str(folder / "store"))

    def remote(self, machine: str = "look", create: bool = False) -> Remote:
        """The store, as a machine sees it that does not go through the server."""
        return Remote.open(open_transport(self.store), self.folder / machine, create=create)

    def holds(self) -> set[str]:
        """The refs in the store now."""
        return {str(name) for name in self.remote().latest().refs()}

    def take(self, cache: Cache, *refs: Ref) -> None:
        """Push refs to the store, or all of a cache."""
        push(self.remote("pushing", create=True), cache, refs or cache.refs(), Author("ann@host", 1_795_000_000))
