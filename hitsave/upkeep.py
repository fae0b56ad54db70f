"""Looks after one remote: what is dropped from it, collected, brought back, verified and repaired there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hitsave.cache.store import Cache
from hitsave.maintenance.collect import forgotten
from hitsave.objects.refs import Ref, RefName
from hitsave.ownership import author, author_name
from hitsave.progress import Progress
from hitsave.remotes.collection import collect as collection
from hitsave.remotes.collection import dropping
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.verification import repair, verify


@dataclass(frozen=True, slots=True)
class Upkeep:
    """One remote, and the cache of who looks after it. `others` gives all remotes but one."""

    remote: Remote
    cache: Cache
    progress: Progress
    others: Callable[[Remote], Iterable[Remote]]

    def refs(self) -> list[Ref]:
        """The refs that the remote holds, by name."""
        return [ref for _, ref in sorted(self.remote.latest().refs().items())]

    def forget(self, names: Iterable[RefName]) -> list[Ref]:
        """Drop refs from the remote, whoever made them; those that were there."""
        return dropping.drop_refs(self.remote, author(), names)

    def collect(self, keep: int, dry_run: bool = False) -> collection.Collected:
        """Remove what no ref reaches, and commits that held more than `keep` seconds ago.

        Refs that their maker forgot, on this machine, are dropped first. Other people's stay.
        """
        mine = author_name()
        gone = forgotten(self.cache)
        drop = [ref.name for ref in self.refs() if ref.name in gone and ref.by == mine] if gone else []
        return collection.collect(self.remote, author(), keep, drop, dry_run, self.progress)

    def undo(self) -> dropping.BroughtBack:
        """Bring back the refs that were dropped last."""
        return dropping.bring_back(self.remote, author())

    def repair(self) -> repair.RemoteRepair:
        """Verify the remote and repair it, from the cache and from other remotes."""
        return repair.repair(self.remote, self.cache, self.others(self.remote), author(), self.progress)

    def verify(self, sample: float | None) -> verify.RemoteReport:
        """Verify the remote, or a random part of its packs (0 to 1)."""
        return verify.verify(self.remote, sample, time.time_ns(), self.progress)
