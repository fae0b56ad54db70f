"""The operations that are interrupted, each on a cache in a folder of its own, with small fixed data."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hitsave.cache.intake import WHOLE_FROM
from hitsave.cache.store import Cache
from hitsave.maintenance.collect import collect, forget, undo
from hitsave.objects.digest import ObjectKind, blob_digest
from hitsave.objects.evaluation import BlobLink, TakenSnapshot
from hitsave.objects.refs import Namespace, Ref, RefName, evaluation_prefix
from hitsave.progress import Silent
from hitsave.snapshots.capture import CaptureOptions
from hitsave.snapshots.datasets import Owner, keep
from tests.cache.calls import a_call, add_call
from tests.cache.content import add_tree, files_of, ref_to, store

NOW = 1000


def noise(seed: int, size: int) -> bytes:
    """The same bytes for the same seed, that do not compress."""
    return random.Random(seed).randbytes(size)


SHARED = {b"%03d" % number: b"shared %d" % number * 20 for number in range(20)}
KEPT = {**SHARED, b"kept": b"kept", b"kept large": noise(1, WHOLE_FROM)}
DROPPED = {**SHARED, b"dropped": b"dropped", b"dropped large": noise(2, WHOLE_FROM)}
ADDED = {**SHARED, **DROPPED, b"added": b"added", b"added large": noise(3, WHOLE_FROM + 1)}
SMALL = b"shared 7" * 20


def write_added(folder: Path) -> None:
    """The working files that `add` takes."""
    for name, content in ADDED.items():
        path = folder / "deeper" / name.decode()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def keep_folder(cache: Cache, folder: Path) -> Ref:
    """Add a folder; its ref."""
    owner = Owner(
        lambda captured: ref_to(captured.digest, captured.kind).name,
        lambda _, captured: ref_to(captured.digest, captured.kind),
    )
    captured = keep(cache, folder, CaptureOptions(), owner, Silent()).captured
    return ref_to(captured.digest, captured.kind)


def _two(cache: Cache) -> None:
    store(cache, KEPT)
    store(cache, DROPPED)


def _one_forgotten(cache: Cache) -> None:
    _two(cache)
    forget(cache, [_ref_of(cache, b"dropped")], NOW)


def _collected(cache: Cache) -> None:
    _one_forgotten(cache)
    cache.path_of(blob_digest(SMALL))
    cache.path_of(blob_digest(b"dropped"))
    collect(cache, NOW)


def _collected_and_added_again(cache: Cache) -> None:
    _collected(cache)
    store(cache, {b"other name": noise(2, WHOLE_FROM)})


def _ref_of(cache: Cache, name: bytes) -> RefName:
    refs = cache.refs(Namespace.SNAPSHOTS)
    return next(ref.name for ref in refs if name in files_of(cache, ref.digest))


def _undo(cache: Cache, folder: Path) -> None:
    undo(cache)


def _forget(cache: Cache, folder: Path) -> None:
    forget(cache, [_ref_of(cache, b"dropped")], NOW)


def _publish_call(cache: Cache, folder: Path) -> None:
    """As a memoised call does: small objects into the inbox, one large buffer, and what it held."""
    held = [TakenSnapshot(digest, kind, 1) for digest, kind in cache.held()]
    evaluation, result = a_call(1, snapshots=held)
    large = BlobLink(blob_digest(noise(4, WHOLE_FROM)), WHOLE_FROM)
    with cache.intake(inbox=True) as intake:
        intake.add(ObjectKind.BLOB, noise(4, WHOLE_FROM))
        ref = add_call(intake, replace(evaluation, buffers=(large,)), result)
        prefix = evaluation_prefix(evaluation.function, evaluation.key)
        intake.publish([ref], [digest for digest, _ in cache.held()], unless=prefix, release="token")


def keep_small_call(cache: Cache) -> None:
    """A call of which nothing is a file."""
    evaluation, result = a_call(2)
    with cache.intake(inbox=True) as intake:
        ref = add_call(intake, evaluation, result)
        intake.publish([ref], unless=evaluation_prefix(evaluation.function, evaluation.key))


def _held(cache: Cache) -> None:
    with cache.intake(inbox=True) as intake:
        intake.publish([ref_to(add_tree(intake, {b"a": b"made", b"b": b"by the call"}))], hold="token")


def _boxed(cache: Cache) -> None:
    _one_forgotten(cache)
    for number in range(4):  # Small indexes enough to be merged.
        store(cache, {b"%d" % n: b"%d of %d" % (n, number) for n in range(4)})
    for number in range(5):
        evaluation, result = a_call(number, code=1)
        with cache.intake(inbox=True) as intake:
            intake.publish([add_call(intake, evaluation, result)])
    forget(cache, [cache.refs(Namespace.EVALUATIONS)[0].name], NOW)


@dataclass(frozen=True, slots=True)
class Operation:
    """What the cache is before, and what is done to it; `folder` holds the working files."""

    prepare: Callable[[Cache], object]
    run: Callable[[Cache, Path], object]


OPERATIONS = {
    "open": Operation(lambda cache: None, lambda cache, folder: None),
    "add": Operation(_one_forgotten, keep_folder),
    "add to what is collected": Operation(_collected, keep_folder),
    "forget": Operation(_two, _forget),
    "collect": Operation(_one_forgotten, lambda cache, folder: collect(cache, NOW)),
    "collect and purge": Operation(_one_forgotten, lambda cache, folder: collect(cache, NOW, keep_seconds=0)),
    "purge": Operation(_collected, lambda cache, folder: collect(cache, NOW, keep_seconds=0)),
    "undo": Operation(_collected, _undo),
    "undo beside new content": Operation(_collected_and_added_again, _undo),
    "publish a call": Operation(_held, _publish_call),
    "publish a small call": Operation(lambda cache: None, lambda cache, folder: keep_small_call(cache)),
    "pack the inbox": Operation(_boxed, lambda cache, folder: cache.pack_inbox()),
    "collect with an inbox": Operation(_boxed, lambda cache, folder: collect(cache, NOW)),
    "derive": Operation(_two, lambda cache, folder: cache.path_of(blob_digest(SMALL))),
}
