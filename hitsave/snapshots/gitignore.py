"""Keeps datasets out of git: the line in `.gitignore` beside them."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

_SPECIAL = re.compile(rb"([\\*?\[])")


def ignore_line(name: bytes) -> bytes | None:
    """The pattern that ignores exactly one name in its directory; None where git has no way to write it."""
    if b"\n" in name or b"\r" in name:
        return None
    line = b"/" + _SPECIAL.sub(rb"\\\1", name)
    trailing = len(line) - len(line.rstrip(b" "))
    return line[: len(line) - trailing] + b"\\ " * trailing


def add_to_gitignore(path: Path) -> bool:
    """Make sure that git ignores `path`; True where a line was added. Raises ValueError where git cannot express it.

    The file keeps its own line endings, and what it says already.
    """
    line = ignore_line(os.fsencode(path.name))
    if line is None:
        raise ValueError("a name with a line break cannot be written into .gitignore")
    file = path.with_name(".gitignore")
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        content = b""
    lines = [existing.rstrip(b"\r") for existing in content.split(b"\n")]
    wanted = {line, line + b"/"} if path.is_dir() and not path.is_symlink() else {line}
    last = next((existing for existing in reversed(lines) if existing.removeprefix(b"!") in wanted), b"!")
    if not last.startswith(b"!"):
        return False
    end = b"\r\n" if b"\r\n" in content else b"\n"
    if content and not content.endswith(b"\n"):
        content += end
    temporary = file.with_name(f".hitsave-{secrets.token_hex(6)}")
    temporary.write_bytes(content + line + end)
    if file.exists():
        os.chmod(temporary, file.stat().st_mode & 0o777)
    os.replace(temporary, file)
    return True
