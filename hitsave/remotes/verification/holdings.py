"""Where the entries of a remote lie, as far as they can be read: by its indexes, less what was found to be damaged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from hitsave.objects.digest import Digest
from hitsave.packing.index import Index, Location
from hitsave.remotes.commits.keys import pack_key
from hitsave.remotes.verification.packcheck import PackDamage


class Holdings:
    """Looks entries up in indexes that were verified; those that come first are preferred."""

    def __init__(self, indexes: Sequence[Index], damaged: Mapping[Digest, PackDamage]) -> None:
        self.indexes = indexes
        self.damaged = damaged

    def find_many(self, digests: Iterable[Digest]) -> dict[Digest, Location]:
        """Where objects, chunks and recipes can be read; those that nowhere can be are left out."""
        found: dict[Digest, Location] = {}
        missing: Collection[Digest] = dict.fromkeys(digests)
        for index in self.indexes:
            if not missing:
                break
            for digest, location in index.find_many(missing).items():
                readable = location if self.is_readable(location) else self._other(index, digest)
                if readable is not None:
                    found[digest] = readable
            missing = [digest for digest in missing if digest not in found]
        return found

    def is_readable(self, location: Location) -> bool:
        """Whether nothing is known to be wrong with an entry."""
        damage = self.damaged.get(location.pack)
        return damage is None or location.digest not in damage.unreadable

    def _other(self, index: Index, digest: Digest) -> Location | None:
        return next(filter(self.is_readable, _every_place(index, digest)), None)

    def why_not(self, digest: Digest) -> tuple[str, Digest | None]:
        """Why an entry that was not found is lost, as the end of a sentence, and the pack that it is lost with."""
        for index in self.indexes:
            for location in _every_place(index, digest):
                return f"cannot be read out of {pack_key(location.pack)}", location.pack
        return "is missing", None


def _every_place(index: Index, digest: Digest) -> Iterator[Location]:
    number = index.number_of(digest)
    while 0 <= number < index.entry_count and (location := index.location(number)).digest == digest:
        yield location
        number += 1
