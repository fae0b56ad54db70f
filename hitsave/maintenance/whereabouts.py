"""Under which paths refs have an object: what a person knows a lost file by."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator

from hitsave.cache.store import Cache
from hitsave.errors import ObjectError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import decode_tree
from hitsave.objects.model import EntryKind
from hitsave.objects.refs import Namespace, Ref, unquote_name


def find_paths(cache: Cache, refs: Iterable[Ref], wanted: Collection[Digest]) -> dict[Digest, str]:
    """A path in its project for each of these objects that a dataset or snapshot has, as far as trees can be read."""
    missing, found = set(wanted), dict[Digest, str]()
    for ref in refs:
        if not missing:
            break
        if ref.name.namespace is Namespace.EVALUATIONS or not ref.path:
            continue
        root = unquote_name(ref.path.partition("/")[2])
        for digest, path in _walk(cache, ref, root):
            if digest in missing:
                missing.remove(digest)
                found[digest] = os.fsdecode(path)
    return found


def _walk(cache: Cache, ref: Ref, root: bytes) -> Iterator[tuple[Digest, bytes]]:
    """Everything that a ref owns, with its path; each directory once."""
    seen: set[Digest] = set()
    pending = [(ref.digest, ref.kind, root)]
    while pending:
        digest, kind, path = pending.pop()
        yield digest, path
        if kind is not ObjectKind.TREE or digest in seen:
            continue
        seen.add(digest)
        try:
            entries = decode_tree(cache.read(digest)).entries
        except ObjectError:
            continue
        for entry in entries:
            inner = ObjectKind.TREE if entry.kind is EntryKind.TREE else ObjectKind.BLOB
            pending.append((entry.digest, inner, path + b"/" + entry.name))
