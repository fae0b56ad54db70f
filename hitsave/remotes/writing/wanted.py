"""Finds out what a push has to send: all that refs own and the remote lacks, and where in the cache it lies.

Trees are walked level by level, so that the remote's indexes are asked once for each level. A tree that the remote has
is there with all beneath it (objects_spec.md, section 9.4), and is not looked into.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from hitsave.cache.inbox import Boxed
from hitsave.cache.store import Cache
from hitsave.errors import ObjectNotFound, ReliedOnLost
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.graph import links
from hitsave.objects.refs import Ref
from hitsave.packing.index import Location
from hitsave.remotes.commits.view import View

#: Objects that are looked up together. More would only take more memory.
_AT_ONCE = 20_000


@dataclass(slots=True)
class Wanted:
    """What has to be sent: packed objects with their lengths, by the pack that holds them, and whole files.

    `boxed` are those of the cache's inbox, which are few and small.
    `relied_on` is what the remote has, `seen` what was looked into, and the roots. `size` is in bytes of content.
    """

    packed: dict[Digest, dict[bytes, int]] = field(default_factory=dict)
    boxed: dict[Digest, Boxed] = field(default_factory=dict)
    whole: dict[Digest, Path] = field(default_factory=dict)
    relied_on: set[bytes] = field(default_factory=set)
    seen: set[bytes] = field(default_factory=set)
    size: int = 0

    @property
    def count(self) -> int:
        """How many objects."""
        return sum(map(len, self.packed.values())) + len(self.boxed) + len(self.whole)


def find_wanted(cache: Cache, view: View, refs: Iterable[Ref]) -> Wanted:
    """What the remote lacks of what refs own. Raises ObjectNotFound, CorruptObject, ReliedOnLost."""
    wanted = Wanted()
    level = {ref.digest: ref.kind for ref in refs}
    wanted.seen |= level.keys()
    while level:
        wanted.seen.update(digest for digest, kind in level.items() if kind is not ObjectKind.BLOB)
        parents: list[Location] = []
        boxed: dict[Digest, Boxed] = {}
        for some in _batches(level):
            there = view.has_many(some)
            wanted.relied_on |= there
            lacking = [digest for digest in some if digest not in there]
            located, here = cache.locate_or_read(lacking)
            _want_boxed(wanted, here)
            _want(cache, wanted, (digest for digest in lacking if digest not in here), located)
            parents += (place for digest, place in located.items() if level[digest] is not ObjectKind.BLOB)
            boxed |= here
        level = _beneath(cache, wanted, level, parents, boxed)
    return wanted


def _batches(level: Mapping[Digest, ObjectKind]) -> Iterator[list[Digest]]:
    digests = iter(level)
    while some := list(islice(digests, _AT_ONCE)):
        yield some


def _beneath(
    cache: Cache,
    wanted: Wanted,
    level: Mapping[Digest, ObjectKind],
    parents: list[Location],
    boxed: Mapping[Digest, Boxed],
) -> dict[Digest, ObjectKind]:
    """What trees and evaluations name, and was not seen yet."""
    return {
        link.digest: link.kind
        for parent, content in chain(cache.read_many(parents), ((digest, box.content) for digest, box in boxed.items()))
        for link in links(level[parent], bytes(content))
        if link.digest not in wanted.seen
    }


def _want_boxed(wanted: Wanted, boxed: Mapping[Digest, Boxed]) -> None:
    wanted.size += sum(len(box.content) for digest, box in boxed.items() if digest not in wanted.boxed)
    wanted.boxed |= boxed


def _want(cache: Cache, wanted: Wanted, lacking: Iterable[Digest], located: Mapping[Digest, Location]) -> None:
    for digest in lacking:
        location = located.get(digest)
        if location is None:
            _want_file(cache, wanted, digest)
            continue
        packed = wanted.packed.setdefault(location.pack, {})
        if digest not in packed:  # A blob may come at several levels.
            packed[digest] = location.length
            wanted.size += location.length


def _want_file(cache: Cache, wanted: Wanted, digest: Digest) -> None:
    path = cache.whole_file(digest)
    if digest in wanted.whole:
        return
    if path is None:
        raise ObjectNotFound(str(digest), "the cache, so it cannot be pushed; 'hitsave fetch' brings what is elsewhere")
    wanted.whole[digest] = path
    try:
        wanted.size += path.stat().st_size
    except FileNotFoundError:
        raise ReliedOnLost([str(digest)]) from None
