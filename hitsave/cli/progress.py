"""Progress on a terminal, drawn by tqdm; where stderr is no terminal, notes alone."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Never

import click

from hitsave.amounts import count
from hitsave.cli.output import one_line

if TYPE_CHECKING:
    from tqdm import tqdm

_STEP = 1 << 20


class Terminal:
    """A bar for each phase, with bytes, rate and number of files."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._drawn = not quiet and sys.stderr.isatty()
        self._lock = threading.Lock()
        self._bar: tqdm[Never] | None = None
        self._files = 0
        self._pending = 0

    def start(self, what: str, size: int | None = None) -> None:
        """Begin a bar; the one before is finished."""
        self.close()
        if self._drawn:
            from tqdm import tqdm

            self._files = 0
            self._bar = tqdm(desc=what, total=size or None, unit="B", unit_scale=True, leave=False, delay=0.3)

    def advance(self, size: int, files: int = 0) -> None:
        """Move the bar on; drawn in steps, since files may be many and small."""
        if self._bar is None:
            return
        with self._lock:
            self._files += files
            self._pending += size
            if self._pending >= _STEP or self._files % 256 == 0:
                if self._files:  # Of a large file, bytes come long before it is done.
                    self._bar.set_postfix_str(count(self._files, "file"), refresh=False)
                self._bar.update(self._pending)
                self._pending = 0

    def note(self, text: str) -> None:
        """One line, above the bar where there is one."""
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.clear()
        click.echo(f"hitsave: {one_line(text)}", err=True)

    def close(self) -> None:
        """Take the bar away."""
        with self._lock:
            if self._bar is not None:
                self._bar.close()
                self._bar = None
            self._pending = 0
