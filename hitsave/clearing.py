"""Empties the cache of what a remote has as well: this machine forgets it, and nobody else does.

A remote that holds a ref has all that it needs, so a ref goes from here where some remote holds the same one. The
others stay, unless they are given up. What was cleared does not count as forgotten: no `gc --remote` drops it there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hitsave.cache.store import Cache
from hitsave.maintenance import collect as collection
from hitsave.objects.refs import Ref, RefName
from hitsave.remotes.commits.log import Remote
from hitsave.snapshots import readonly


class Clearable(NamedTuple):
    """The refs that some remote holds as they are here, and those that none does."""

    elsewhere: tuple[Ref, ...]
    only_here: tuple[Ref, ...]


def find_clearable(cache: Cache, remotes: Iterable[Remote]) -> Clearable:
    """Which refs of the cache are safe elsewhere. Raises RemoteError."""
    here = {ref.name: ref for ref in cache.refs()}
    safe: set[RefName] = set()
    for remote in remotes:
        held = remote.latest().refs()
        safe |= {name for name, ref in here.items() if name in held and held[name].digest == ref.digest}
    return Clearable(
        tuple(ref for name, ref in here.items() if name in safe),
        tuple(ref for name, ref in here.items() if name not in safe),
    )


def clear(cache: Cache, refs: Iterable[Ref], now: int) -> collection.Collected:
    """Drop refs from this machine, and delete for good what nobody owns then; `now` is in seconds since 1970."""
    collection.forget(cache, [ref.name for ref in refs], now, collection.CLEARED)
    done = collection.collect(cache, now, keep_seconds=0)
    readonly.drop_unowned(cache)
    return done
