"""Putting something where something else may stand: the name always holds the old or the new."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from hitsave.cache.store import Cache
from hitsave.errors import WorkspaceError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.progress import Progress
from hitsave.snapshots.materialise import Materialised, materialise_blob, materialise_tree
from hitsave.snapshots.staging import staging_in

_Made = TypeVar("_Made")
#: So many links one after the other; then they lead in a circle.
_MOST_LINKS = 40


def behind_links(cache: Cache, path: Path) -> Path:
    """Where to write what a path is to hold: where it leads to, if it is a link, since data may lie on another disk.

    A link to something read-only leads into the cache, or into the store of another tool, in which nothing may change:
    such a link is a place itself. Raises WorkspaceError where links lead nowhere.
    """
    place = path
    for _ in range(_MOST_LINKS):
        if not place.is_symlink():
            break
        target = _target_of(place)
        if _is_stored(cache, target):
            return place
        place = target
    else:
        raise WorkspaceError(f"{path}: is a symbolic link that leads back to itself")
    if place != path and not place.parent.is_dir():
        raise WorkspaceError(
            f"{path}: is a symbolic link to {place}, and there is no folder {place.parent}; make it, or remove the link"
        )
    return place


def _target_of(link: Path) -> Path:
    """Where one link leads; what is a link again stays one."""
    target = os.path.join(os.path.realpath(link.parent), os.readlink(link))
    folder, name = os.path.split(target.rstrip("/") or "/")
    return Path(os.path.realpath(target) if name in ("", ".", "..") else os.path.join(os.path.realpath(folder), name))


def _is_stored(cache: Cache, target: Path) -> bool:
    if target.is_relative_to(os.path.realpath(cache.path)):
        return True
    with contextlib.suppress(OSError):
        found = os.lstat(target)
        return not stat.S_ISLNK(found.st_mode) and not found.st_mode & 0o222
    return False


def put_link(source: Path, place: Path) -> None:
    """Make `place` a symbolic link to `source`. What stands there is removed; the caller has kept it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with staging_in(place.parent) as staging:
        temporary = staging / "new"
        os.symlink(source, temporary, target_is_directory=source.is_dir())
        if _is_directory(place):
            replace_directory(place, lambda: os.rename(temporary, place))
        else:
            os.replace(temporary, place)


def put_object(
    cache: Cache,
    digest: Digest,
    kind: ObjectKind,
    place: Path,
    executable: bool,
    links: Sequence[str],
    progress: Progress,
) -> Materialised:
    """Write a file or directory at `place`. What stands there is removed; the caller has kept it."""

    def make() -> Materialised:
        if kind is ObjectKind.TREE:
            return materialise_tree(cache, digest, place, links=links, progress=progress)
        return materialise_blob(cache, digest, place, executable=executable, links=links, progress=progress)

    if _is_directory(place) or (kind is ObjectKind.TREE and os.path.lexists(place)):
        return replace_directory(place, make)
    return make()


def replace_directory(place: Path, make: Callable[[], _Made]) -> _Made:
    """Move what stands at `place` aside, let `make` put something there, and remove the old; or bring it back."""
    with staging_in(place.parent) as staging:
        aside = staging / "old"
        os.rename(place, aside)
        try:
            return make()
        except BaseException:
            os.rename(aside, place)
            raise


def _is_directory(place: Path) -> bool:
    return place.is_dir() and not place.is_symlink()
