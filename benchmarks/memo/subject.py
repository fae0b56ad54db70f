"""The jobs that are timed, one in each process. It runs beside a module `decoration`, under the peer's interpreter.

python subject.py JOB [ARGUMENT...]      prints one line of JSON
"""

import json
import os
import statistics
import sys
import time

from decoration import memo

ARRAY = 12_500_000
LOOPS = 2000


def elapsed(call, *arguments):
    """Seconds that a call takes."""
    begun = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - begun


@memo
def small(number, name="x", rate=0.5):
    return number + rate


@memo
def total(array):
    return float(array[0]) + float(array[-1])


@memo
def made(seed):
    import numpy

    return numpy.random.default_rng(seed).random(12_500_000)


@memo
def slow(number, folder):
    with open(os.path.join(folder, "bodies"), "ab") as file:
        file.write(b"x")
    time.sleep(0.05)
    return number


def hit():
    """A hit with small arguments, over and over: seconds a call, of each round."""
    small(7, "hello", rate=2.0)
    small(7, "hello", rate=2.0)
    count = 10 + int(0.05 / elapsed(lambda: small(7, "hello", rate=2.0)))
    count = min(count, LOOPS)
    return [elapsed(lambda: [small(7, "hello", rate=2.0) for _ in range(count)]) / count for _ in range(9)]


def miss(limit):
    """Calls with ever new arguments: seconds of each, until `limit` seconds have passed."""
    seconds = []
    small(-1)
    end = time.perf_counter() + float(limit)
    for number in range(LOOPS):
        seconds.append(elapsed(small, number))
        if time.perf_counter() > end:
            break
    return {"median": statistics.median(seconds), "mean": statistics.fmean(seconds), "calls": len(seconds)}


def argument():
    """A hit with an array of 100 MB: seconds of each; and of BLAKE3 over its buffer in between, where that is here."""
    import numpy

    array = numpy.random.default_rng(1).random(ARRAY)
    total(array)
    try:
        from blake3 import blake3
    except ImportError:
        blake3 = None
    found = {"hit": [], "floor": []}
    view = memoryview(array).cast("B")
    for _ in range(7):
        if blake3 is not None:
            found["floor"].append(elapsed(lambda: blake3(view, max_threads=blake3.AUTO).digest()))
        found["hit"].append(elapsed(total, array))
    return found


def result(seed):
    """A call that makes an array of 100 MB, and what its body alone takes: seconds."""
    import numpy

    small(1)  # Opens whatever there is to open.
    body = min(elapsed(lambda: numpy.random.default_rng(int(seed)).random(ARRAY)) for _ in range(3))
    return {"call": elapsed(lambda: made(int(seed))), "body": body}


def read_back(seed):
    """The same call in another process, and to look at every number: seconds."""
    import numpy  # noqa: F401 - its import is not what is measured.

    small(1)
    begun = time.perf_counter()
    array = made(int(seed))
    called = time.perf_counter() - begun
    array.sum()
    return {"call": called, "with sum": time.perf_counter() - begun}


def race(folder):
    """Forty keys of 50 ms each, which other processes want as well."""
    small(1)  # Imports and opens whatever there is.
    while not os.path.exists(os.path.join(folder, "go")):
        time.sleep(0.001)
    return elapsed(lambda: [slow(number, folder) for number in range(40)])


def ready(folder):
    """As `race` before it begins: so that all is compiled."""
    small(1)
    return elapsed(lambda: slow(-1, folder))


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
