"""What people type to filter evaluations: `lr < 0.1, model = small, by ~ ann`. Pure.

Conditions are separated by commas or `and`, and all must hold. A name is a field's path, or its end (`lr` for
`arguments.lr`). Operators: = != < <= > >=, and ~ for "contains". A value with a comma or an operator in it is quoted.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

_CONDITION = re.compile(
    # Blanks belong to one part of it alone: where two could take them, a long row of them takes seconds.
    r"""\s*+(?P<name>[^\s=!<>~,"']++)\s*+(?P<operator>!=|<=|>=|=|<|>|~)\s*+"""
    r"""(?P<value>"[^"]*"|'[^']*'|[^,=<>]*?)\s*(?:,|\band\b|$)""",
    re.IGNORECASE,
)
#: What every evaluation says of itself besides its values: the name for people, and the SQL on a row `e`.
COLUMNS = {
    "function": "(SELECT function FROM versions WHERE versions.id = e.version)",
    "by": "e.by",
    "git": "e.git",
    "python": "e.python",
    "elapsed": "e.elapsed",
    "size": "e.size",
    "started": "e.started",
}
_TEXTS = frozenset(("function", "by", "git", "python"))
#: Values that people spell otherwise than Python does.
_SPELLED = {"true": "True", "false": "False", "nan": "nan"}
_MOST = 20
#: Names that what is misspelled is compared with, and how long these may be: comparing takes time.
_MOST_NEAR, _LONGEST_NEAR = 1000, 100


class BadFilter(ValueError):
    """What was typed cannot be understood; the message says why."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: a path or the name of a column, an operator, and what to compare with."""

    name: str
    operator: str
    text: str
    number: float | None

    @property
    def on_column(self) -> bool:
        """Whether it is about a column of every evaluation."""
        return self.name in COLUMNS


def parse_filter(text: str, paths: Sequence[str]) -> list[Condition]:
    """The conditions that a text spells, with whole names. Raises BadFilter."""
    conditions: list[Condition] = []
    at = 0
    while text[at:].strip(" ,"):
        found = _CONDITION.match(text, at)
        if found is None or len(conditions) == _MOST:
            raise BadFilter(f"{text[at : at + 40].strip()!r} is no condition; write one as in: lr < 0.1, model = small")
        at = found.end()
        value = found["value"]
        if value[:1] in ('"', "'") and value[:1] == value[-1:] and len(value) > 1:
            value = value[1:-1]
        conditions.append(_condition(find_path(found["name"], paths), found["operator"], value))
    return conditions


def _condition(name: str, operator: str, value: str) -> Condition:
    number = _number(value)
    if number is None:
        if name in COLUMNS and name not in _TEXTS:
            raise BadFilter(f"{name} is compared with a number, not with {value!r}")
        if operator not in ("=", "!=", "~"):
            raise BadFilter(f"{operator} compares numbers, and {value!r} is none")
    if name in ("elapsed", "started") and number is not None:
        number *= 1e6  # People write seconds.
    return Condition(name, operator, value, number)


def _number(value: str) -> float | None:
    """The number that is meant; None for what has no place in any order (nan), which is compared as a text."""
    try:
        number = float(value)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def find_path(name: str, paths: Sequence[str]) -> str:
    """The path that a name stands for. Raises BadFilter, which names what is near."""
    if name in paths:
        return name
    ends = [path for path in paths if path.endswith(f".{name}")]
    if len(ends) == 1:
        return ends[0]
    if not ends and name in COLUMNS:
        return name
    if ends:
        raise BadFilter(f"{name} could be {', '.join(ends[:5])}; write more of it")
    ends = [path.rpartition(".")[2] for path in paths[:_MOST_NEAR]]
    near = difflib.get_close_matches(name, [end for end in ends if len(end) <= _LONGEST_NEAR], 1)
    raise BadFilter(f"there is no field {name}" + (f"; did you mean {near[0]}?" if near else ""))


def condition_sql(condition: Condition) -> tuple[str, list[object]]:
    """The SQL of a condition on a row `e` of evaluations, and its values."""
    if condition.on_column:
        column = COLUMNS[condition.name]
        return _compare(column, column, condition)
    test, values = _compare("v.number", "v.text", condition)
    inner = (
        "SELECT 1 FROM fields f CROSS JOIN field_values v WHERE f.version = e.version AND f.path = ? "
        f"AND v.evaluation = e.id AND v.field = f.id AND {test}"
    )
    return f"EXISTS ({inner})", [condition.name, *values]


def _compare(number: str, text: str, condition: Condition) -> tuple[str, list[object]]:
    if condition.operator == "~":
        return f"instr(lower({text}), lower(?)) > 0", [condition.text]
    operator = "<>" if condition.operator == "!=" else condition.operator
    textual = condition.name in _TEXTS and condition.on_column
    if condition.number is None or textual:
        # A text is shown in quotes where it is an argument, and people leave them out; they write true for True.
        said = condition.text
        values: list[object] = [said, f"'{said}'", _SPELLED.get(said.lower(), said)]
        return f"{text} {'NOT ' if operator == '<>' else ''}IN (?, ?, ?)", values
    return f"{number} {operator} ?", [condition.number]
