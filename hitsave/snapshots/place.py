"""Putting something where something else may stand: the name always holds the old or the new."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from hitsave.cache.store import Cache
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.progress import Progress
from hitsave.snapshots.materialise import Materialised, materialise_blob, materialise_tree
from hitsave.snapshots.staging import staging_in

_Made = TypeVar("_Made")


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
