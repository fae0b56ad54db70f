"""git-annex: links into `.git/annex/objects`, or files that say `/annex/objects/KEY`, and contents by their keys.

A key is `BACKEND[-sSIZE][-mTIME]--NAME`; the name of most backends is a hash of the content, with the file's extension
where the backend's name ends in `E`.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path

from hitsave.importing.checksums import can_check
from hitsave.importing.history import History
from hitsave.importing.model import Checksum
from hitsave.importing.tracked import Key

_IN_LINK = re.compile(rb"(?:.*/)?(?:annex/objects|\.git/annex/objects)/(?:.*/)?([^/\n]+)")
_IN_FILE = re.compile(rb"/annex/objects/([^/\n]+)(?:\n|$)")
_KEY = re.compile(r"([A-Z0-9_]+)((?:-[a-zA-Z][0-9]+)*)--(.+)")
_SIZE = re.compile(r"-s([0-9]{1,18})")
_BLAKE = re.compile(r"BLAKE2([BS])([0-9]+)")


class AnnexFormat:
    """What git-annex says of contents, and where it keeps them."""

    tool = "git-annex"
    longest = 32 * 1024

    def __init__(self, history: History) -> None:
        self._objects = history.git_folder / "annex" / "objects"

    def key(self, content: bytes, is_link: bool) -> Key | None:
        """A link's target, or a file's first line, ends in the key."""
        found = _IN_LINK.fullmatch(content) if is_link else _IN_FILE.match(content)
        return parse_key(os.fsdecode(found[1])) if found else None

    def places(self, key: Key) -> tuple[str, ...]:
        """Where a look into the folder of objects found it: there are several ways to lay that out."""
        place = self._found.get(key.name)
        return () if place is None else (place,)

    def folders(self) -> set[bytes]:
        """None: it knows files alone."""
        return set()

    @functools.cached_property
    def _found(self) -> dict[str, str]:
        return {key: os.fspath(folder / key) for folder, key in _keys_in(self._objects)}


def _keys_in(objects: Path) -> Iterator[tuple[Path, str]]:
    """Each content lies in a folder of its own, two folders deep, which has the key's name as well."""
    for first in _folders(objects):
        for second in _folders(first):
            for own in _folders(second):
                yield own, own.name


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as listing:
            return [Path(item.path) for item in listing if item.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def parse_key(text: str) -> Key | None:
    """What a key says of its content; None where it is no key."""
    found = _KEY.fullmatch(text)
    if found is None:
        return None
    backend, fields, name = found.groups()
    size = _SIZE.search(fields)
    return Key(text, int(size[1]) if size else None, _checksum(backend, name))


def _checksum(backend: str, name: str) -> Checksum | None:
    """None of a backend that names no hash of the content, or one that nothing here computes."""
    algorithm = backend.removesuffix("E").lower()
    if blake := _BLAKE.fullmatch(backend.removesuffix("E")):
        algorithm = f"blake2{blake[1].lower()}-{blake[2]}"
    value = name.partition(".")[0] if backend.endswith("E") else name
    return Checksum(algorithm, value) if can_check(algorithm) else None
