"""Lays the content of public snapshots out in a store, so that any host of static files can give it.

The ref is committed before: a collection that comes by leaves these keys alone. The tree list is written last, so that
where it is, all files are. What is found there already is what an earlier try has written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from hitsave.errors import RemoteConflict, SnapshotError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import decode_tree
from hitsave.objects.model import EntryKind
from hitsave.packing.treelist import encode_tree_list
from hitsave.progress import Progress
from hitsave.remotes.ahead import in_order
from hitsave.remotes.public.layout import file_key, inner_key, list_key
from hitsave.remotes.transports.protocol import Transport

_DELETED_AT_ONCE = 1000


class Source(NamedTuple):
    """Where content comes from: `load` gives an object, `file` that of a blob which is kept as one."""

    load: Callable[[Digest], bytes]
    file: Callable[[Digest], Path | None]


def check_names(digest: Digest, kind: ObjectKind, source: Source) -> None:
    """Raises SnapshotError where a name cannot stand in a link."""
    if kind is ObjectKind.TREE:
        for path, _ in _files(digest, source):
            _key(digest, path)


def publish(transport: Transport, digest: Digest, kind: ObjectKind, source: Source, progress: Progress) -> int:
    """Write the files of a snapshot; how many. Raises SnapshotError, ObjectNotFound, CorruptObject, RemoteError."""
    if kind is ObjectKind.BLOB:
        _put(transport, file_key(digest), digest, source)
        transport.sync()
        return 1
    files = {_key(digest, path): blob for path, blob in _files(digest, source)}

    def put(item: tuple[str, Digest]) -> None:
        _put(transport, *item, source)

    with in_order(files.items(), put, transport.parallel) as done:
        for _ in done:
            progress.advance(0, 1)
    transport.sync()
    with contextlib.suppress(RemoteConflict):
        transport.put(list_key(digest), [*encode_tree_list(digest, source.load)])
    transport.sync()
    return len(files)


def _files(root: Digest, source: Source) -> Iterator[tuple[bytes, Digest]]:
    waiting = [(b"", root)]
    while waiting:
        above, tree = waiting.pop()
        for entry in decode_tree(source.load(tree)).entries:
            path = above + entry.name
            if entry.kind is EntryKind.TREE:
                waiting.append((path + b"/", entry.digest))
            else:
                yield path, entry.digest


def _key(digest: Digest, path: bytes) -> str:
    try:
        return inner_key(digest, path)
    except ValueError as error:
        raise SnapshotError(f"{path!r}: such a name cannot stand in a link ({error}); rename the file") from None


def _put(transport: Transport, key: str, blob: Digest, source: Source) -> None:
    with contextlib.suppress(RemoteConflict):
        path = source.file(blob)
        if path is None:
            transport.put(key, source.load(blob))
        else:
            transport.put_file(key, path)


def take_back(transport: Transport, digest: Digest) -> int:
    """Remove the files of a snapshot, whose ref is gone; how many keys there were. Raises RemoteError."""
    keys = [key for key in transport.list(file_key(digest)) if key == list_key(digest) or _is_file(key, digest)]
    keys.sort(key=list_key(digest).__ne__)  # The list first: without it, nobody takes the rest for whole.
    for at in range(0, len(keys), _DELETED_AT_ONCE):
        transport.delete(keys[at : at + _DELETED_AT_ONCE])
    return len(keys)


def _is_file(key: str, digest: Digest) -> bool:
    return key == file_key(digest) or key.startswith(f"{file_key(digest)}/")
