"""Why a call found no result: what differs from the nearest earlier evaluation, in a sentence and in full.

The nearest is the newest with the same arguments, or else one with the same code, or else the newest of the function.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hitsave.memo.differences import Difference

_MOST_PHRASES = 3


class Cause(StrEnum):
    """Why a function ran, or that it need not."""

    HIT = "hit"
    FIRST = "first"  # Nothing of this function is kept.
    CODE = "code"
    ARGUMENTS = "arguments"
    BOTH = "code and arguments"
    LOST = "lost"  # An evaluation is there, and its result cannot be used.
    FRESH = "fresh"  # It was asked to.


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a call hits, and why not. True in a condition where it does; as a text it is for people.

    `nearest` is the digest of the evaluation that it was compared with, in hex, where that is known, and `since` that
    evaluation's code. `accepted` is the code whose result counts by an acceptance. `omitted` is how many differences
    there were beside those that were kept.
    """

    function: str
    cause: Cause
    nearest: str = ""
    differences: tuple[Difference, ...] = ()
    since: str = ""
    accepted: str = ""
    omitted: int = 0

    @property
    def hit(self) -> bool:
        """Whether the result is there."""
        return self.cause is Cause.HIT

    def __bool__(self) -> bool:
        return self.hit

    def __str__(self) -> str:
        head = f"{self.function}: {self.sentence}" if self.hit else f"{self.function} would run because {self.sentence}"
        return "\n".join([head, *self.lines()])

    @property
    def sentence(self) -> str:
        """Why, in half a sentence."""
        if self.cause is Cause.HIT and self.accepted:
            return f"its result is kept, by acceptance of code {self.accepted[:7]}"
        if self.cause in (Cause.CODE, Cause.BOTH):
            changed = self._phrases() or "what it depends on has changed"
            return changed + (", and it was not called with these arguments" if self.cause is Cause.BOTH else "")
        return _SENTENCES[self.cause]

    def _phrases(self) -> str:
        code = [each for each in self.differences if each.kind != "argument"]
        code = [each for each in code if each.kind != "name"] or code
        phrases = [each.phrase(self.function) for each in code]
        more = len(phrases) + self.omitted - _MOST_PHRASES
        if more > 0:
            phrases[_MOST_PHRASES:] = ["another thing changed" if more == 1 else f"{more} other things changed"]
        return " and ".join([", ".join(phrases[:-1]), phrases[-1]] if len(phrases) > 1 else phrases)

    def lines(self) -> list[str]:
        """What differs, in full."""
        found = [f"  {line}" for each in self.differences for line in each.lines()]
        return [*found, f"  and {self.omitted} more that are not kept"] if self.omitted else found


_SENTENCES = {
    Cause.HIT: "its result is kept",
    Cause.FIRST: "nothing of it is kept yet",
    Cause.ARGUMENTS: "it was not called with these arguments",
    Cause.LOST: "the result that was kept cannot be used",
    Cause.FRESH: "it was asked to run again",
}
