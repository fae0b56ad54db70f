"""Which refs two lists of ref segments may disagree about: record by record, so that memory does not grow with them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from hitsave.objects.refs import Ref, RefName

#: The records of one segment, ascending by name.
Records = Iterable[tuple[RefName, Ref | None]]
_Told = tuple[str, int, int, RefName, Ref | None]


def changed_names(before: Sequence[Records], after: Sequence[Records]) -> Iterator[RefName]:
    """The names, ascending, of which the last record in `before` is not that in `after`, or is in one of them only."""
    told = [_told(side, at, records) for side, lists in enumerate((before, after)) for at, records in enumerate(lists)]
    for _, group in groupby(heapq.merge(*told), itemgetter(0)):
        last: list[tuple[Ref | None] | None] = [None, None]
        for _, side, _, changed, ref in group:  # Later segments come later, and overrule.
            name, last[side] = changed, (ref,)
        if last[0] != last[1]:
            yield name


def _told(side: int, at: int, records: Records) -> Iterator[_Told]:
    for name, ref in records:
        yield str(name), side, at, name, ref
