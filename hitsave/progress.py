"""How long work tells of its progress, without knowing who watches."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives counts while work goes on. Every method may be called from any thread."""

    def start(self, what: str, size: int | None = None) -> None:
        """A phase begins: a verb such as "storing"; `size` in bytes where it is known."""

    def advance(self, size: int, files: int = 0) -> None:
        """So many bytes, and files, are done."""

    def note(self, text: str) -> None:
        """One line that a person should see: a warning or a remark."""


class Silent:
    """Nobody watches."""

    def start(self, what: str, size: int | None = None) -> None:
        """Ignored."""

    def advance(self, size: int, files: int = 0) -> None:
        """Ignored."""

    def note(self, text: str) -> None:
        """Ignored."""
