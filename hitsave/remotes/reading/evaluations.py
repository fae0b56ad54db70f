"""Evaluations in a remote: looked for by the beginnings of their names, and fetched without what they took.

A fetched evaluation brings what describes it and shows it, and if asked its result. Of the snapshots that it took
nothing comes, neither trees nor files: its ref is a partial one, and they are fetched when somebody asks for them. A
ref counts only when the evaluation that it holds is one of the function and the key in its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hitsave.cache.store import Cache
from hitsave.errors import MalformedObject, ReliedOnLost, RemoteCorrupt
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.evaluation import Acceptance, BlobLink, Evaluation, decode_evaluation
from hitsave.objects.refs import Namespace, Ref, RefName, acceptance_ref, evaluation_ref
from hitsave.progress import Progress, Silent
from hitsave.remotes.commits.again import with_newest
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.commits.view import View
from hitsave.remotes.reading.fetch import starting_over
from hitsave.remotes.reading.reader import Reader
from hitsave.remotes.reading.transfer import Fetched, Transfer


def find_evaluations(remote: Remote, prefixes: Iterable[str]) -> list[Ref]:
    """The evaluations and acceptances whose names begin with one of these, by name. Raises RemoteError.

    One request where nothing was committed since somebody last asked `remote`.
    """
    names = [f"{Namespace.EVALUATIONS.value}/{prefix}" for prefix in prefixes]
    try:
        return remote.latest(trusting=True).refs_beginning(*names)
    except (RemoteCorrupt, ReliedOnLost):  # A collection may have removed what was just read.
        return with_newest(remote, lambda view: view.refs_beginning(*names))


def fetch_evaluations(
    remote: Remote,
    cache: Cache,
    refs: Sequence[Ref],
    results: bool,
    progress: Progress | None = None,
    view: View | None = None,
) -> Fetched:
    """Bring evaluations, manifests, displays and reasons, with `results` also what the calls gave, and own them.

    `view` is where to look first: the newest one is asked for only where something is not in that one. Raises
    ObjectNotFound, RemoteError; then nothing has changed in the cache.
    """
    return starting_over(
        remote, lambda newest: _fetch_once(remote, newest, cache, refs, results, progress or Silent()), view
    )


def _fetch_once(
    remote: Remote, view: View, cache: Cache, refs: Sequence[Ref], results: bool, progress: Progress
) -> Fetched:
    reader = Reader(remote, view)
    missing = cache.missing(ref.digest for ref in refs)
    found = reader.read_many(missing)
    values = [_decode(remote, ref, found.get(ref.digest) or cache.read(ref.digest)) for ref in refs]
    blobs = {link.digest: link.size for value in values for link in _blobs_of(value, results)}
    needed = cache.missing(blobs)
    progress.start("fetching", sum(blobs[digest] for digest in needed))
    alone = len(refs) == 1  # A pack of the cache for each of a million would be too many.
    with cache.intake(inbox=alone) as intake:
        inner = {digest: (ObjectKind.EVALUATION, content) for digest, content in found.items()}
        received = Transfer(remote, view, reader, intake, progress, adopting=not alone).run(needed, inner)
        here = (blobs.keys() | {ref.digest for ref in refs}) - needed - missing
        intake.publish(refs, here, partial=not all(_is_whole(value, results) for value in values))
        return Fetched(intake.new_objects, intake.new_bytes, received)


def _decode(remote: Remote, ref: Ref, content: bytes) -> Evaluation | Acceptance:
    """What a ref holds. Raises RemoteCorrupt where that is nothing that may have its name."""
    try:
        value = decode_evaluation(content)
    except MalformedObject as error:
        raise RemoteCorrupt(remote.transport.url, str(ref.name), str(error)) from None
    if _name_of(value, ref.digest) != ref.name:
        raise RemoteCorrupt(remote.transport.url, str(ref.name), "holds an evaluation of something else")
    return value


def _name_of(value: Evaluation | Acceptance, digest: Digest) -> RefName:
    if isinstance(value, Acceptance):
        return acceptance_ref(value.function, value.code, digest)
    return evaluation_ref(value.function, value.key, digest)


def _blobs_of(value: Evaluation | Acceptance, results: bool) -> Iterator[BlobLink]:
    yield value.manifest
    if isinstance(value, Evaluation):
        yield from (link for link in (value.display, value.reason) if link is not None)
        if results:
            yield from (value.result, *value.buffers)


def _is_whole(value: Evaluation | Acceptance, results: bool) -> bool:
    return isinstance(value, Acceptance) or (results and not value.snapshots)
