"""Why a call found no result: what differs from the nearest earlier evaluation, in a sentence and in full.

The nearest is the newest with the same arguments, or else one with the same code, or else the newest of the function.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hitsave.memoisation.explaining.differences import Difference

_MOST_TOLD = 3
_CHANGED = " changed"


class Cause(StrEnum):
    """Why a function ran, or that it need not."""

    HIT = "hit"
    FIRST = "first"  # Nothing of this function is kept.
    CODE = "code"
    ARGUMENTS = "arguments"
    BOTH = "code and arguments"
    REUSED = "reused"  # It need not: another project of the cache, or of a remote, had the result.
    LOST = "lost"  # An evaluation is there, and its result cannot be used.
    FRESH = "fresh"  # It was asked to.


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a call hits, and why not. True in a condition where it does; as a text it is for people.

    `nearest` is the digest of the evaluation that it was compared with, in hex, where that is known, and `since` that
    evaluation's code; it is `elsewhere` where another project has it, and this one none of the function. `accepted` is
    the code whose result counts by an acceptance. `omitted` is how many differences there were beside those that were
    kept.
    """

    function: str
    cause: Cause
    nearest: str = ""
    differences: tuple[Difference, ...] = ()
    since: str = ""
    accepted: str = ""
    omitted: int = 0
    elsewhere: bool = False

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
        return self._why() + (" (compared with another project; this one has not run it)" if self.elsewhere else "")

    def _why(self) -> str:
        if self.cause is Cause.HIT and self.accepted:
            return f"its result is kept, by acceptance of code {self.accepted[:7]}"
        if self.cause in (Cause.CODE, Cause.BOTH):
            changed = self._changed() or "what it depends on has changed"
            return changed + (", and it was not called with these arguments" if self.cause is Cause.BOTH else "")
        return _SENTENCES[self.cause]

    def _changed(self) -> str:
        """What differs in the code, the first few things."""
        code = [each for each in self.differences if each.kind != "argument"]
        code = [each for each in code if each.kind != "name"] or code
        told = code if len(code) + self.omitted <= _MOST_TOLD + 1 and not self.omitted else code[:_MOST_TOLD]
        phrases = [each.phrase(self.function) for each in told]
        changed = [phrase.removesuffix(_CHANGED) for phrase in phrases if phrase.endswith(_CHANGED)]
        others = [phrase for phrase in phrases if not phrase.endswith(_CHANGED)]
        more = len(code) + self.omitted - len(told)
        if more:
            others.append(f"{more} more things differ")
        return _listed([*([_listed(changed) + _CHANGED] if changed else []), *others])

    def lines(self) -> list[str]:
        """What differs, in full."""
        found = [f"  {line}" for each in self.differences for line in each.lines()]
        return [*found, f"  and {self.omitted} more that are not kept"] if self.omitted else found


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


_SENTENCES = {
    Cause.HIT: "its result is kept",
    Cause.FIRST: "nothing of it was kept yet",
    Cause.ARGUMENTS: "it was not called with these arguments",
    Cause.REUSED: "another project had the same result",
    Cause.LOST: "the result that was kept cannot be used",
    Cause.FRESH: "it was asked to run again",
}
