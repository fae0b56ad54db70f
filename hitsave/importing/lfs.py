"""git-lfs: files in git that say `version https://git-lfs...`, and contents by their SHA-256 in git's folder."""

from __future__ import annotations

import os
import re

from hitsave.importing.history import History
from hitsave.importing.model import Checksum
from hitsave.importing.tracked import Key

_VERSION = re.compile(rb"version (https://git-lfs\.github\.com|https://hawser\.github\.com|http://git-media\.io)/")
_OID = re.compile(rb"^oid sha256:([0-9a-f]{64})\r?$", re.MULTILINE)
_SIZE = re.compile(rb"^size ([0-9]{1,18})\r?$", re.MULTILINE)
_LINE = re.compile(rb'((?!")\S+|"([^"\\]*)")((?:\s.*)?)')
#: A pattern that means all of a folder; a folder's own name has no wildcard in it.
_ALL_OF = re.compile(rb"/?([^*?\[\\]*?)/?(?:\*\*/\*|\*\*|\*)")


class LfsFormat:
    """What git-lfs says of contents, and where it keeps them."""

    tool = "git-lfs"
    longest = 1024

    def __init__(self, history: History) -> None:
        storage = history.setting("lfs.storage") or "lfs"
        self._objects = os.path.join(history.git_folder, os.path.expanduser(storage), "objects")
        self._history = history

    def key(self, content: bytes, is_link: bool) -> Key | None:
        """A pointer names the SHA-256 and the size."""
        oid, size = _OID.search(content), _SIZE.search(content)
        if is_link or not _VERSION.match(content) or oid is None or size is None:
            return None
        name = oid[1].decode()
        return Key(name, int(size[1]), Checksum("sha256", name))

    def places(self, key: Key) -> tuple[str, ...]:
        """Two folders deep, by the first digits."""
        return (os.path.join(self._objects, key.name[:2], key.name[2:4], key.name),)

    def folders(self) -> set[bytes]:
        """Those that a `.gitattributes` of any commit gives to git-lfs with a pattern like `data/**`."""
        found: set[bytes] = set()
        for file in self._history.files(lambda name: name == b".gitattributes"):
            above = file.path.rpartition(b"/")[0]
            for line in self._history.read(file.blob).splitlines():
                folder = folder_of(line)
                if folder is not None:
                    found.add(b"/".join(filter(None, (above, folder))))
        return found - {b""}


def folder_of(line: bytes) -> bytes | None:
    """The folder of which a line of `.gitattributes` gives all to git-lfs; None where it says something else."""
    found = _LINE.fullmatch(line.strip())
    if found is None or b"filter=lfs" not in found[3].split():
        return None
    pattern = found[1] if found[2] is None else found[2]
    matched = _ALL_OF.fullmatch(pattern.replace(b"[[:space:]]", b" "))  # So it writes a space.
    return matched[1] if matched else None
