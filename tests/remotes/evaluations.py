"""Evaluations with everything that one may have, for tests of remotes."""

from __future__ import annotations

from dataclasses import replace

from hitsave.cache.store import Cache
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.evaluation import (
    Acceptance,
    BlobLink,
    Evaluation,
    TakenSnapshot,
    decode_evaluation,
    encode_evaluation,
)
from hitsave.objects.refs import Ref, acceptance_ref
from tests.cache.calls import MANIFEST, a_call, add_call
from tests.remotes.content import Folder, noise, put_folder

TAKEN: Folder = {b"model.bin": noise(300_000, 1), b"plots": {b"a.png": noise(3000, 2)}}
TAKEN_FILE = noise(900, 5)
REASON = b"nothing like it was there"
BUFFERS = (noise(2000, 3), noise(500_000, 4))


def keep_full_call(cache: Cache, number: int = 1) -> Ref:
    """An evaluation with a reason, buffers, and a directory and a file that it took."""
    with cache.intake() as intake:
        tree = TakenSnapshot(put_folder(intake, TAKEN), ObjectKind.TREE, 303_000, "p/out")
        file = TakenSnapshot(intake.add(ObjectKind.BLOB, TAKEN_FILE), ObjectKind.BLOB, len(TAKEN_FILE))
        evaluation, result = a_call(number, snapshots=[tree, file])
        links = [BlobLink(intake.add(ObjectKind.BLOB, content), len(content)) for content in (REASON, *BUFFERS)]
        ref = add_call(intake, replace(evaluation, reason=links[0], buffers=tuple(links[1:])), result)
        intake.publish([ref])
    return ref


def keep_acceptance(cache: Cache) -> Ref:
    """Somebody's word that results of one code count for another."""
    code = blob_digest(b"code 1")
    manifest = BlobLink(blob_digest(MANIFEST), len(MANIFEST))
    word = Acceptance(function="pkg.f", accepts=blob_digest(b"code 0"), code=code, manifest=manifest, note="same")
    with cache.intake() as intake:
        intake.add(ObjectKind.BLOB, MANIFEST)
        digest = intake.add(ObjectKind.EVALUATION, encode_evaluation(word))
        ref = Ref(acceptance_ref(word.function, code, digest), digest, ObjectKind.EVALUATION)
        intake.publish([ref])
    return ref


def evaluation_of(cache: Cache, digest: Digest) -> Evaluation:
    """An evaluation that is here."""
    found = decode_evaluation(cache.read(digest))
    assert isinstance(found, Evaluation)
    return found
