"""What the objects of refs take in the cache, what of it others use as well, and what would be free without them.

An object belongs to one ref, to several of one group, or to several groups. Whatever lies beneath it belongs to these
at least, so that a tree is looked into again only when it turns out to belong to more than was known.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hitsave.cache.store import Cache
from hitsave.errors import ObjectNotFound
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import decode_tree
from hitsave.objects.graph import Link, links
from hitsave.objects.refs import Ref, RefName

#: The owner of what belongs to several groups. Others are numbers of refs, or, of groups, negative ones.
_EVERYONE = 1 << 60


@dataclass(frozen=True, slots=True)
class Usage:
    """What something takes, in bytes. `apparent` is what as many copies of its files would.

    `stored` is what there is of it in the cache, compressed; `shared`, what of that belongs to others too; `freed`,
    what would be free if it went. `files` are those of the newest version.
    """

    apparent: int
    stored: int
    shared: int
    files: int

    @property
    def freed(self) -> int:
        """What nobody else has."""
        return self.stored - self.shared


@dataclass(frozen=True, slots=True)
class GroupUsage:
    """What a group takes, and each of its refs, where that was asked for; the oldest first."""

    whole: Usage
    refs: tuple[tuple[Ref, Usage], ...]


def usage(cache: Cache, groups: Mapping[str, Sequence[Ref]], each: bool = False) -> dict[str, GroupUsage]:
    """What groups of refs take; with `each`, each of their refs as well. Raises CorruptObject."""
    return _Count(cache, groups).run(each)


class _Count:
    def __init__(self, cache: Cache, groups: Mapping[str, Sequence[Ref]]) -> None:
        self._cache = cache
        self._groups = {name: sorted(refs, key=lambda ref: ref.created) for name, refs in groups.items()}
        self._files: dict[Digest, int] = {
            Digest(digest): size
            for digest, size in cache.database.rows("SELECT digest, size FROM files WHERE size > 0")
        }
        self._boxed = {digest: size for digest, _, size in cache.inbox.rows()}
        self._owners: dict[Digest, int] = {}
        #: The group of each ref, by its number.
        self._group_of: list[int] = []

    def run(self, each: bool) -> dict[str, GroupUsage]:
        self._cache.packset.refresh()
        chosen: set[RefName] = {ref.name for refs in self._groups.values() for ref in refs}
        others = [(ref.digest, ref.kind) for ref in self._cache.refs() if ref.name not in chosen]
        self._own([*others, *self._cache.held()], _EVERYONE)
        first: dict[str, int] = {}
        for group, (name, refs) in enumerate(self._groups.items(), 1):
            first[name] = len(self._group_of)
            for ref in refs:
                self._group_of.append(-group)
                self._own([(ref.digest, ref.kind)], len(self._group_of) - 1)
        return {name: self._of_group(refs, first[name], each) for name, refs in self._groups.items()}

    def _of_group(self, refs: Sequence[Ref], first: int, each: bool) -> GroupUsage:
        apparent = [self._apparent(ref) for ref in refs]
        stored, shared = self._sum(refs, None)
        whole = Usage(sum(size for size, _ in apparent), stored, shared, apparent[-1][1] if apparent else 0)
        found = []
        for number, (ref, (size, files)) in enumerate(zip(refs, apparent, strict=True), first):
            if each:
                stored, shared = self._sum([ref], number)
                found.append((ref, Usage(size, stored, shared, files)))
        return GroupUsage(whole, tuple(found))

    def _apparent(self, ref: Ref) -> tuple[int, int]:
        """Bytes and number of the files that a ref holds; nothing where its root is not here."""
        if ref.kind is ObjectKind.BLOB:
            info = self._cache.info(ref.digest)
            return (info.size if info else 0), 1
        beneath = list(self._links(ref.digest, ref.kind))
        return sum(size for size, _ in beneath), sum(files for _, files in beneath)

    def _links(self, digest: Digest, kind: ObjectKind) -> Iterator[tuple[int, int]]:
        with contextlib.suppress(ObjectNotFound):
            content = self._cache.read(digest)
            if kind is ObjectKind.TREE:
                tree = decode_tree(content)
                yield tree.size, tree.files
            else:
                yield from ((link.size, 1) for link in links(kind, content))

    # -- who owns what

    def _own(self, roots: Iterable[tuple[Digest, ObjectKind]], owner: int) -> None:
        pending = list(roots)
        while pending:
            digest, kind = pending.pop()
            known = self._owners.get(digest)
            joint = owner if known is None else self._join(known, owner)
            if joint != known:
                self._owners[digest] = joint
                pending += [(link.digest, link.kind) for link in self._beneath(digest, kind)]

    def _join(self, one: int, other: int) -> int:
        if one == other:
            return one
        if _EVERYONE in (one, other):
            return _EVERYONE
        groups = {self._group_of[owner] if owner >= 0 else owner for owner in (one, other)}
        return groups.pop() if len(groups) == 1 else _EVERYONE

    def _beneath(self, digest: Digest, kind: ObjectKind) -> Iterator[Link]:
        if kind is not ObjectKind.BLOB:
            with contextlib.suppress(ObjectNotFound):  # Of a part that was fetched, some trees are not here.
                yield from links(kind, self._cache.read(digest))

    # -- sums

    def _sum(self, refs: Iterable[Ref], number: int | None) -> tuple[int, int]:
        """Bytes that refs take, and those of them which others have too: other groups, or other refs than `number`."""
        seen: set[Digest] = set()
        pending = [(ref.digest, ref.kind) for ref in refs]
        stored = shared = 0
        while pending:
            digest, kind = pending.pop()
            if digest in seen:
                continue
            seen.add(digest)
            size = self._stored(digest)
            stored += size
            owner = self._owners[digest]
            if owner == _EVERYONE or (number is not None and owner != number):
                shared += size
            pending += [(link.digest, link.kind) for link in self._beneath(digest, kind) if link.digest not in seen]
        return stored, shared

    def _stored(self, digest: Digest) -> int:
        """Bytes on disk; of a packed object, its share of its block."""
        size = self._files.get(digest, 0)
        if location := self._cache.packset.find_known(digest):
            block = location.block
            return size + (location.length * block.stored + block.raw - 1) // block.raw if block.raw else size
        return size + self._boxed.get(digest, 0)
