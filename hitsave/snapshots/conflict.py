"""A text of which git's merge, or ours, left two versions: everything between markers is what one side has."""

from __future__ import annotations

_OURS, _BASE, _MIDDLE, _THEIRS = "<<<<<<<", "|||||||", "=======", ">>>>>>>"
_MARKERS = (_OURS, _BASE, _MIDDLE, _THEIRS)


def join_sides(ours: str, theirs: str) -> str:
    """A text in which both versions stand whole, each ended by a line feed."""
    return f"{_OURS} ours\n{_ended(ours)}{_MIDDLE}\n{_ended(theirs)}{_THEIRS} theirs\n"


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def split_sides(text: str) -> tuple[str, str] | None:
    """Our version and theirs; None where there is no marker. What git shows of their common ancestor is left out."""
    ours: list[str] = []
    theirs: list[str] = []
    into: tuple[list[str], ...] = (ours, theirs)
    found = False
    for line in text.replace("\r\n", "\n").split("\n"):
        marker = next((marker for marker in _MARKERS if line.startswith(marker)), None)
        if marker is None:
            for side in into:
                side.append(line)
            continue
        found = found or marker != _BASE
        into = {_OURS: (ours,), _BASE: (), _MIDDLE: (theirs,), _THEIRS: (ours, theirs)}[marker]
    return ("\n".join(ours), "\n".join(theirs)) if found else None
