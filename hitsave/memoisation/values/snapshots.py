"""Snapshots count by their digest alone.

Not by time, place, repository or name: the same file elsewhere is the same argument. A function that looks at
`snapshot.name` should be given the name as an argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hitsave.api import DirectorySnapshot, FileSnapshot
from hitsave.memoisation.values.stream import Form, Parts, item_step, text

if TYPE_CHECKING:
    from hitsave.memoisation.values.digest import ValueDigester


def find_form(cls: type) -> Form | None:
    """The form of a snapshot."""
    return _snapshot if cls in (FileSnapshot, DirectorySnapshot) else None


def _snapshot(digester: ValueDigester, value: Any) -> Parts:
    return Parts(b"V" + text(type(value).__name__) + text(value.digest), (), item_step)
