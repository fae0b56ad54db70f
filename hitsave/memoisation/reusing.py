"""A result that another project computed, and that this one uses, is this one's as well from then on.

The key of a call is the code's, so what any project of the cache, or of its remotes, has computed counts here. The
first such hit gives this project an evaluation of its own, with the same result: each project lists, pushes and forgets
its own, and a collection takes the result when none has it any more.

It says nothing of the other project but who computed the result, when, and how long that took. The code that it keeps
is this project's, and why the other one ran, which may show code that it had before, is left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from hitsave.cache.evaluationrows import project_of
from hitsave.cache.intake import Intake
from hitsave.cache.refs import owned_whole
from hitsave.errors import ObjectNotFound
from hitsave.memoisation.code.dependency import Dependency
from hitsave.memoisation.explaining.explanation import Cause, Explanation
from hitsave.memoisation.explaining.reasons import encode_reason
from hitsave.memoisation.manifest import encode_manifest
from hitsave.memoisation.place import Place
from hitsave.memoisation.reading import Kept
from hitsave.objects.digest import ObjectKind
from hitsave.objects.evaluation import BlobLink, Evaluation, encode_evaluation
from hitsave.objects.refs import Ref, RefName, evaluation_prefix, evaluation_ref
from hitsave.ownership import author_name


def reuse(
    place: Place,
    kept: Kept,
    path: str,
    dependencies: Sequence[Dependency] | None,
    experiment: bool,
    besides: Iterable[RefName],
) -> Kept:
    """This project's own evaluation with a result of another's; that one, where somebody else was quicker.

    `path` is that of the function's file as refs have it, `dependencies` its code; without them, the code of an
    accepted version is kept as it was. `besides` are evaluations of the key that are known, and do not stand in the
    way. Raises CacheError, ObjectNotFound, OSError.
    """
    project = place.project  # What was owned under a former name follows now.
    former = place.cache.ref(kept.name)
    if former is None or project_of(former.path) in ("", project):
        return replace(kept, foreign=former is None)
    with place.cache.intake(inbox=True) as intake:
        evaluation = _own(place, intake, kept.evaluation, dependencies, experiment)
        partial = not owned_whole(place.cache.database, kept.digest)
        _rely(intake, evaluation, partial)
        digest = intake.add(ObjectKind.EVALUATION, encode_evaluation(evaluation))
        name = evaluation_ref(evaluation.function, evaluation.key, digest)
        ref = Ref(name, digest, ObjectKind.EVALUATION, int(time.time()), author_name(), path, evaluation.git)
        unless = evaluation_prefix(evaluation.function, evaluation.key)
        first = intake.publish([ref], partial=partial, unless=unless, besides=[*besides])
    return kept if first is not None else replace(kept, name=name, digest=digest, evaluation=evaluation, foreign=False)


def _own(
    place: Place, intake: Intake, found: Evaluation, dependencies: Sequence[Dependency] | None, experiment: bool
) -> Evaluation:
    def add(content: bytes) -> BlobLink:
        return BlobLink(intake.add(ObjectKind.BLOB, content), len(content))

    reason = encode_reason(Explanation(found.function, Cause.REUSED), place.project)
    return replace(
        found,
        manifest=found.manifest if dependencies is None else add(encode_manifest(dependencies)),
        reason=None if reason is None else add(reason),
        experiment=experiment,
        git=place.git_commit(),
    )


def _rely(intake: Intake, evaluation: Evaluation, partial: bool) -> None:
    """Have the publication fail where a collection takes something. Raises ObjectNotFound where it has done so."""
    needed = {link.digest for link in (evaluation.result, *evaluation.buffers)}
    for digest, _, _ in evaluation.links:
        if not intake.rely_on(digest) and (digest in needed or not partial):
            raise ObjectNotFound(str(digest))
