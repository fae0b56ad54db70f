"""Read-only directories under the cache, made out of objects for whoever asks for a path.

They lie in `trees/`, named by the tree's digest, and by what is in them where that is a part of it. Large files are
links into the cache. Each time one is asked for it is looked at again: what somebody changed in it is set aside, and it
is made anew.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from blake3 import blake3

from hitsave.cache.files import remove_tree
from hitsave.cache.store import Cache
from hitsave.errors import ObjectNotFound, SnapshotError
from hitsave.objects.digest import Digest, parse_digest
from hitsave.progress import Progress
from hitsave.snapshots.capture import CaptureOptions, capture
from hitsave.snapshots.keeping import NameOnly
from hitsave.snapshots.layout import Include, Layout, plan_layout
from hitsave.snapshots.materialise import materialise_tree
from hitsave.snapshots.staging import make_removable

_FOLDER = "trees"
_LINKS = ("reflink", "hardlink", "copy")
_AS_STORED = CaptureOptions(symlinks="store")


def read_only_tree(
    cache: Cache, digest: Digest, include: Include | None = None, progress: Progress | None = None
) -> Path:
    """A directory with the files of a tree, or those that `include` wants. Raises ObjectNotFound, CorruptObject."""
    name = _name(digest, None if include is None else plan_layout(digest, cache.read, include))
    path = cache.folder(_FOLDER) / name
    if path.is_dir():
        if _identify(cache, path) == _expected(cache, name):
            return path
        _set_aside(cache, path)
    try:
        materialise_tree(cache, digest, path, links=_LINKS, include=include, read_only=True, progress=progress)
    except OSError:
        if not path.is_dir():  # Otherwise another process was quicker.
            raise
    if include is not None:
        cache.set_setting(f"{_FOLDER}/{name}", str(_identify(cache, path)))
    return path


def _name(digest: Digest, part: Layout | None) -> str:
    if part is None:
        return str(digest)
    wanted = b"\0".join(sorted(part.paths()))
    return f"{digest}.{blake3(wanted).hexdigest()[:16]}"


def _expected(cache: Cache, name: str) -> Digest | None:
    if "." not in name:
        return parse_digest(name)
    known = cache.setting(f"{_FOLDER}/{name}")
    return parse_digest(known) if known else None


def _identify(cache: Cache, path: Path) -> Digest | None:
    try:
        return capture(path, NameOnly(), cache.stats, _AS_STORED).digest
    except (SnapshotError, OSError):
        return None


def _set_aside(cache: Cache, path: Path) -> None:
    path.rename(cache.folder("quarantine") / f"{path.name}.{secrets.token_hex(4)}")


def drop_unowned(cache: Cache, kept: Iterable[Digest] = ()) -> int:
    """Remove the directories of trees that are in the cache no more. Returns how many."""
    removed = 0
    with contextlib.suppress(FileNotFoundError):
        for item in list(os.scandir(cache.path / _FOLDER)):
            try:
                digest = parse_digest(item.name[:64])
            except ValueError:
                continue
            if digest not in set(kept) and not cache.has(digest):
                make_removable(os.fsencode(item.path))
                remove_tree(item.path)
                removed += 1
    return removed


def missing_here(cache: Cache, digest: Digest, include: Include) -> bool:
    """Whether something that `include` wants is not in the cache."""
    try:
        return bool(cache.missing(plan_layout(digest, cache.read, include).digests()))
    except ObjectNotFound:
        return True
