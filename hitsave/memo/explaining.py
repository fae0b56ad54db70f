"""Why a call found no result: what differs from the nearest earlier evaluation.

The nearest is the newest with the same arguments, or else with the same code, or else the newest of the function.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from hitsave.memo.code.dependency import Dependency
from hitsave.objects.canonical import decode_json, encode_json


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
class Difference:
    """One thing that is not as it was; `old` or `new` is None where it was not there at all."""

    kind: str
    name: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        if self.old is None:
            return f"{self.kind} {self.name}: new" + _indented(self.new)
        if self.new is None:
            return f"{self.kind} {self.name}: no longer used"
        if "\n" not in self.old + self.new and len(self.old) + len(self.new) < 200:
            return f"{self.kind} {self.name}: {self.old} -> {self.new}"
        return f"{self.kind} {self.name}:{_indented(_diff(self.old, self.new))}"


def _diff(old: str, new: str) -> str:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "old", "new", lineterm="", n=2)
    return "\n".join(lines) or "(its text is the same; what it is made of is not)"


def _indented(text: str | None) -> str:
    return "".join(f"\n    {line}" for line in (text or "").splitlines())


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a call hits, and why not. `nearest` is the digest of the evaluation that it was compared with, in hex."""

    function: str
    cause: Cause
    nearest: str = ""
    differences: tuple[Difference, ...] = ()

    @property
    def hit(self) -> bool:
        """Whether the result is there."""
        return self.cause is Cause.HIT

    def __bool__(self) -> bool:
        return self.hit

    def __str__(self) -> str:
        head = f"{self.function}: {_SENTENCES[self.cause]}"
        return "\n".join([head, *(f"  {line}" for each in self.differences for line in str(each).splitlines())])


_SENTENCES = {
    Cause.HIT: "its result is kept",
    Cause.FIRST: "nothing of it is kept yet",
    Cause.CODE: "what it depends on has changed",
    Cause.ARGUMENTS: "it was not called with these arguments",
    Cause.BOTH: "it was not called with these arguments, and what it depends on has changed since it was with others",
    Cause.LOST: "the result that was kept cannot be used",
    Cause.FRESH: "it was asked to run again",
}


def compare_code(
    old: Mapping[tuple[str, str], Dependency], new: Mapping[tuple[str, str], Dependency]
) -> list[Difference]:
    """What differs between two manifests, by kind and name."""
    found = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if before is None or after is None or before.digest != after.digest:
            found.append(Difference(key[0], key[1], before and before.text, after and after.text))
    return found


def compare_arguments(old: Iterable[tuple[str, bytes, str]], new: Iterable[tuple[str, bytes, str]]) -> list[Difference]:
    """What differs between arguments: names, digests and texts."""
    before = {name: (digest, text) for name, digest, text in old}
    after = {name: (digest, text) for name, digest, text in new}
    found = []
    for name in {**before, **after}:
        one, other = before.get(name), after.get(name)
        if one is None or other is None or one[0] != other[0]:
            found.append(Difference("argument", name, one and one[1], other and other[1]))
    return found


def encode_reason(explanation: Explanation) -> bytes:
    """The bytes that are kept with the evaluation."""
    rows = [
        {"kind": each.kind, "name": _text(each.name), **_side("old", each.old), **_side("new", each.new)}
        for each in explanation.differences
    ]
    return encode_json(
        {
            "cause": explanation.cause.value,
            "differences": rows,
            "function": _text(explanation.function),
            "nearest": explanation.nearest,
        }
    )


def _side(name: str, text: str | None) -> dict[str, str]:
    return {} if text is None else {name: _text(text)}


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def decode_reason(data: bytes) -> Explanation:
    """What `encode_reason` was given. Raises MalformedObject."""
    fields = decode_json(data, "reason")
    differences = tuple(
        Difference(row["kind"], row["name"], row.get("old"), row.get("new")) for row in fields["differences"]
    )
    return Explanation(fields["function"], Cause(fields["cause"]), fields["nearest"], differences)
