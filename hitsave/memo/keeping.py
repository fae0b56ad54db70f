"""Evaluations in the cache: read, and published in one transaction with everything that they need."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hitsave.errors import HitsaveError, ObjectError, RefError, ReliedOnLost
from hitsave.maintenance.collect import forget
from hitsave.memo.code.dependency import Dependency
from hitsave.memo.explaining import Explanation, decode_reason, encode_reason
from hitsave.memo.manifest import decode_manifest, encode_manifest
from hitsave.memo.place import Place
from hitsave.memo.results import Pickled, open_result
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.evaluation import (
    Acceptance,
    BlobLink,
    Evaluation,
    Extra,
    ShownArgument,
    TakenSnapshot,
    decode_evaluation,
    encode_evaluation,
)
from hitsave.objects.refs import Ref, RefName, evaluation_prefix, evaluation_ref
from hitsave.ownership import author_name

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Kept:
    """An evaluation that the cache has, with the ref that owns it."""

    name: RefName
    digest: Digest
    evaluation: Evaluation


def load_evaluation(place: Place, name: RefName, digest: Digest) -> Kept:
    """An evaluation by its ref. Raises ObjectError."""
    found = decode_evaluation(place.repository.load(digest))
    if isinstance(found, Acceptance):
        raise ObjectError(f"{name} holds no evaluation")
    return Kept(name, digest, found)


def load_result(place: Place, evaluation: Evaluation) -> object:
    """What a call gave. Raises ObjectNotFound, CorruptObject, ResultUnreadable."""
    return open_result(place.cache, evaluation.result.digest, [buffer.digest for buffer in evaluation.buffers])


def load_dependencies(place: Place, evaluation: Evaluation | Acceptance) -> dict[tuple[str, str], Dependency]:
    """What the code of an evaluation depended on. Raises ObjectError."""
    return decode_manifest(place.repository.load(evaluation.manifest.digest))


def load_reason(place: Place, evaluation: Evaluation) -> Explanation | None:
    """Why it ran, as it was found then. Raises ObjectError."""
    return None if evaluation.reason is None else decode_reason(place.repository.load(evaluation.reason.digest))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A call that has run: all that its evaluation says, and its result as bytes. Times are in microseconds.

    `release` is the token under which its snapshots are held, where nobody else needs them any more.
    """

    function: str
    file: Path | None
    code: Digest
    arguments: Digest
    dependencies: Sequence[Dependency]
    shown: tuple[ShownArgument, ...]
    extras: tuple[Extra, ...]
    reason: Explanation
    pickled: Pickled
    snapshots: tuple[TakenSnapshot, ...]
    release: str | None
    experiment: bool
    started: int
    elapsed: int
    python: str


def publish(place: Place, done: Finished, besides: Sequence[RefName]) -> Kept | None:
    """Keep an evaluation; None where somebody else has published one for the same key meanwhile.

    `besides` are those of the key that are known, and shall not count. Raises CacheError, OSError.
    """
    for _ in range(_TRIES - 1):
        try:
            return _publish(place, done, besides)
        except ReliedOnLost:  # A collection took the code that this evaluation shares with an older one.
            continue
    return _publish(place, done, besides)


def _publish(place: Place, done: Finished, besides: Sequence[RefName]) -> Kept | None:
    with place.cache.intake() as intake:

        def add(content: bytes | memoryview) -> BlobLink:
            return BlobLink(intake.add(ObjectKind.BLOB, content), len(content))

        evaluation = Evaluation(
            function=done.function,
            code=done.code,
            arguments=done.arguments,
            manifest=add(encode_manifest(done.dependencies)),
            result=add(done.pickled.pickle),
            buffers=tuple(add(buffer) for buffer in done.pickled.buffers),
            snapshots=done.snapshots,
            reason=add(encode_reason(done.reason)),
            shown=done.shown,
            extras=done.extras,
            experiment=done.experiment,
            started=done.started,
            elapsed=done.elapsed,
            by=author_name(),
            git=place.git_commit(),
            python=done.python,
        )
        digest = intake.add(ObjectKind.EVALUATION, encode_evaluation(evaluation))
        name = evaluation_ref(done.function, evaluation.key, digest)
        ref = Ref(
            name=name,
            digest=digest,
            kind=ObjectKind.EVALUATION,
            created=int(time.time()),
            by=evaluation.by,
            path=place.path_of(done.file),
            git_commit=evaluation.git,
        )
        first = intake.publish(
            [ref],
            rely_on=[taken.digest for taken in done.snapshots],
            unless=evaluation_prefix(done.function, evaluation.key),
            besides=besides,
            release=done.release,
        )
    return Kept(name, digest, evaluation) if first is None else None


def drop(place: Place, names: Iterable[RefName]) -> int:
    """Forget evaluations; how many were still there."""
    dropped = 0
    for name in names:
        try:
            dropped += len(forget(place.cache, [name], int(time.time())))
        except RefError:  # Somebody else was quicker.
            continue
    return dropped


def set_aside(place: Place, error: HitsaveError) -> None:
    """Let what was found damaged not stand in the way of a good copy."""
    digest = getattr(error, "digest", None)
    if isinstance(digest, str):
        place.cache.set_aside(Digest(bytes.fromhex(digest)))
