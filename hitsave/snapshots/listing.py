"""What lies beneath a directory on disk, however deep: os.walk recurses before Python 3.12, and ends at 1000 levels."""

from __future__ import annotations

import os
from collections.abc import Iterator


def paths_beneath(folder: bytes) -> Iterator[tuple[bytes, bool]]:
    """Every path beneath a directory, relative to it, and whether it is a directory; those before what they hold."""
    pending = [b""]
    while pending:
        prefix = pending.pop()
        with os.scandir(os.path.join(folder, prefix)) as listing:
            for item in listing:
                path = prefix + item.name
                is_directory = item.is_dir(follow_symlinks=False)
                yield path, is_directory
                if is_directory:
                    pending.append(path + b"/")
