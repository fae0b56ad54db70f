"""What differs between two versions of a function, or between the arguments of two calls, the most telling first.

What stands under another name and is otherwise the same was renamed or moved; it is one difference, not two.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hitsave.memoisation.code.dependency import Dependency

#: In characters: what is shown on one line, and of something new.
_ONE_LINE = 160
_CONTEXT = 40
_LINES_OF_NEW = 20
#: The order in which differences are told. What a name stands for follows from what was moved, mostly.
_ORDER = ("function", "class", "definition", "value", "package", "python", "file", "untracked", "argument", "name")
_WITH_SOURCE = ("function", "class")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was: its kind (function, global, argument, ...), its name, and its text old and new.

    `old` or `new` is None where it was not there at all. `was` is its name before, where that was another one.
    """

    kind: str
    name: str
    old: str | None
    new: str | None
    was: str = ""

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """It in full. Lines of what is gone begin with four blanks and `-`, those of what came with `+`."""
        title = f"{self.kind} {self.name}"
        if self.old is None:
            return [f"{title}: new", *_beginning(self.new or "")]
        if self.new is None:
            return [f"{title}: no longer used"]
        title += f" (was {self.was})" if self.was else ""
        if self.only_renamed:
            return [title]
        if self.old == self.new:
            return [f"{title}: {self._same_text()}"]
        if "\n" in self.old + self.new:
            lines = difflib.unified_diff(self.old.splitlines(), self.new.splitlines(), "old", "new", lineterm="", n=2)
            return [f"{title}:", *(f"    {line}" for line in lines)]
        if len(self.old) + len(self.new) < _ONE_LINE:
            return [f"{title}: {self.old} -> {self.new}"]
        old, new = focused(self.old, self.new)
        return [f"{title}:", f"    - {old}", f"    + {new}"]

    def _same_text(self) -> str:
        if self.kind == "argument":
            return f"it looks the same ({self.new}), and its content differs"
        return "its text is the same; what it is made of is not" if self.new else "its content differs"

    @property
    def only_renamed(self) -> bool:
        """Whether nothing but its name is another one."""
        if not self.was or self.old is None or self.new is None:
            return False
        return _nameless(self.old, self.was) == _nameless(self.new, self.name)

    def phrase(self, function: str) -> str:
        """It as a part of a sentence about a function."""
        what = "its own code" if self.is_own(function) else f"{self.kind} {self.name}"
        if self.old is None:
            return f"it now uses {what}"
        if self.new is None:
            return f"it no longer uses {what}"
        if self.was:
            return f"{self.kind} {self.was} is now {self.name}" + ("" if self.only_renamed else ", and not as it was")
        short = "\n" not in self.old + self.new and len(self.old) + len(self.new) < _ONE_LINE // 2
        if self.kind in _WITH_SOURCE or self.kind == "definition" or self.old == self.new or not short:
            return f"{what} changed"
        if self.kind in ("name", "untracked"):
            return f"{self.name} stands for {self.new}, not {self.old}"
        return f"{'Python' if self.kind == 'python' else what} is {self.new}, was {self.old}"

    def is_own(self, function: str) -> bool:
        """Whether it is the code of the function itself, or what is written inside of it."""
        return self.kind == "function" and (self.name == function or self.name.startswith(f"{function}.<locals>"))


def _beginning(text: str) -> list[str]:
    lines = [f"    +{line}" for line in text.splitlines()]
    if len(lines) > _LINES_OF_NEW:
        lines[_LINES_OF_NEW - 1 :] = [f"    + ... ({len(lines) - _LINES_OF_NEW + 1} more lines)"]
    return lines


def focused(old: str, new: str) -> tuple[str, str]:
    """Two long lines, without most of what they begin and end with alike."""
    start = _alike(old, new)
    end = _alike(old[start:][::-1], new[start:][::-1])

    def cut(text: str) -> str:
        first, last = max(0, start - _CONTEXT), min(len(text), len(text) - end + _CONTEXT)
        found = text[first:last]
        if len(found) > 2 * _ONE_LINE:
            found = found[: 2 * _ONE_LINE] + f"... ({len(found) - 2 * _ONE_LINE} more)"
        return ("..." if first else "") + found + ("..." if last < len(text) else "")

    return cut(old), cut(new)


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    shorter = min(len(one), len(other))
    return next((at for at in range(shorter) if one[at] != other[at]), shorter)


# -- comparing


def compare_code(
    old: Mapping[tuple[str, str], Dependency], new: Mapping[tuple[str, str], Dependency], function: str = ""
) -> list[Difference]:
    """What differs between two manifests by kind and name, the most telling first; `function` is whose they are."""
    gone = {key: each for key, each in old.items() if key not in new}
    came = {key: each for key, each in new.items() if key not in old}
    found = []
    for before, after in _renamed(gone, came):
        del gone[before.kind.value, before.name], came[after.kind.value, after.name]
        found.append(Difference(after.kind.value, after.name, before.text, after.text, before.name))
    for key, each in new.items():
        if key in old and old[key].digest != each.digest:
            found.append(Difference(*key, old[key].text, each.text))
    found += [Difference(*key, None, each.text) for key, each in came.items()]
    found += [Difference(*key, each.text, None) for key, each in gone.items()]
    return sorted(found, key=lambda each: _rank(each, function))


def _rank(difference: Difference, function: str) -> tuple[object, ...]:
    kind = _ORDER.index(difference.kind) if difference.kind in _ORDER else len(_ORDER)
    only_there = difference.old is None or difference.new is None
    return not difference.is_own(function), kind, only_there, bool(difference.was), difference.name


def _renamed(
    gone: Mapping[tuple[str, str], Dependency], came: Mapping[tuple[str, str], Dependency]
) -> list[tuple[Dependency, Dependency]]:
    """Pairs of what stands under another name now: what is otherwise the same, and then what is called the same."""
    pairs: list[tuple[Dependency, Dependency]] = []
    left, right = dict(gone), dict(came)
    for alike in (_looks, _called):
        candidates: dict[object, list[Dependency]] = {}
        for each in right.values():
            candidates.setdefault(alike(each), []).append(each)
        for before in list(left.values()):
            others = candidates.get(alike(before), [])
            if others and (alike is _looks or len(others) == 1):
                after = others.pop(0)
                pairs.append((before, after))
                del left[before.kind.value, before.name], right[after.kind.value, after.name]
    return pairs


def _looks(each: Dependency) -> object:
    """What is the same of something that was renamed or moved."""
    if each.kind.value in _WITH_SOURCE:
        return each.kind, _nameless(each.text, each.name)
    return (each.kind, _last(each.name), each.digest) if each.kind.value == "value" else (each.kind, each.name)


def _called(each: Dependency) -> object:
    """What is the same of something that was moved and changed."""
    if each.kind.value in (*_WITH_SOURCE, "value"):
        return each.kind, _last(each.name)
    return each.kind, each.name


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _nameless(text: str, name: str) -> str:
    return re.sub(rf"\b{re.escape(_last(name))}\b", "?", text)


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
