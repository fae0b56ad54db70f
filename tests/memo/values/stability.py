"""Prints the digests of a family of values; run in processes of their own, with different hash seeds."""

from __future__ import annotations

import collections
import dataclasses
import decimal
import enum
import pathlib

import numpy as np
import pandas as pd

from hitsave.memoisation.values.digest import digest_value


class Colour(enum.Flag):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Point:
    x: object
    links: set[Point] = dataclasses.field(default_factory=set)

    __hash__ = object.__hash__


def refer(thing: object) -> str:
    return f"{getattr(thing, '__module__', None)}.{getattr(thing, '__qualname__', None) or repr(thing)}"


def values() -> list[object]:
    words = [f"word {number}" for number in range(50)]
    ring = [Point(number % 3) for number in range(20)]
    for number, point in enumerate(ring):
        point.links = {ring[number - 1], ring[(number + 1) % 20], ring[(number * 7) % 20]}
    nested = frozenset(frozenset(words[start : start + 3]) for start in range(40))
    return [
        set(words),
        nested,
        {word: {word, word.upper()} for word in words},
        Colour.RED | Colour.BLUE,
        Point(set(words)),
        ring[5],
        set(ring),
        [ring[0], ring[1]],
        collections.Counter(words),
        {decimal.Decimal(number) for number in range(30)},
        {pathlib.PurePosixPath(word) for word in words},
        np.array([set(words), None], object),
        pd.DataFrame({"a": words, "b": range(50)}, index=pd.Index(words)),
        {(word, number) for number, word in enumerate(words)},
    ]


if __name__ == "__main__":
    print("\n".join(digest_value(value, refer).hex() for value in values()))
