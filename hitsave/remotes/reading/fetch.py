"""Brings what refs own from a remote into the cache.

Trees and evaluations come first, level by level, for they say what else is needed; then blobs (transfer.py). Everything
is checked: chunk, then object; and only then published, all at once.

A collection may remove what is being read. Where something is not as it should be, and there is a newer commit by now,
the fetch starts over with that one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from hitsave.cache.store import Cache
from hitsave.errors import ObjectNotFound, ReliedOnLost, RemoteCorrupt
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import decode_tree
from hitsave.objects.graph import Link, links
from hitsave.objects.model import EntryKind
from hitsave.objects.refs import Ref
from hitsave.progress import Progress, Silent
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.commits.view import View
from hitsave.remotes.reading.origins import as_made
from hitsave.remotes.reading.reader import Reader, look_again
from hitsave.remotes.reading.transfer import Fetched, Transfer

__all__ = ["Fetched", "Include", "fetch", "starting_over"]

#: Tells by its path inside the tree whether a file is wanted. Where it has a method `may_hold`, that tells of a
#: directory whether anything beneath it may be; the others are not looked into.
Include = Callable[[bytes], bool]
NO_SIZES: Mapping[Digest, int] = MappingProxyType({})
_TRIES = 5
Answer = TypeVar("Answer")
#: A tree or an evaluation, and what the paths beneath it begin with.
_Place = tuple[Digest, ObjectKind, bytes]


@dataclass(slots=True)
class _Needed:
    """What a fetch found out: trees and evaluations that came, blobs to be fetched, and what the cache has already."""

    inner: dict[Digest, tuple[ObjectKind, bytes]] = field(default_factory=dict)
    blobs: set[Digest] = field(default_factory=set)
    present: list[Digest] = field(default_factory=list)
    size: int = 0


def fetch(
    remote: Remote,
    cache: Cache,
    roots: Sequence[tuple[Digest, ObjectKind]],
    refs: Iterable[Ref] = (),
    include: Include | None = None,
    progress: Progress | None = None,
    sizes: Mapping[Digest, int] = NO_SIZES,
) -> Fetched:
    """Fetch `roots` with all beneath them, or of the files those that `include` wants, and publish `refs` with them.

    `sizes` are those of single files, as far as they are known, to tell of the progress.

    With `include`, nothing comes that lies beneath an evaluation.

    Raises ObjectNotFound where the remote lacks something, RemoteCorrupt; then nothing has changed in the cache.
    """
    owned = list(refs)
    return starting_over(
        remote, lambda view: _fetch_once(remote, view, cache, roots, owned, include, progress or Silent(), sizes)
    )


def starting_over(remote: Remote, action: Callable[[View], Answer], view: View | None = None) -> Answer:
    """What `action` gives for a view, the newest one where none is given; again with another one where that may help.

    Raises what `action` raises.
    """
    view = view or remote.latest()
    for _ in range(_TRIES - 1):
        try:
            return action(view)
        except ReliedOnLost:
            view = remote.latest()
        except (RemoteCorrupt, ObjectNotFound) as error:
            view = look_again(remote, view, error)
    return action(view)


def _fetch_once(
    remote: Remote,
    view: View,
    cache: Cache,
    roots: Sequence[tuple[Digest, ObjectKind]],
    refs: list[Ref],
    include: Include | None,
    progress: Progress,
    sizes: Mapping[Digest, int],
) -> Fetched:
    reader = Reader(remote, view)
    needed = _find_needed(cache, reader, roots, include, sizes)
    refs = as_made(view, refs)
    progress.start("fetching", needed.size)
    with cache.intake() as intake:
        received = Transfer(remote, view, reader, intake, progress).run(needed.blobs, needed.inner)
        intake.publish(refs, needed.present, partial=include is not None)
        fetched = Fetched(intake.new_objects, intake.new_bytes, received)
    blobs = [ref for ref in refs if ref.kind is ObjectKind.BLOB]
    if blobs and include is not None:  # There is nothing of a single file to leave out.
        with cache.intake() as intake:
            intake.publish(blobs, [ref.digest for ref in blobs])
    return fetched


def _find_needed(
    cache: Cache,
    reader: Reader,
    roots: Sequence[tuple[Digest, ObjectKind]],
    include: Include | None,
    sizes: Mapping[Digest, int],
) -> _Needed:
    needed = _Needed()
    cache.packset.refresh()
    blobs: dict[Digest, int] = {digest: sizes.get(digest, 0) for digest, kind in roots if kind is ObjectKind.BLOB}
    # A tree is looked into once for each path it stands at where paths decide, and once in all otherwise.
    seen: set[_Place] = set()
    here: set[Digest] = set()
    level: list[_Place] = [(digest, kind, b"") for digest, kind in roots if kind is not ObjectKind.BLOB]
    while level:
        level = [place for place in dict.fromkeys(level) if place not in seen]
        seen.update(level)
        next_level: list[_Place] = []
        for (_, kind, prefix), content in _load_inner(cache, reader, level, needed.inner, here):
            for link, path in _beneath(kind, content, prefix, include):
                if link.kind is ObjectKind.BLOB:
                    blobs[link.digest] = link.size
                else:
                    next_level.append((link.digest, link.kind, path))
        level = next_level
    needed.blobs = cache.missing(blobs)
    needed.present = [*here, *(digest for digest in blobs if digest not in needed.blobs)]
    needed.size = sum(blobs[digest] for digest in needed.blobs)
    return needed


def _beneath(kind: ObjectKind, content: bytes, prefix: bytes, include: Include | None) -> Iterator[tuple[Link, bytes]]:
    """What is wanted of what an object names; of a directory, what its paths begin with where these decide."""
    if include is None:
        yield from ((link, b"") for link in links(kind, content))
    elif kind is ObjectKind.TREE:
        may_hold = getattr(include, "may_hold", _may_hold_anything)
        for entry in decode_tree(content).entries:
            path = prefix + entry.name
            if entry.kind is EntryKind.TREE:
                if may_hold(path):
                    yield Link(entry.digest, ObjectKind.TREE, entry.size), path + b"/"
            elif include(path):
                yield Link(entry.digest, ObjectKind.BLOB, entry.size), b""


def _may_hold_anything(path: bytes) -> bool:
    return True


def _load_inner(
    cache: Cache,
    reader: Reader,
    places: list[_Place],
    inner: dict[Digest, tuple[ObjectKind, bytes]],
    here: set[Digest],
) -> Iterator[tuple[_Place, bytes]]:
    """What stands at these places, out of the remote where the cache lacks it. `inner` and `here` are noted."""
    known = cache.packset.find_known
    away = {digest: kind for digest, kind, _ in places if digest not in inner and digest not in here}
    here.update(digest for digest in away if known(digest))
    found = reader.read_many(digest for digest in away if digest not in here)
    inner |= {digest: (away[digest], content) for digest, content in found.items()}
    for place in places:
        digest = place[0]
        yield place, inner[digest][1] if digest in inner else cache.read(digest)
