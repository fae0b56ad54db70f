"""Where the symbolic links of a directory lead, as far as that can be told."""

from __future__ import annotations

from collections.abc import Iterable

from hitsave.contents import Contents, Range
from hitsave.errors import ObjectError, RemoteCorrupt
from hitsave.objects.digest import Digest
from hitsave.objects.model import EntryKind, TreeEntry


def targets(contents: Contents, entries: Iterable[TreeEntry], longest: int) -> dict[Digest, bytes]:
    """The targets of the links among some entries by their blobs, read at once; not those of more than `longest` bytes.

    None where one of them is not there: to ask for each would take long, and anybody may want to see it. Raises
    RemoteError.
    """
    links = list({entry.digest: None for entry in entries if entry.kind is EntryKind.SYMLINK})
    try:
        found = contents.read(Range(link, 0, longest + 1) for link in links)
    except (ObjectError, RemoteCorrupt):
        return {}
    return {link: target for link, target in zip(links, found, strict=True) if len(target) <= longest}
