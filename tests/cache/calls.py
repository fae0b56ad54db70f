"""Evaluations for tests of the cache, small and made of numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hitsave.cache.intake import Intake
from hitsave.cache.store import Cache
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.evaluation import BlobLink, Evaluation, TakenSnapshot, decode_evaluation, encode_evaluation
from hitsave.objects.refs import Ref, evaluation_ref

MANIFEST = b"manifest"


def a_call(
    number: int,
    function: str = "pkg.f",
    code: int = 0,
    result: bytes | None = None,
    snapshots: Iterable[TakenSnapshot] = (),
) -> tuple[Evaluation, bytes]:
    """The evaluation of `function` with one number as its argument, and its result."""
    content = b"result of %d" % number if result is None else result
    evaluation = Evaluation(
        function=function,
        code=blob_digest(b"code %d" % code),
        arguments=blob_digest(b"%d" % number),
        manifest=BlobLink(blob_digest(MANIFEST), len(MANIFEST)),
        result=BlobLink(blob_digest(content), len(content)),
        snapshots=tuple(snapshots),
        started=1_000_000 + number,
        elapsed=number,
        by="me@host",
        python="3.11",
    )
    return evaluation, content


def ref_of_call(evaluation: Evaluation, digest: Digest) -> Ref:
    """The ref of an evaluation."""
    name = evaluation_ref(evaluation.function, evaluation.key, digest)
    return Ref(name, digest, ObjectKind.EVALUATION, evaluation.started // 1_000_000)


def add_call(intake: Intake, evaluation: Evaluation, result: bytes) -> Ref:
    """Give an intake all of an evaluation; the ref to publish."""
    intake.add(ObjectKind.BLOB, MANIFEST)
    intake.add(ObjectKind.BLOB, result)
    return ref_of_call(evaluation, intake.add(ObjectKind.EVALUATION, encode_evaluation(evaluation)))


def keep_call(cache: Cache, number: int, function: str = "pkg.f", code: int = 0, by: str = "me@host") -> Ref:
    """Publish one evaluation."""
    evaluation, result = a_call(number, function, code)
    with cache.intake() as intake:
        ref = add_call(intake, replace(evaluation, by=by), result)
        intake.publish([ref])
    return ref


def result_of(cache: Cache, digest: Digest) -> bytes:
    """What an evaluation gave."""
    evaluation = decode_evaluation(cache.read(digest))
    assert isinstance(evaluation, Evaluation)
    assert cache.read(evaluation.manifest.digest) == MANIFEST
    return cache.read(evaluation.result.digest)
