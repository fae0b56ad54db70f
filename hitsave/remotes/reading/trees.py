"""Trees out of the cache, or else of a remote: read for who looks at them, and not kept in the cache.

A remote is opened when the first tree is not here, once for all of them. Many trees are brought in a few requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from hitsave.cache.store import Cache
from hitsave.errors import CorruptObject, ObjectNotFound, RemoteCorrupt
from hitsave.objects.digest import Digest
from hitsave.objects.encoding import decode_tree
from hitsave.objects.model import EntryKind
from hitsave.remotes.reading.reader import Shelf


class Trees:
    """Trees by their digests. `open_shelf` gives the newest state of a remote, if there is one."""

    def __init__(self, cache: Cache, open_shelf: Callable[[], Shelf | None]) -> None:
        self._cache = cache
        self._open_shelf = open_shelf
        self._shelf: Shelf | None = None
        self._asked = False
        self._known: dict[Digest, bytes] = {}

    @property
    def shelf(self) -> Shelf | None:
        """The remote, as it was when it was first needed."""
        if not self._asked:
            self._shelf = self._open_shelf()
            self._asked = True
        return self._shelf

    def know(self, trees: Mapping[Digest, bytes]) -> None:
        """Take trees that stand nowhere else: those of working files."""
        self._known.update(trees)

    def load(self, digest: Digest) -> bytes:
        """The encoding of a tree. What is damaged here comes from the remote.

        Raises ObjectNotFound, CorruptObject, RemoteError.
        """
        if digest in self._known:
            return self._known[digest]
        try:
            return self._cache.read(digest)
        except (ObjectNotFound, CorruptObject):
            if self.shelf is None:
                raise
        self._known[digest] = self.shelf.reader.read(digest)
        return self._known[digest]

    def bring(self, digests: Iterable[Digest]) -> None:
        """Have these trees at hand, in a few requests for all that are not here. Raises as `load`."""
        away = self._cache.missing(digest for digest in digests if digest not in self._known)
        if not away or self.shelf is None:
            return
        try:
            self._known.update(
                (digest, bytes(content)) for digest, content in self.shelf.reader.read_many(away).items()
            )
        except (RemoteCorrupt, ObjectNotFound):  # A collection came by, perhaps: one by one, each is looked for again.
            for digest in away:
                self.load(digest)

    def bring_beneath(self, root: Digest) -> None:
        """Have a tree and all the trees beneath it at hand, level by level."""
        level = {root}
        seen: set[Digest] = set()
        while level:
            self.bring(level)
            seen |= level
            beneath = (entry for digest in level for entry in decode_tree(self.load(digest)).entries)
            level = {entry.digest for entry in beneath if entry.kind is EntryKind.TREE} - seen
