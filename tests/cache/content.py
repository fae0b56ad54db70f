"""Small datasets for tests of the cache."""

from __future__ import annotations

from collections.abc import Mapping

from hitsave.cache.intake import Intake
from hitsave.cache.store import Cache
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import decode_tree, encode_tree, tree_from
from hitsave.objects.graph import links
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Ref, snapshot_ref


def add_tree(intake: Intake, files: Mapping[bytes, bytes]) -> Digest:
    """A tree of these files, all of it given to an intake."""
    entries = [
        TreeEntry(name, EntryKind.FILE, intake.add(ObjectKind.BLOB, content), len(content))
        for name, content in files.items()
    ]
    return intake.add(ObjectKind.TREE, encode_tree(tree_from(entries)))


def ref_to(digest: Digest, kind: ObjectKind = ObjectKind.TREE) -> Ref:
    """A snapshot ref."""
    return Ref(snapshot_ref(digest), digest, kind)


def store(cache: Cache, files: Mapping[bytes, bytes]) -> Digest:
    """Keep a tree of these files, owned by a snapshot ref."""
    with cache.intake() as intake:
        digest = add_tree(intake, files)
        intake.publish([ref_to(digest)])
    return digest


def files_of(cache: Cache, tree: Digest) -> dict[bytes, bytes]:
    """What `store` was given."""
    return {entry.name: cache.read(entry.digest) for entry in decode_tree(cache.read(tree)).entries}


def all_files_of(cache: Cache, digest: Digest, kind: ObjectKind, path: bytes = b"") -> dict[bytes, bytes]:
    """Every file beneath an object, by its path. Raises ObjectError where something is not to be had."""
    if kind is ObjectKind.BLOB:
        return {path: cache.read(digest)}
    found: dict[bytes, bytes] = {}
    if kind is ObjectKind.EVALUATION:
        for number, link in enumerate(links(kind, cache.read(digest))):
            found |= all_files_of(cache, link.digest, link.kind, b"%d" % number)
        return found
    for entry in decode_tree(cache.read(digest)).entries:
        inner = ObjectKind.TREE if entry.kind is EntryKind.TREE else ObjectKind.BLOB
        found |= all_files_of(cache, entry.digest, inner, path + b"/" + entry.name if path else entry.name)
    return found


def owned_by_all(cache: Cache) -> dict[str, dict[bytes, bytes]]:
    """What every ref owns, file by file."""
    return {str(ref.name): all_files_of(cache, ref.digest, ref.kind) for ref in cache.refs()}
