"""The newest commit of a remote that this machine has seen, so that nobody can show it an older state.

It also shortens the next listing of commits. A note that cannot be read or written is as if nothing had been seen.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import NamedTuple

from hitsave.objects.digest import Digest, parse_digest

_NAME = "seen"


class Seen(NamedTuple):
    """A commit by its number and digest."""

    number: int
    digest: Digest


def load_seen(folder: Path) -> Seen | None:
    """What was seen last."""
    try:
        number, digest = (folder / _NAME).read_text(encoding="ascii").split()
        return Seen(int(number), parse_digest(digest))
    except (OSError, ValueError):
        return None


def save_seen(folder: Path, seen: Seen) -> None:
    """Note a commit, unless a newer one was noted. Two processes at once may lose the newer one: it is only a note."""
    before = load_seen(folder)
    if before is not None and before.number >= seen.number:
        return
    temporary = folder / f"{_NAME}.{secrets.token_hex(6)}"
    with contextlib.suppress(OSError):
        temporary.write_text(f"{seen.number} {seen.digest}\n", encoding="ascii")
        os.replace(temporary, folder / _NAME)
