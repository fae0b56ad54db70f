"""Acceptances: somebody's word that results of one version of a function's code count for another one.

What was accepted for a version counts for all versions for which that one is accepted in turn. An acceptance counts in
the project of whoever gave it, travels with that project's evaluations, and is taken back by forgetting its ref. One
that cannot be read does not count.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from hitsave.errors import CacheError, ObjectError, ReliedOnLost
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.evaluation import Acceptance, BlobLink, decode_evaluation, encode_evaluation
from hitsave.objects.refs import Ref, RefName, acceptance_ref, parse_evaluation_name

if TYPE_CHECKING:
    from hitsave.cache.evaluations import EvaluationRow
    from hitsave.memoisation.code.fingerprint import Fingerprint
    from hitsave.memoisation.place import Place

_TRIES = 5
_MOST_KNOWN = 10_000

_known: dict[Digest, Acceptance] = {}


class Accepted(NamedTuple):
    """A version of the code whose results count, and the refs of the acceptances that say so."""

    code: Digest
    words: tuple[RefName, ...]


def accepted_codes(place: Place, function: str, code: bytes) -> list[Accepted]:
    """The versions whose results count for a version of the code; the directly accepted ones first, then the newest."""
    words = place.cache.evaluations.acceptances(function, place.owner)
    if not words:
        return []
    of_code: dict[bytes, list[tuple[RefName, Digest]]] = {}
    for name, digest in words:
        of_code.setdefault(parse_evaluation_name(name).key, []).append((name, digest))
    found: list[Accepted] = []
    seen = {bytes(code)}
    pending = [Accepted(Digest(code), ())]
    for reached in pending:
        for name, digest in of_code.get(reached.code, ()):
            word = _read(place, digest)
            if word is not None and (word.function, word.code) == (function, reached.code) and word.accepts not in seen:
                seen.add(word.accepts)
                found.append(Accepted(word.accepts, (*reached.words, name)))
                pending.append(found[-1])
    return found


def _read(place: Place, digest: Digest) -> Acceptance | None:
    known = _known.get(digest)
    if known is None:
        try:
            value = decode_evaluation(place.cache.read(digest))
        except ObjectError:
            return None
        if not isinstance(value, Acceptance):
            return None
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        known = _known[digest] = value
    return known


def acceptable(place: Place, function: str, code: bytes) -> EvaluationRow | None:
    """The newest evaluation of another version of the code; None where there is none, or that counts already."""
    for row in place.cache.evaluations.codes(function, place.project):
        if row.code != code:
            counts = any(accepted.code == row.code for accepted in accepted_codes(place, function, code))
            return None if counts else row
    return None


def accept(place: Place, function: str, path: str, old: Digest, fingerprint: Fingerprint, note: str = "") -> Ref:
    """Let results of the code `old` count for the present one. Raises CacheError, OSError.

    `path` is that of the function's file as refs have it; without one, the acceptance is never pushed.
    """
    for _ in range(_TRIES):
        try:
            return _accept(place, function, path, old, fingerprint, note)
        except ReliedOnLost:  # A collection took the code that this shares with evaluations.
            continue
    raise CacheError(f"{place.cache.path}: other processes kept collecting what the acceptance needs; try it again")


def _accept(place: Place, function: str, path: str, old: Digest, fingerprint: Fingerprint, note: str) -> Ref:
    from hitsave.memoisation.manifest import encode_manifest
    from hitsave.ownership import author_name

    manifest = encode_manifest(fingerprint.dependencies)
    with place.cache.intake(inbox=True) as intake:
        acceptance = Acceptance(
            function=function,
            accepts=old,
            code=Digest(fingerprint.digest),
            manifest=BlobLink(intake.add(ObjectKind.BLOB, manifest), len(manifest)),
            made=time.time_ns() // 1000,
            by=author_name(),
            git=place.git_commit(),
            note=note,
        )
        digest = intake.add(ObjectKind.EVALUATION, encode_evaluation(acceptance))
        ref = Ref(
            name=acceptance_ref(function, acceptance.code, digest),
            digest=digest,
            kind=ObjectKind.EVALUATION,
            created=acceptance.made // 1_000_000,
            by=acceptance.by,
            path=path,
            git_commit=acceptance.git,
        )
        intake.publish([ref])
    return ref


def accept_newest(place: Place, function: str, path: str, fingerprint: Fingerprint, note: str) -> int:
    """Accept the newest other version of the code for the present one; how many evaluations count again by that."""
    row = acceptable(place, function, fingerprint.digest)
    if row is None:
        return 0
    before = {accepted.code for accepted in accepted_codes(place, function, fingerprint.digest)}
    accept(place, function, path, row.code, fingerprint, note)
    return count_of(place, function, fingerprint.digest, before)


def count_of(place: Place, function: str, code: bytes, besides: set[Digest]) -> int:
    """How many evaluations of accepted versions there are, those of `besides` left out."""
    codes = [accepted.code for accepted in accepted_codes(place, function, code) if accepted.code not in besides]
    return sum(place.cache.evaluations.count(function, each) for each in codes)
