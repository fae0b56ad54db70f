"""Where the symbolic links of a directory lead, as far as that can be told."""

from __future__ import annotations

from collections.abc import Iterable

from hitsave.contents import Contents, Range
from hitsave.errors import ObjectError, RemoteCorrupt
from hitsave.objects.digest import Digest
from hitsave.objects.model import EntryKind, TreeEntry


def targets(contents: Contents, entries: Iterable[TreeEntry], longest: int) -> dict[Digest, bytes]:
    """The targets of the links among some entries by their blobs, read at once.

    Those of more than `longest` bytes are left out, and those that are not there. Raises RemoteError.
    """
    links = list({entry.digest: None for entry in entries if entry.kind is EntryKind.SYMLINK})
    try:
        found = _read(contents, links, longest)
    except (ObjectError, RemoteCorrupt):
        found = [target for link in links for target in _read_one(contents, link, longest)]
    return {link: target for link, target in zip(links, found, strict=True) if target is not None}


def _read(contents: Contents, links: list[Digest], longest: int) -> list[bytes | None]:
    found = contents.read(Range(link, 0, longest + 1) for link in links)
    return [target if len(target) <= longest else None for target in found]


def _read_one(contents: Contents, link: Digest, longest: int) -> list[bytes | None]:
    try:
        return _read(contents, [link], longest)
    except (ObjectError, RemoteCorrupt):
        return [None]
