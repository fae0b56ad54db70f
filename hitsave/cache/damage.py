"""Sets aside what cannot be read out of packs, so that it can come in again.

Who asks for it has somewhere to take it from. Otherwise damage stays what it is: an error, and never a miss.
"""

from __future__ import annotations

from collections.abc import Iterator

from hitsave.cache.packfile import readable_entries
from hitsave.cache.refs import doubt_all
from hitsave.cache.store import Cache
from hitsave.errors import CorruptObject
from hitsave.objects.digest import Digest, parse_digest


def set_aside_damaged(cache: Cache, error: CorruptObject) -> int:
    """Make everything unknown that cannot be read of the packs which an error is about; how many objects it was.

    All of a pack at once: one request then brings what would be noticed piece by piece. Nothing, where the error is
    about no pack of this cache. Raises CorruptObject where an index is damaged.
    """
    found = 0
    # Under the write lock, where no collection is moving packs: what is not in its place then is lost.
    with cache.database.writing() as connection:
        for pack in set(_packs_of(cache, error)):
            lost = _unreadable(cache, pack)
            rows = [(bytes(digest), bytes(pack)) for digest in lost]
            connection.executemany("INSERT OR IGNORE INTO damaged VALUES (?, ?)", rows)
            found += len(lost)
        if found:
            doubt_all(connection)
    cache.packset.touch()
    cache.packset.forget_files()
    return found


def _packs_of(cache: Cache, error: CorruptObject) -> Iterator[Digest]:
    """The packs that an error may be about: the one that it names, and the one where its object is found."""
    try:
        digest = parse_digest(error.digest)
    except ValueError:
        return
    location = cache.packset.find(digest)
    if location is not None:
        yield Digest(location.pack)
    if cache.pack_path(digest).name in error.where:
        yield digest


def _unreadable(cache: Cache, pack: Digest) -> set[Digest]:
    """What a pack does not give of what its index says that it holds, and is not set aside there."""
    try:
        table = cache.pack_table(pack)
    except KeyError:  # A collection has replaced it.
        return set()
    lost = {Digest(entry.digest) for entry in table.table.entries()}
    lost -= {Digest(entry.digest) for entry, _ in readable_entries(cache.pack_path(pack), table)}
    return {digest for digest in lost if (at := cache.packset.find(digest)) is not None and at.pack == pack}
