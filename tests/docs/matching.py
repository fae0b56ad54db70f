"""Whether what was printed is what a page shows, but for what differs from one run to the next.

`...` stands for any text, and on a line of its own for any lines. Times, dates, durations and sizes are compared by
their form. A digest stands for the digest that it met first: a page may show those of other data than the tests have,
and then each must come where the page says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

#: Seven or more hex digits, of which one at least is a letter and one a digit: a page shows no others as a digest.
_DIGEST = r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{7,64}\b"
_SIZE = r"\b\d+(?:\.\d+)? (?:B|kB|MB|GB)\b"
_TIME = r"\b\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?\b"
_DURATION = r"\b\d+(?:\.\d+)? (?:ms|s|min|h)\b"
#: What may differ, as a page shows it, and what may stand there instead; digests are looked up.
_FORMS = {"any": ".*", "digest": "", "size": _SIZE, "time": _TIME, "duration": _DURATION, "space": " +"}
_VARYING = re.compile(
    "|".join(f"(?P<{name}>{form})" for name, form in {**_FORMS, "any": r"\.\.\.", "digest": _DIGEST}.items())
)


@dataclass(slots=True)
class Bindings:
    """Which digest of this run each digest of a page stands for."""

    known: dict[str, str] = field(default_factory=dict)

    def translate(self, text: str) -> str:
        """A command or program of the page, with the digests of this run."""
        return re.sub(_DIGEST, lambda found: self._of(found[0]) or found[0], text)

    def _of(self, shown: str) -> str | None:
        for mine, theirs in self.known.items():
            if mine.startswith(shown):
                return theirs[: len(shown)]
        return None

    def matches(self, shown: Sequence[str], printed: Sequence[str]) -> bool:
        """Whether these lines are those that the page shows."""
        if not shown:
            return not printed
        if shown[0].strip() == "...":
            return any(self.matches(shown[1:], printed[skipped:]) for skipped in range(len(printed) + 1))
        if not printed or not self._line_matches(shown[0], printed[0]):
            return False
        return self.matches(shown[1:], printed[1:])

    def _line_matches(self, shown: str, printed: str) -> bool:
        pattern, digests = self._pattern(shown.rstrip())
        found = re.fullmatch(pattern, printed.rstrip())
        if found is None:
            return False
        for digest, met in zip(digests, found.groups(), strict=True):
            if self.known.get(digest, met) != met:
                return False
            self.known[digest] = met
        return True

    def _pattern(self, shown: str) -> tuple[str, list[str]]:
        """The expression that a line must match; its groups are the digests that were not met before."""
        pattern, digests, end = "", [], 0
        for found in _VARYING.finditer(shown):
            pattern += re.escape(shown[end : found.start()])
            end = found.end()
            if found.lastgroup != "digest":
                pattern += _FORMS[str(found.lastgroup)]
            elif known := self._of(found[0]):
                pattern += known
            else:
                pattern += f"([0-9a-f]{{{len(found[0])}}})"
                digests.append(found[0])
        return pattern + re.escape(shown[end:]), digests
