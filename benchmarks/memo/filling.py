"""Fills hitsave's store with evaluations of the function in `subject.py`, beside which it stands, and looks some up.

python filling.py fill FIRST LAST | look COUNT
"""

import json
import pickle
import random
import statistics
import sys

import subject

LOOKUPS = 2000


def fill(first, last):
    """Evaluations as calls would have made them, published together."""
    from hitsave.objects.digest import Digest, ObjectKind
    from hitsave.objects.evaluation import BlobLink, Evaluation, encode_evaluation
    from hitsave.objects.refs import Ref, evaluation_ref

    subject.small(0.5)
    caller = subject.small._begin()
    call = caller._prepare((0,), {})
    with call.place.cache.intake() as intake:

        def add(content):
            return BlobLink(intake.add(ObjectKind.BLOB, content), len(content))

        manifest, refs = add(b"manifest" * 100), []
        for number in range(int(first), int(last)):
            evaluation = Evaluation(
                function=caller.symbol,
                code=Digest(call.fingerprint.digest),
                arguments=Digest(caller._prepare((number,), {}).bound.digest),
                manifest=manifest,
                result=add(pickle.dumps(number + 0.5, protocol=5)),
                started=1_795_000_000_000_000 + number,
                elapsed=1000,
                by="somebody@somewhere",
                python=f"{sys.version_info.major}.{sys.version_info.minor}",
            )
            digest = intake.add(ObjectKind.EVALUATION, encode_evaluation(evaluation))
            name = evaluation_ref(evaluation.function, evaluation.key, digest)
            refs.append(Ref(name, digest, ObjectKind.EVALUATION, 1_795_000_000))
        intake.publish(refs)
    return len(refs)


def look(count):
    """Hits that read their result, and misses, of random keys: median seconds of each."""
    chance = random.Random(2)
    subject.small(0.5)
    wanted = [chance.randrange(int(count)) for _ in range(LOOKUPS)]
    first = subject.elapsed(subject.small, wanted[0])
    assert all(subject.small.is_cached(number) for number in wanted[:20])
    assert not subject.small.is_cached(-5)
    hits = [subject.elapsed(subject.small, number) for number in wanted[20:]]
    misses = [subject.elapsed(subject.small.is_cached, -number - 1) for number in wanted]
    return {"first": first, "hit": statistics.median(hits), "miss": statistics.median(misses)}


if __name__ == "__main__":
    print(json.dumps({"fill": fill, "look": look}[sys.argv[1]](*sys.argv[2:])))
