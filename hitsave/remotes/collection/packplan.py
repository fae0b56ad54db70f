"""What becomes of each pack in a collection: kept, rewritten or dropped. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hitsave.objects.digest import Digest
from hitsave.remotes.collection.marks import PackWeight, Weights

#: A pack of which less than this is alive is rewritten.
SPARSE = 0.5
#: Packs below this many bytes are put together when there are more than so many.
SMALL_PACK = 4 << 20
MOST_SMALL = 16


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """The packs of one index that stay, those that are rewritten, and whether the index stays as it is."""

    stay: frozenset[Digest]
    rewrite: frozenset[Digest]
    unchanged: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of the packs of all indexes; `gone` are those that go, with their lengths in bytes."""

    indexes: tuple[IndexPlan, ...]
    gone: dict[Digest, int]

    @property
    def stay(self) -> frozenset[Digest]:
        """The packs that stay."""
        return frozenset[Digest]().union(*(index.stay for index in self.indexes))

    @property
    def changes(self) -> bool:
        """Whether any index has to be written anew."""
        return not all(index.unchanged for index in self.indexes)

    @property
    def rewrites(self) -> bool:
        """Whether any pack has to be rewritten."""
        return any(index.rewrite for index in self.indexes)


def plan_packs(weights: Sequence[Weights]) -> Plan:
    """Decide, by what is alive in the packs of each index."""
    small = [weight for found in weights for weight in found.packs if _is_dense(weight) and _is_small(weight)]
    together = len(small) > MOST_SMALL
    indexes = tuple(_plan_index(found, together) for found in weights)
    stay = frozenset[Digest]().union(*(index.stay for index in indexes))
    packs = (weight.pack for found in weights for weight in found.packs)
    return Plan(indexes, {pack.digest: pack.length for pack in packs if pack.digest not in stay})


def _plan_index(found: Weights, small_together: bool) -> IndexPlan:
    stay: set[Digest] = set()
    rewrite: set[Digest] = set()
    for weight in found.packs:
        if _is_dense(weight) and not (small_together and _is_small(weight)):
            stay.add(weight.pack.digest)
        elif weight.entries:
            rewrite.add(weight.pack.digest)
    return IndexPlan(frozenset(stay), frozenset(rewrite), found.not_alive == 0 and len(stay) == len(found.packs))


def _is_dense(weight: PackWeight) -> bool:
    return weight.entries > 0 and weight.alive >= SPARSE * weight.total


def _is_small(weight: PackWeight) -> bool:
    return weight.pack.length < SMALL_PACK
