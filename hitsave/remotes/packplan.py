"""What becomes of each pack in a collection: kept, rewritten or dropped. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hitsave.cache.intake import WHOLE_FROM
from hitsave.objects.digest import Digest
from hitsave.packing.blocks import EntryKindInPack
from hitsave.packing.commit import StoredFile
from hitsave.packing.index import IndexedPack, Location

#: A pack of which less than this is alive is rewritten.
SPARSE = 0.5
#: Packs below this many bytes are put together when there are more than so many.
SMALL_PACK = 4 << 20
MOST_SMALL = 16


@dataclass(slots=True)
class Plan:
    """Packs with their live entries alone.

    `again` are packs that an earlier try of this collection wrote. `kept` has, for each index of the commit, the packs
    that stay, or None where the index stays as it is. `stay` names them all, `gone` the others, with their lengths.
    """

    again: list[IndexedPack]
    kept: list[tuple[StoredFile, list[IndexedPack] | None]] = field(default_factory=list)
    rewrite: list[IndexedPack] = field(default_factory=list)
    stay: set[Digest] = field(default_factory=set)
    gone: dict[Digest, int] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether any index has to be written anew."""
        return any(packs is not None for _, packs in self.kept)


def plan_packs(
    again: Iterable[IndexedPack], tables: Sequence[Sequence[IndexedPack]], files: Sequence[StoredFile]
) -> Plan:
    """Decide. `tables` holds the packs of each of `files`, with their live entries."""
    plan = Plan([pack for pack in again if pack.table.records])
    small = [pack for packs in tables for pack in packs if _share(pack) >= SPARSE and pack.length < SMALL_PACK]
    too_small = {pack.digest for pack in small} if len(small) > MOST_SMALL else set()
    for file, packs in zip(files, tables, strict=True):
        stay = [pack for pack in packs if _share(pack) >= SPARSE and pack.digest not in too_small]
        plan.rewrite += [pack for pack in packs if pack.table.records and pack not in stay]
        plan.stay |= {pack.digest for pack in stay}
        alive = sum(len(pack.table.records) for pack in stay)
        unchanged = len(stay) == len(packs) and alive == file.entries
        plan.kept.append((file, None if unchanged else stay))
    plan.gone = {pack.digest: pack.length for packs in tables for pack in packs if pack.digest not in plan.stay}
    return plan


def _share(pack: IndexedPack) -> float:
    """Which part of a pack's content is alive."""
    everything = sum(block.raw for block in pack.table.blocks)
    alive = sum(entry.length for entry in pack.table.entries())
    if everything == 0:
        return 1.0 if pack.table.records else 0.0
    return alive / everything if pack.table.records else 0.0


def holds_large(pack: IndexedPack) -> bool:
    """Whether a pack holds parts of large objects; those lie apart from small ones."""
    entries = pack.table.entries()
    return any(entry.kind == EntryKindInPack.RECIPE or entry.length >= WHOLE_FROM for entry in entries)


def locations(packs: Iterable[IndexedPack]) -> Iterator[Location]:
    """Where the entries of packs lie."""
    for pack in packs:
        for entry in pack.table.entries():
            block = pack.table.blocks[entry.block]
            yield Location(Digest(entry.digest), entry.kind, pack.digest, block, entry.offset, entry.length)
