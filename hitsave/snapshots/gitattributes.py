"""Says in `.gitattributes` how git merges pointer files. The file keeps its line endings, and what else it says."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

#: Pointer files, wherever they lie.
_PATTERN = b"*.hitsave"
_MERGE = b"merge=hitsave"


def add_merge_attribute(file: Path) -> bool:
    """Have git merge pointer files with the driver called hitsave; True where a line was added.

    A line that says so already may say more. Another merge for pointer files is overruled by the new last line.
    """
    content = _read(file)
    if _last_merge(content.splitlines()) == _MERGE:
        return False
    end = b"\r\n" if b"\r\n" in content else b"\n"
    if content and not content.endswith(b"\n"):
        content += end
    _replace(file, content + _PATTERN + b" " + _MERGE + end)
    return True


def drop_merge_attribute(file: Path) -> bool:
    """Take out what `add_merge_attribute` put in, and a file that is then empty; False where it was not there."""
    lines = _read(file).splitlines(keepends=True)
    kept = [line for line in lines if line.split() != [_PATTERN, _MERGE]]
    if len(kept) == len(lines):
        return False
    if kept:
        _replace(file, b"".join(kept))
    else:
        file.unlink()
    return True


def _last_merge(lines: list[bytes]) -> bytes | None:
    """The attribute that holds for merging pointer files, as far as this file says so for them alone."""
    found = None
    for line in lines:
        pattern, *attributes = line.split() or [b""]
        if pattern == _PATTERN:
            merges = [each for each in attributes if each.lstrip(b"-!").partition(b"=")[0] == b"merge"]
            found = merges[-1] if merges else found
    return found


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


def _replace(file: Path, content: bytes) -> None:
    file = Path(os.path.realpath(file))  # A link to the file stays one.
    temporary = file.with_name(f".hitsave-{secrets.token_hex(6)}")
    temporary.write_bytes(content)
    if file.exists():
        os.chmod(temporary, file.stat().st_mode & 0o777)
    os.replace(temporary, file)
