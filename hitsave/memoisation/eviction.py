"""Which kept results are forgotten, where there are more than somebody wants to keep.

First those that are too old; then, as long as there are too many or they are too large, the least valuable: those that
took the fewest seconds to compute for each byte that is kept, the oldest of equals first. What a later evaluation of
the same call stands before, in the same project, is worth nothing. Experiments are never forgotten, and do not count.
Nothing is deleted here: refs are dropped, `hitsave undo` brings them back, and `hitsave gc` collects what they owned.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from hitsave.cache.evaluations import EvaluationRow
from hitsave.cache.store import Cache
from hitsave.errors import RefError
from hitsave.limits import Limits, show_age
from hitsave.maintenance.collect import forget
from hitsave.memoisation.place import Place
from hitsave.memoisation.telling import warn
from hitsave.objects.digest import Digest

#: Bytes that an evaluation takes beside its result.
_RECORD = 1000
#: A function is looked at again when it has got so many more results, as a part of those that it had.
_PART = 20
_TRIES = 5

_until_next: dict[str, int] = {}
_forgotten: dict[str, int] = {}


class Excess(NamedTuple):
    """An evaluation that is to be forgotten, and why."""

    row: EvaluationRow
    why: str


def choose(rows: Iterable[EvaluationRow], limits: Limits, now: int, spared: Collection[Digest] = ()) -> list[Excess]:
    """What is to be forgotten of these, in the order in which that is decided. `now` is in microseconds since 1970.

    `spared` are evaluations that are not, whatever the limits say: a result that was computed just now is worth having
    once. They count.
    """
    candidates, found = [], []
    for row in rows:
        if row.experiment:
            continue
        if limits.age is not None and row.started < now - limits.age * 1_000_000 and row.digest not in spared:
            found.append(Excess(row, f"older than {show_age(limits.age)}"))
        else:
            candidates.append(row)
    return found + list(_least_valuable(candidates, limits, spared))


def _least_valuable(rows: list[EvaluationRow], limits: Limits, spared: Collection[Digest]) -> Iterator[Excess]:
    count, size = len(rows), sum(row.size for row in rows)
    newest: dict[tuple[str, bytes], EvaluationRow] = {}
    for row in rows:
        known = newest.setdefault((row.project, row.key), row)
        if (row.started, row.digest) > (known.started, known.digest):
            newest[row.project, row.key] = row

    def value(row: EvaluationRow) -> tuple[float, int, bytes]:
        current = newest[row.project, row.key] is row
        return row.elapsed / (row.size + _RECORD) if current else -1.0, row.started, row.digest

    for row in sorted(rows, key=value):
        if row.digest in spared:
            continue
        if limits.count is not None and count > limits.count:
            yield Excess(row, f"more than {limits.count:,}")
        elif limits.size is not None and size > limits.size and row.size:
            yield Excess(row, f"more than {limits.size:,} bytes")
        else:
            continue
        count -= 1
        size -= row.size


# -- carried out


def excess_of_store(cache: Cache, limits: Limits, now: int) -> list[Excess]:
    """What is to be forgotten of everything in the cache. `now` is in microseconds since 1970."""
    return choose(cache.evaluations.all(), limits, now) if limits else []


def forget_excess(cache: Cache, excess: Iterable[Excess]) -> int:
    """Forget evaluations, as one operation; how many were still there."""
    names = [each.row.name for each in excess]
    for _ in range(_TRIES):
        names = [name for name in names if cache.ref(name) is not None]
        try:
            return len(forget(cache, names, int(time.time())))
        except RefError:  # Somebody else was quicker.
            continue
    return 0


def after_publish(place: Place, function: str, limits: Limits, published: Digest) -> None:
    """Keep a function of a project within its limits. Looks seldom where there is much to look at."""
    left = _until_next.get(function, 0)
    if left > 0:
        _until_next[function] = left - 1
        return
    cache, project = place.cache, place.project
    count, size, oldest = cache.evaluations.sums(function, project)
    now = time.time_ns() // 1000
    too_many = limits.count is not None and count > limits.count
    too_large = limits.size is not None and size > limits.size
    too_old = limits.age is not None and oldest < now - limits.age * 1_000_000
    if too_many or too_large or too_old:
        excess = choose(cache.evaluations.of(function, project), limits, now, {published})
        _tell(function, forget_excess(cache, excess))
    _until_next[function] = count // _PART


def _tell(function: str, number: int) -> None:
    """Warn at the first results that are forgotten, and whenever they have become ten times as many."""
    before = _forgotten.get(function, 0)
    after = _forgotten[function] = before + number
    if number and len(str(after)) > len(str(before) if before else ""):
        results = "1 kept result was" if after == 1 else f"{after:,} kept results were"
        warn(
            f"{function}: {results} forgotten, since keep= sets a limit; "
            "'hitsave undo' brings back what went last, 'hitsave gc' frees the space"
        )
