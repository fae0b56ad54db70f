"""Finds out what a push has to send: all that refs own and the remote lacks, and where in the cache it lies.

Trees are walked level by level, so that the remote's indexes are asked once for each level. A tree that the remote has
is there with all beneath it (objects_spec.md, section 9.4), and is not looked into.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hitsave.cache.store import Cache
from hitsave.errors import ObjectNotFound, ReliedOnLost
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.graph import links
from hitsave.objects.refs import Ref
from hitsave.packing.index import Location
from hitsave.remotes.commits.view import View


@dataclass(slots=True)
class Wanted:
    """What has to be sent: packed objects with their lengths, by the pack that holds them, and whole files.

    `relied_on` is what the remote has, `seen` all that was asked about. `size` is in bytes of content.
    """

    packed: dict[Digest, dict[bytes, int]] = field(default_factory=dict)
    whole: dict[Digest, Path] = field(default_factory=dict)
    relied_on: set[bytes] = field(default_factory=set)
    seen: set[bytes] = field(default_factory=set)
    size: int = 0

    @property
    def count(self) -> int:
        """How many objects."""
        return sum(map(len, self.packed.values())) + len(self.whole)


def find_wanted(cache: Cache, view: View, refs: Iterable[Ref]) -> Wanted:
    """What the remote lacks of what refs own. Raises ObjectNotFound, CorruptObject, ReliedOnLost."""
    wanted = Wanted()
    level = {ref.digest: ref.kind for ref in refs}
    while level:
        wanted.seen |= level.keys()
        there = view.has_many(level)
        wanted.relied_on |= there
        lacking = {digest: kind for digest, kind in level.items() if digest not in there}
        located = cache.locate_many(lacking)
        _want(cache, wanted, lacking, located)
        level = _beneath(cache, wanted, lacking, located)
    return wanted


def _beneath(
    cache: Cache, wanted: Wanted, lacking: Mapping[Digest, ObjectKind], located: Mapping[Digest, Location]
) -> dict[Digest, ObjectKind]:
    """What trees name, and was not seen yet."""
    parents = [location for digest, location in located.items() if lacking[digest] is not ObjectKind.BLOB]
    return {
        link.digest: link.kind
        for parent, content in cache.read_many(parents)
        for link in links(lacking[parent], bytes(content))
        if link.digest not in wanted.seen
    }


def _want(cache: Cache, wanted: Wanted, lacking: Iterable[Digest], located: Mapping[Digest, Location]) -> None:
    for digest in lacking:
        location = located.get(digest)
        if location is None:
            _want_file(cache, wanted, digest)
        else:
            wanted.packed.setdefault(location.pack, {})[digest] = location.length
            wanted.size += location.length


def _want_file(cache: Cache, wanted: Wanted, digest: Digest) -> None:
    path = cache.whole_file(digest)
    if path is None:
        raise ObjectNotFound(str(digest), "the cache, so it cannot be pushed; 'hitsave fetch' brings what is elsewhere")
    wanted.whole[digest] = path
    try:
        wanted.size += path.stat().st_size
    except FileNotFoundError:
        raise ReliedOnLost([str(digest)]) from None
