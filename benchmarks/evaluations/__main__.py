"""`python -m benchmarks.evaluations`."""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import benchmarks.evaluations
from hitsave.cache.store import Cache
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.evaluation import BlobLink, Evaluation, encode_evaluation
from hitsave.objects.refs import Ref, evaluation_prefix, evaluation_ref

MANIFEST = b"manifest" * 500
LOOKUPS = 5000
AT_ONCE = 10_000


def an_evaluation(number: int, result: bytes) -> Evaluation:
    """One of some 600 bytes."""
    return Evaluation(
        function="project.module.function",
        code=blob_digest(b"code %d" % (number // 1000)),
        arguments=blob_digest(b"%d" % number),
        manifest=BlobLink(blob_digest(MANIFEST), len(MANIFEST)),
        result=BlobLink(blob_digest(result), len(result)),
        started=1_795_000_000_000_000 + number,
        elapsed=1000,
        by="somebody@somewhere",
        python="3.11",
    )


def publish(folder: Path, count: int, synchronous: str) -> dict[str, Any]:
    """Publish evaluations with results of 100 bytes, one by one."""
    chance = random.Random(1)
    with Cache.open(folder) as cache:
        cache.database.connection.execute(f"PRAGMA synchronous={synchronous}")
        seconds = []
        for number in range(count):
            result = chance.randbytes(100)
            evaluation = an_evaluation(number, result)
            begun = time.perf_counter()
            with cache.intake(inbox=True) as intake:
                intake.add(ObjectKind.BLOB, MANIFEST)
                intake.add(ObjectKind.BLOB, result)
                digest = intake.add(ObjectKind.EVALUATION, encode_evaluation(evaluation))
                name = evaluation_ref(evaluation.function, evaluation.key, digest)
                prefix = evaluation_prefix(evaluation.function, evaluation.key)
                intake.publish([Ref(name, digest, ObjectKind.EVALUATION, 1_795_000_000)], unless=prefix)
            seconds.append(time.perf_counter() - begun)
        packs, indexes = len(cache.packs()), len(cache.packset.indexes())
    return {
        "published": count,
        "synchronous": synchronous,
        "mean ms": statistics.mean(seconds) * 1e3,
        "median ms": statistics.median(seconds) * 1e3,
        "packs": packs,
        "indexes": indexes,
    }


def fill(cache: Cache, count: int) -> None:
    """A store of many evaluations, made in bulk."""
    for first in range(0, count, AT_ONCE):
        with cache.intake() as intake:
            refs = []
            intake.add(ObjectKind.BLOB, MANIFEST)
            for number in range(first, min(first + AT_ONCE, count)):
                evaluation = an_evaluation(number, b"")
                digest = intake.add(ObjectKind.EVALUATION, encode_evaluation(evaluation))
                name = evaluation_ref(evaluation.function, evaluation.key, digest)
                refs.append(Ref(name, digest, ObjectKind.EVALUATION, 1_795_000_000))
            intake.add(ObjectKind.BLOB, b"")
            intake.publish(refs)


def timed(action: Callable[[Any], object], values: Sequence[Any]) -> float:
    """Microseconds for each of some values."""
    begun = time.perf_counter()
    for value in values:
        action(value)
    return (time.perf_counter() - begun) / len(values) * 1e6


def look_up(folder: Path, count: int) -> dict[str, Any]:
    """Find random keys among many, those that are there and those that are not; read what was found."""
    chance = random.Random(2)
    with Cache.open(folder) as cache:
        begun = time.perf_counter()
        fill(cache, count)
        filled = time.perf_counter() - begun
        index, function = cache.evaluations, "project.module.function"
        keys = [an_evaluation(chance.randrange(count), b"").key for _ in range(LOOKUPS)]
        others = [Digest(hashlib.sha256(key).digest()) for key in keys]
        found = [digest for key in keys for _, digest in index.find(function, key)]
        arguments = [an_evaluation(chance.randrange(count), b"").arguments for _ in range(LOOKUPS)]
        begun = time.perf_counter()
        index.newest(function, 1)
        indexed = time.perf_counter() - begun
        return {
            "refs": count,
            "filled s": filled,
            "hit us": timed(lambda key: index.find(function, key), keys),
            "miss us": timed(lambda key: index.find(function, key), others),
            "read us": timed(cache.read, found),
            "first look at the index s": indexed,
            "same arguments us": timed(lambda digest: index.same_arguments(function, digest, 5), arguments),
            "newest us": timed(lambda number: index.newest(function, 5), range(100)),
            "database bytes": (folder / "cache.db").stat().st_size,
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluations", description=benchmarks.evaluations.__doc__
    )
    parser.add_argument("--publish", type=int, default=10_000, help="evaluations that are published one by one")
    parser.add_argument("--refs", type=int, default=1_000_000, help="evaluations among which one is looked for")
    parser.add_argument("--folder", type=Path, help="where to put the caches (default: the temporary folder)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        for synchronous in ("FULL", "NORMAL", "OFF"):
            print(json.dumps(publish(folder / synchronous, options.publish, synchronous)), flush=True)
        print(json.dumps(look_up(folder / "many", options.refs)), flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
