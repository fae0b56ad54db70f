"""What an intake brings, and what it has found in the cache and relies on."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from hitsave.cache.inbox import Inbox
from hitsave.cache.packset import PackSet
from hitsave.cache.wholefiles import WholeFiles
from hitsave.errors import CorruptObject
from hitsave.objects.digest import Digest


class Stock:
    """The books of one intake: `new` objects, and those that were `found`."""

    def __init__(self, packs: PackSet, whole: WholeFiles, box: Inbox) -> None:
        self._packs = packs
        self._whole = whole
        self._inbox = box
        self._inbox_empty = box.empty
        self.new: set[bytes] = set()
        self.found: set[bytes] = set()
        self.new_bytes = 0
        packs.refresh()

    def kept_small(self, digest: bytes) -> bool:
        """Whether an object is here, or comes, and is no file of its own."""
        if digest in self.new or digest in self.found:
            return True
        # An inbox that was empty at the beginning may hold it by now. To keep it twice does no harm.
        if self._packs.known(digest) or (not self._inbox_empty and self._inbox.has(digest)):
            self.found.add(digest)
            return True
        return False

    def known(self, digest: bytes) -> bool:
        """Whether an object is here, or comes."""
        if self.kept_small(digest):
            return True
        if self._has_file(digest):
            self.found.add(digest)
            return True
        return False

    def _has_file(self, digest: bytes) -> bool:
        # A file that was changed since is set aside here, so that a good one can take its place.
        try:
            return self._whole.find(Digest(digest)) is not None
        except CorruptObject:
            return False

    def note(self, digest: bytes, size: int) -> None:
        """Note that an object comes."""
        self.new.add(digest)
        self.new_bytes += size

    def rely_on(self, digest: bytes) -> bool:
        """Whether an object is here; `publish` then checks that it still is."""
        if self.known(digest):
            return True
        if self._is_here(digest):  # It has come, or has moved from the inbox into a pack, since this intake began.
            self.found.add(digest)
            return True
        return False

    def _is_here(self, digest: bytes) -> bool:
        if self._inbox.has(digest) or self._whole.recorded(digest):
            return True
        self._packs.refresh()
        return self._packs.known(digest)

    def lost(self, needed: AbstractSet[bytes]) -> list[str]:
        """Which of these are neither here now nor come, in hex."""
        self._packs.refresh()
        return [
            digest.hex()
            for digest in needed - self.new
            if not (self._packs.known(digest) or self._whole.recorded(digest) or self._inbox.has(digest))
        ]
