"""Sets aside what cannot be read out of packs, so that it can come in again.

Who asks for it has somewhere to take it from. Otherwise damage stays what it is: an error, and never a miss.
"""

from __future__ import annotations

from hitsave.cache.packfile import readable_entries
from hitsave.cache.refs import doubt_all
from hitsave.cache.store import Cache
from hitsave.errors import CorruptObject
from hitsave.objects.digest import Digest, parse_digest


def set_aside_damaged(cache: Cache, error: CorruptObject) -> int:
    """Make everything unknown that cannot be read of the pack which an error is about; how many objects it was.

    All of it at once: one request then brings what would be noticed piece by piece. None, where the object lies in no
    pack of this cache. Raises CorruptObject where an index is damaged.
    """
    found = 0
    # Under the write lock, where no collection is moving packs: what is not in its place then is lost.
    with cache.database.writing() as connection:
        pack = _pack_of(cache, error)
        if pack is not None and (lost := _unreadable(cache, pack)):
            rows = [(bytes(digest), bytes(pack)) for digest in lost]
            connection.executemany("INSERT OR IGNORE INTO damaged VALUES (?, ?)", rows)
            doubt_all(connection)
            found = len(lost)
    cache.packset.touch()
    cache.packset.forget_files()
    return found


def _pack_of(cache: Cache, error: CorruptObject) -> Digest | None:
    """The pack where the object is found that an error names."""
    try:
        location = cache.packset.find(parse_digest(error.digest))
    except ValueError:
        return None
    return None if location is None else Digest(location.pack)


def _unreadable(cache: Cache, pack: Digest) -> set[Digest]:
    """What a pack does not give of what its index says that it holds, and is not set aside there."""
    try:
        table = cache.pack_table(pack)
    except KeyError:  # A collection has replaced it.
        return set()
    lost = {Digest(entry.digest) for entry in table.table.entries()}
    lost -= {Digest(entry.digest) for entry, _ in readable_entries(cache.pack_path(pack), table)}
    return {digest for digest in lost if (at := cache.packset.find(digest)) is not None and at.pack == pack}
