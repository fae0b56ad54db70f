"""Evaluations that the cache has, and their results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hitsave.errors import HitsaveError, ObjectError
from hitsave.memoisation.results import open_result
from hitsave.objects.digest import Digest
from hitsave.objects.display import decode_display
from hitsave.objects.evaluation import Acceptance, Evaluation, decode_evaluation
from hitsave.objects.refs import RefName
from hitsave.objects.shapes import Display

if TYPE_CHECKING:
    from hitsave.memoisation.place import Place


@dataclass(frozen=True, slots=True)
class Kept:
    """An evaluation that the cache has, with the ref that owns it; `words` are the acceptances by which it counts.

    It is `foreign` where another project owns it, and this one does not.
    """

    name: RefName
    digest: Digest
    evaluation: Evaluation
    words: tuple[RefName, ...] = ()
    foreign: bool = False


def load_evaluation(place: Place, name: RefName, digest: Digest, foreign: bool = False) -> Kept:
    """An evaluation by its ref. Raises ObjectError."""
    found = decode_evaluation(place.cache.read(digest))
    if isinstance(found, Acceptance):
        raise ObjectError(f"{name} holds no evaluation")
    return Kept(name, digest, found, foreign=foreign)


def load_result(place: Place, evaluation: Evaluation) -> object:
    """What a call gave. Raises ObjectNotFound, CorruptObject, ResultUnreadable."""
    return open_result(place.cache, evaluation.result.digest, [buffer.digest for buffer in evaluation.buffers])


def load_display(place: Place, evaluation: Evaluation) -> Display | None:
    """What an evaluation shows of itself; None where that is not here, or cannot be read."""
    if evaluation.display is None:
        return None
    try:
        return decode_display(place.cache.read(evaluation.display.digest))
    except ObjectError:
        return None


def set_aside(place: Place, error: HitsaveError) -> None:
    """Let what was found damaged not stand in the way of a good copy."""
    digest = getattr(error, "digest", None)
    if isinstance(digest, str):
        place.cache.set_aside(Digest(bytes.fromhex(digest)))
