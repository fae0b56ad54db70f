"""Processes that use one cache at once: `python -m tests.faults.workers ROLE CACHE FOLDER [NUMBER]`.

What they have done is one line of stdout each, written when it is done: `added SEED REF`, `forgetting REF` (before it).
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hitsave.cache.intake import WHOLE_FROM
from hitsave.cache.store import Cache
from hitsave.maintenance.collect import collect, forget
from hitsave.objects.digest import Digest, ObjectKind, parse_digest
from hitsave.objects.refs import evaluation_prefix, parse_ref_name, snapshot_ref
from tests.cache.calls import a_call, add_call
from tests.cache.content import all_files_of
from tests.faults.operations import NOW, keep_folder, noise

DIRECTORIES = 30
CALLS = 40
_SHARED = 8


def files_of_seed(seed: int) -> dict[str, bytes]:
    """A small directory: half of it is in many others too, one file in eight directories is a large one."""
    files = {f"shared {n}": b"shared %d " % n * 50 for n in range(seed % 5, seed % 5 + 6)}
    files |= {f"own {n}": b"own %d of %d " % (n, seed) * 40 for n in range(3)}
    if seed % 8 == 0:
        files["large"] = noise(seed // 8 % _SHARED, WHOLE_FROM)
    return files


def _add(cache: Cache, folder: Path, seed: int) -> Digest:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files_of_seed(seed).items():
        (folder / name).write_bytes(content)
    ref = keep_folder(cache, folder)
    print("added", seed, ref.name, flush=True)
    return ref.digest


def add(cache: Cache, folder: Path, number: int) -> None:
    """Add many directories, one after the other."""
    for seed in range(number * DIRECTORIES, (number + 1) * DIRECTORIES):
        _add(cache, folder / str(seed), seed)


def forget_again(cache: Cache, folder: Path, number: int) -> None:
    """Add directories that share content with everybody's, and forget them, until told to end."""
    seed = 1_000_000
    while not (folder / "end").exists():
        digest = _add(cache, folder / "forgotten" / str(seed), seed)
        forget(cache, [snapshot_ref(digest)], NOW)
        seed += 1


def collect_always(cache: Cache, folder: Path, number: int) -> None:
    """Collect until told to end."""
    while not (folder / "end").exists():
        collect(cache, NOW, keep_seconds=0)
        print("collected", flush=True)


def read_always(cache: Cache, folder: Path, number: int) -> None:
    """Read everything that is owned by somebody who never forgets, until told to end."""
    while not (folder / "end").exists():
        for line in (folder / "0.out").read_text(encoding="ascii").splitlines(keepends=True):
            if line.endswith("\n"):
                seed, name = line.split()[1:]
                found = all_files_of(cache, parse_digest(name.rpartition("/")[2]), cache_kind(cache, name))
                wanted = {key.encode(): value for key, value in files_of_seed(int(seed)).items()}
                if found != wanted:
                    raise AssertionError(f"{name}: read wrongly")
        print("read", flush=True)
        time.sleep(0.01)


def cache_kind(cache: Cache, name: str) -> ObjectKind:
    """The kind of what a ref holds."""
    ref = cache.ref(parse_ref_name(name))
    if ref is None:
        raise AssertionError(f"{name}: lost")
    return ref.kind


def churn(cache: Cache, folder: Path, number: int) -> None:
    """Add, forget and collect until killed."""
    chance = random.Random(number)
    added: list[Digest] = []
    seed = number * 10_000
    while True:
        added.append(_add(cache, folder / str(seed), seed))
        seed += 1
        if chance.random() < 0.4:
            digest = added.pop(chance.randrange(len(added)))
            print("forgetting", snapshot_ref(digest), flush=True)
            forget(cache, [snapshot_ref(digest)], NOW)
        if chance.random() < 0.4:
            collect(cache, NOW, keep_seconds=chance.choice((0, 1000)))


def only_open(cache: Cache, folder: Path, number: int) -> None:
    """Open a cache, and own one thing in it."""
    _add(cache, folder / str(number), number)


def call(cache: Cache, folder: Path, number: int) -> None:
    """Publish the same calls as everybody, each with an own result; small ones, of which some are packed meanwhile."""
    while not (folder / "start").exists():
        time.sleep(0.001)
    for key in range(CALLS):
        evaluation, result = a_call(key, result=b"%d of %d" % (key, number))
        with cache.intake(inbox=True) as intake:
            ref = add_call(intake, evaluation, result)
            first = intake.publish([ref], unless=evaluation_prefix(evaluation.function, evaluation.key))
        print("first", key, first or ref.name, "here" if first is None else "elsewhere", flush=True)
        if key % 7 == number % 7:
            cache.pack_inbox()


ROLES: dict[str, Callable[[Cache, Path, int], None]] = {
    "add": add,
    "forget": forget_again,
    "collect": collect_always,
    "read": read_always,
    "churn": churn,
    "call": call,
    "open": only_open,
}


if __name__ == "__main__":
    role, path, folder, number = sys.argv[1:]
    if role == "open":
        while not Path(folder, "start").exists():
            time.sleep(0.001)
    with Cache.open(Path(path)) as opened:
        ROLES[role](opened, Path(folder), int(number))
