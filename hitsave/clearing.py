"""Empties the cache of what a remote has as well: this machine forgets it, and nobody else does.

A remote that holds a ref has all that it needs, so a ref goes from here where some remote holds the same one. The
others stay, unless they are given up. What was cleared does not count as forgotten: no `gc --remote` drops it there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hitsave.cache.store import Cache
from hitsave.maintenance import collect as collection
from hitsave.objects.refs import Namespace, Ref, RefName
from hitsave.ownership import Project
from hitsave.remotes.commits.log import Remote
from hitsave.snapshots import readonly


class Clearable(NamedTuple):
    """The refs that some remote holds as they are here, those that none does, and those of other projects."""

    elsewhere: tuple[Ref, ...]
    only_here: tuple[Ref, ...]
    others: tuple[Ref, ...] = ()


def find_clearable(cache: Cache, remotes: Iterable[Remote], project: Project | None) -> Clearable:
    """Which refs of a project, and of none, are safe elsewhere; without one, of all projects. Raises RemoteError.

    What remotes another project has, nobody can tell from here.
    """
    here = {ref.name: ref for ref in cache.refs()}
    mine = set(here) if project is None else {ref.name for ref in project.own_refs(cache)}
    if project is not None:
        mine |= {name for name, ref in here.items() if not ref.path and name.namespace is not Namespace.DATASETS}
    safe: set[RefName] = set()
    for remote in remotes:
        held = remote.latest().refs()
        safe |= {name for name in mine if name in held and held[name].digest == here[name].digest}
    kept = mine - safe
    return Clearable(
        tuple(ref for name, ref in here.items() if name in safe),
        tuple(ref for name, ref in here.items() if name in kept),
        tuple(ref for name, ref in here.items() if name not in mine),
    )


def clear(cache: Cache, refs: Iterable[Ref], now: int) -> collection.Collected:
    """Drop refs from this machine, and delete for good what nobody owns then; `now` is in seconds since 1970."""
    collection.forget(cache, [ref.name for ref in refs], now, collection.CLEARED)
    done = collection.collect(cache, now, keep_seconds=0)
    readonly.drop_unowned(cache)
    return done
