"""Digests of arguments, beside `joblib.hash` and, for bytes, beside BLAKE3 alone.

    python -m benchmarks.values

Milliseconds (microseconds for small values), the best of several runs. `joblib.hash` tells less apart (it follows
pickling, so what is shared or interned can count), and is here because it is what people use.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import joblib
import numpy as np
import pandas as pd
from blake3 import blake3

from hitsave.memoisation.values.digest import digest_value


class Settings:
    """A plain instance."""

    def __init__(self) -> None:
        self.rate = 0.1
        self.layers = [64, 64]


def _refer(thing: object) -> str:
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"


def _digest(value: object) -> bytes:
    return digest_value(value, _refer)


def _best(call: Callable[[], object], times: int, rounds: int = 5) -> float:
    """Seconds for one call."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(times):
            call()
        best = min(best, (time.perf_counter() - start) / times)
    return best


def _peak(value: object) -> float:
    """MB that were allocated at once while the value was digested."""
    tracemalloc.start()
    _digest(value)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def _small() -> None:
    values = {
        "{'lr': 0.1, 'n': 3}": {"lr": 0.1, "n": 3},
        "18 ints, strings, lists": ({"a": 1, "b": 2.0, "c": "hello"}, "x", 3, [1, 2, 3]),
        "an instance": Settings(),
        "an array of 10 floats": np.arange(10.0),
    }
    print(f"{'small values, µs':34}{'hitsave':>10}{'joblib':>10}")
    for name, value in values.items():
        ours = _best(lambda value=value: _digest(value), 2000)  # type: ignore[misc]
        theirs = _best(lambda value=value: joblib.hash(value), 200)  # type: ignore[misc]
        print(f"{name:34}{ours * 1e6:10.1f}{theirs * 1e6:10.1f}")


def _large() -> None:
    array = np.random.default_rng(1).random((2500, 5000))
    tall = pd.DataFrame(np.random.default_rng(1).random((1_000_000, 12)))
    values = {
        "100 MB array": array,
        "100 MB, Fortran order": np.asfortranarray(array),
        "50 MB, every second column": array[:, ::2],
        "96 MB frame of 12 columns": tall,
        "1,000,000 ints in a list": list(range(1_000_000)),
        "1,000,000 strings in a list": list(map(str, range(1_000_000))),
        "100,000 tuples of int and string": [(number, str(number)) for number in range(100_000)],
        "100,000 entries in a dict": {str(number): number for number in range(100_000)},
    }
    floor = _best(lambda: blake3(memoryview(array).cast("B"), max_threads=blake3.AUTO).digest(), 1)
    print(f"\nBLAKE3 of 100 MB, all processors: {floor * 1e3:.1f} ms")
    print(f"{'large values, ms':34}{'hitsave':>10}{'joblib':>10}{'peak MB':>10}")
    for name, value in values.items():
        ours = _best(lambda value=value: _digest(value), 1)  # type: ignore[misc]
        theirs = _best(lambda value=value: joblib.hash(value), 1, 2)  # type: ignore[misc]
        print(f"{name:34}{ours * 1e3:10.1f}{theirs * 1e3:10.1f}{_peak(value):10.1f}")


if __name__ == "__main__":
    _small()
    _large()
