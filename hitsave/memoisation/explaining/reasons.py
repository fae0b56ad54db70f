"""Why a function ran, as it is kept with the evaluation: a blob of canonical JSON, of a bounded size.

It says nothing of the arguments of calls whose code was known, so that all calls that one change of the code made run
again share one blob. That a call was merely new goes without saying.
"""

from __future__ import annotations

import functools
from dataclasses import replace

from hitsave.errors import MalformedObject
from hitsave.memoisation.explaining.differences import Difference, focused
from hitsave.memoisation.explaining.explanation import Cause, Explanation
from hitsave.objects.canonical import decode_json, encode_json, unicode_text

#: In characters: all texts together, and one of them.
LARGEST = 64 * 1024
_LARGEST_TEXT = 8 * 1024
_CONTEXT_LINES = 3
_WHAT = "reason"


def encode_reason(explanation: Explanation, project: str = "") -> bytes | None:
    """The bytes that are kept; None where the call was new, and nothing else is to be said.

    With the name of its `project`, it makes the evaluation that it is of another one than any other project's.
    """
    if explanation.cause is Cause.ARGUMENTS:
        return None
    return _encode(replace(explanation, nearest=""), project)


@functools.lru_cache(maxsize=16)
def _encode(explanation: Explanation, project: str) -> bytes:
    small = bounded(explanation)
    rows = [
        {"kind": each.kind, "name": unicode_text(each.name)}
        | _texts({"new": each.new, "old": each.old, "was": each.was or None})
        for each in small.differences
    ]
    return encode_json(
        {
            "cause": small.cause.value,
            "differences": rows,
            "function": unicode_text(small.function),
            "omitted": small.omitted,
            "since": small.since,
        }
        | ({"project": project} if project else {})
    )


def _texts(texts: dict[str, str | None]) -> dict[str, str]:
    return {name: unicode_text(text) for name, text in texts.items() if text is not None}


def decode_reason(data: bytes) -> Explanation:
    """What was kept. Raises MalformedObject."""
    fields = decode_json(data, _WHAT)
    try:
        differences = tuple(
            Difference(row["kind"], row["name"], row.get("old"), row.get("new"), row.get("was", ""))
            for row in fields["differences"]
        )
        return Explanation(
            fields["function"],
            Cause(fields["cause"]),
            differences=differences,
            since=fields["since"],
            omitted=fields["omitted"],
        )
    except (KeyError, ValueError, TypeError) as error:
        raise MalformedObject(_WHAT, f"is none ({error})") from None


# -- bounds


def bounded(explanation: Explanation) -> Explanation:
    """The same with texts of LARGEST characters at most; what was cut says so."""
    left = LARGEST
    kept: list[Difference] = []
    for each in explanation.differences:
        if left <= 0:
            break
        small = _cut(each, min(_LARGEST_TEXT, left // 2))
        left -= sum(len(text or "") + 100 for text in (small.old, small.new)) + len(small.name)
        kept.append(small)
    omitted = explanation.omitted + len(explanation.differences) - len(kept)
    return replace(explanation, differences=tuple(kept), omitted=omitted)


def _cut(difference: Difference, most: int) -> Difference:
    old, new = difference.old, difference.new
    if old is not None and new is not None and max(len(old), len(new)) > most:
        several = "\n" in old + new
        old, new = _without_alike(old.splitlines(), new.splitlines()) if several else focused(old, new)
    return replace(difference, old=_beginning(old, most), new=_beginning(new, most))


def _without_alike(old: list[str], new: list[str]) -> tuple[str, str]:
    """Two texts without most of the lines that they begin and end with alike."""
    start = _alike(old, new)
    end = _alike(old[start:][::-1], new[start:][::-1])
    first, last = max(0, start - _CONTEXT_LINES), max(0, end - _CONTEXT_LINES)

    def cut(lines: list[str]) -> str:
        head = [f"... ({first} lines)"] if first else []
        tail = [f"... ({last} lines)"] if last else []
        return "\n".join([*head, *lines[first : len(lines) - last], *tail])

    return cut(old), cut(new)


def _alike(one: list[str], other: list[str]) -> int:
    shorter = min(len(one), len(other))
    return next((at for at in range(shorter) if one[at] != other[at]), shorter)


def _beginning(text: str | None, most: int) -> str | None:
    if text is None or len(text) <= most:
        return text
    return f"{text[:most]}\n... ({len(text) - most} more characters were not kept)"
