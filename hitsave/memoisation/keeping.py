"""Evaluations are published in one transaction with everything that they need, and dropped by name."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hitsave.cache.refs import delete_refs
from hitsave.errors import RefError, ReliedOnLost
from hitsave.maintenance.collect import forget
from hitsave.memoisation.code.dependency import Dependency
from hitsave.memoisation.explaining.explanation import Explanation
from hitsave.memoisation.explaining.reasons import encode_reason
from hitsave.memoisation.manifest import decode_manifest, encode_manifest
from hitsave.memoisation.place import Place
from hitsave.memoisation.reading import Kept
from hitsave.memoisation.results import Pickled
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.evaluation import (
    Acceptance,
    BlobLink,
    Evaluation,
    Extra,
    ShownArgument,
    TakenSnapshot,
    encode_evaluation,
)
from hitsave.objects.refs import Ref, RefName, evaluation_prefix, evaluation_ref, quote_name
from hitsave.ownership import author_name
from hitsave.recording import Taken

_TRIES = 5


def load_dependencies(place: Place, evaluation: Evaluation | Acceptance) -> dict[tuple[str, str], Dependency]:
    """What the code of an evaluation depended on. Raises ObjectError."""
    return decode_manifest(place.repository.load(evaluation.manifest.digest))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A call that has run: all that its evaluation says, result and display as bytes. Times are in microseconds.

    What is not `shared` is no part of the project, and is never pushed.

    `release` is the token under which its snapshots are held, where nobody else needs them any more.
    """

    function: str
    file: Path | None
    shared: bool
    code: Digest
    arguments: Digest
    dependencies: Sequence[Dependency]
    shown: tuple[ShownArgument, ...]
    extras: tuple[Extra, ...]
    reason: Explanation
    display: bytes | None
    pickled: Pickled
    taken: tuple[Taken, ...]
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
    with place.cache.intake(inbox=True) as intake:

        def add(content: bytes | memoryview) -> BlobLink:
            return BlobLink(intake.add(ObjectKind.BLOB, content), len(content))

        reason = encode_reason(done.reason)
        evaluation = Evaluation(
            function=done.function,
            code=done.code,
            arguments=done.arguments,
            manifest=add(encode_manifest(done.dependencies)),
            result=add(done.pickled.pickle),
            buffers=tuple(add(buffer) for buffer in done.pickled.buffers),
            snapshots=_snapshots(done),
            display=None if done.display is None else add(done.display),
            reason=None if reason is None else add(reason),
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
            created=_time_after(place, besides),
            by=evaluation.by,
            path=place.path_of(done.file) if done.shared else "",
            git_commit=evaluation.git,
        )
        first = intake.publish(
            [ref],
            rely_on=[taken.digest for taken in evaluation.snapshots],
            unless=evaluation_prefix(done.function, evaluation.key),
            besides=besides,
            release=done.release,
        )
    return Kept(name, digest, evaluation) if first is None else None


def _time_after(place: Place, names: Iterable[RefName]) -> int:
    """Now, and not before any of these, whatever was done to the clock: the newest evaluation counts."""
    now = int(time.time())
    refs = [ref for name in names if (ref := place.cache.ref(name)) is not None]
    return max([now, *(ref.created + 1 for ref in refs if ref.created > now)])


def _snapshots(done: Finished) -> tuple[TakenSnapshot, ...]:
    """What the evaluation owns: snapshots that were taken while it ran, and those in its result."""
    found: dict[bytes, TakenSnapshot] = {}
    for digest, kind, size, path in done.taken:
        found.setdefault(digest, TakenSnapshot(Digest(digest), ObjectKind(kind), size, _quoted(path)))
    for each in done.pickled.snapshots:
        digest, path = bytes.fromhex(each.digest), each.relpath.as_posix() if each.relpath is not None else ""
        found.setdefault(
            digest, TakenSnapshot(Digest(digest), ObjectKind(each._kind), each.content_length, _quoted(path))
        )
    return tuple(found.values())


def _quoted(path: str) -> str:
    return quote_name(path.encode("utf-8", "surrogateescape"))


def discard(place: Place, names: Iterable[RefName]) -> None:
    """Take away evaluations that cannot be used any more. Nobody has forgotten them: others may have them whole."""
    with place.cache.database.writing() as connection:
        delete_refs(connection, names)


def drop(place: Place, names: Iterable[RefName]) -> int:
    """Forget evaluations; how many were still there."""
    dropped = 0
    for name in names:
        try:
            dropped += len(forget(place.cache, [name], int(time.time())))
        except RefError:  # Somebody else was quicker.
            continue
    return dropped
