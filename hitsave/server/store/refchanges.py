"""Which refs two lists of ref segments disagree about: record by record, so that memory does not grow with them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from hitsave.objects.refs import Ref, RefName

#: The records of one segment, ascending by name.
Records = Iterable[tuple[RefName, Ref | None]]
#: Those sides that a record is told on, and where its segment stands there.
_Told = tuple[str, int, tuple[int, ...], RefName, Ref | None]


class ChangedRef(NamedTuple):
    """A ref as it was and as it is; None where there was or is none."""

    before: Ref | None
    after: Ref | None


def changed_refs(
    common: Sequence[Records], before: Sequence[Records], after: Sequence[Records]
) -> Iterator[ChangedRef]:
    """The refs, ascending by name, that `common` and then `before` hold otherwise than `common` and then `after`."""
    told = [_told((0, 1), at, records) for at, records in enumerate(common)]
    for side, segments in enumerate((before, after)):
        told += [_told((side,), len(common) + at, records) for at, records in enumerate(segments)]
    for _, group in groupby(heapq.merge(*told), itemgetter(0)):
        held: list[Ref | None] = [None, None]
        for _, _, sides, _, ref in group:  # Later segments come later, and overrule.
            for side in sides:
                held[side] = ref
        if held[0] != held[1]:
            yield ChangedRef(*held)


def _told(sides: tuple[int, ...], at: int, records: Records) -> Iterator[_Told]:
    for name, ref in records:
        yield str(name), at, sides, name, ref
