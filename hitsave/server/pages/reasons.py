"""Why an evaluation ran: what had changed since the nearest one before it, as it was kept then."""

from __future__ import annotations

from typing import NamedTuple

from hitsave.errors import MalformedObject, ObjectError
from hitsave.objects.canonical import decode_json
from hitsave.objects.evaluation import Evaluation
from hitsave.server.pages.coding import Bounds, DiffLine, differing_lines
from hitsave.server.pages.dashboard import Dashboard

#: Of what had changed.
_MOST = 50


class ReasonLine(NamedTuple):
    """One thing that had changed: what it was and is, where these are short; of code, the lines that differ."""

    kind: str
    name: str
    old: str | None
    new: str | None
    lines: tuple[DiffLine, ...] = ()


def load_reason(dashboard: Dashboard, evaluation: Evaluation) -> list[ReasonLine]:
    """What had changed when it ran; nothing where that was not kept."""
    if evaluation.reason is None:
        return []
    try:
        rows = decode_json(dashboard.load(evaluation.reason.digest), "reason")["differences"]
        found = [ReasonLine(str(r["kind"]), str(r["name"]), _text(r.get("old")), _text(r.get("new"))) for r in rows]
    except (ObjectError, MalformedObject, KeyError, TypeError, AttributeError):
        return []
    bounds = Bounds()
    return [_with_lines(line, bounds) for line in found[:_MOST]]


def _with_lines(line: ReasonLine, bounds: Bounds) -> ReasonLine:
    if line.old is None or line.new is None or "\n" not in line.old + line.new:
        return line
    return line._replace(lines=tuple(differing_lines(line.old, line.new, bounds)))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
