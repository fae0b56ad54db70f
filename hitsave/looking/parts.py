"""Which part of which datasets is asked for: by patterns, or by paths inside of datasets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from hitsave.errors import WorkspaceError
from hitsave.objects.digest import ObjectKind
from hitsave.objects.model import EntryKind
from hitsave.remotes.reading.fetch import Fetched
from hitsave.repository import Pulled, Repository
from hitsave.snapshots.layout import Include, may_hold, wants_empty
from hitsave.snapshots.names import walk
from hitsave.snapshots.partial import include_globs
from hitsave.snapshots.pointer import is_pointer, load_pointer, pointer_path
from hitsave.transfers import Got

_SPECIAL = re.compile(r"([\\*?\[])")


class Wanted(NamedTuple):
    """Datasets of which the same part is asked for; `named`: by a path inside of one, so that there must be something.

    `asked` is how it was asked for.
    """

    paths: list[Path]
    include: Include | None
    asked: tuple[str, ...] = ()
    named: bool = False


class Chosen(NamedTuple):
    """What is asked for, and the single files whose names match no pattern."""

    wanted: list[Wanted]
    left_alone: list[Path]


def choose(repository: Repository, paths: Iterable[Path], globs: Sequence[str], excluded: Sequence[str]) -> Chosen:
    """What paths and patterns ask for; a path inside of a dataset asks for that part of it.

    Patterns are about the files of a directory by their paths in it, and about a single file by its name. Raises
    WorkspaceError, also for a path inside of a dataset beside patterns.
    """
    given = list(paths)
    inside = {path: part for path in given if (part := _inside(repository, path)) is not None}
    whole = [path for path in given if path not in inside]
    if inside and (globs or excluded):
        path = next(iter(inside))
        raise WorkspaceError(f"{path}: lies in a dataset, and is a part of it already; name it without patterns")
    found = repository.find_datasets(whole) if whole or not inside else []
    include = include_globs(globs, excluded)
    left_alone = [path for path in found if include is not None and not _may_match(path, include)]
    alone = set(left_alone)
    wanted = [Wanted([path for path in found if path not in alone], include, tuple(globs or excluded))]
    by_dataset: dict[Path, list[str]] = {}
    for above, inner in inside.values():
        by_dataset.setdefault(above, []).append(inner)
    wanted += [
        Wanted([above], include_globs(map(_pattern, inner)), tuple(inner), True) for above, inner in by_dataset.items()
    ]
    return Chosen([each for each in wanted if each.paths or not inside], left_alone)


def _inside(repository: Repository, path: Path) -> tuple[Path, str] | None:
    """The dataset that a path lies in, and the path inside; None where it lies in none, or is one itself."""
    place = repository.names.part_of_dataset(os.fspath(path)) or Path(os.path.abspath(path))
    if is_pointer(place) or pointer_path(place).is_file():
        return None
    above = repository.workspace.dataset_above(place)
    return None if above is None else (above, place.relative_to(above).as_posix())


def _pattern(inner: str) -> str:
    """A pattern that matches a path inside of a dataset, and what is beneath it."""
    line = "/" + _SPECIAL.sub(r"\\\1", inner)
    kept = line.rstrip(" ")
    return kept + "\\ " * (len(line) - len(kept))


def _may_match(path: Path, include: Include) -> bool:
    try:
        pointer = load_pointer(pointer_path(path))
    except WorkspaceError:
        return True  # Who comes to it says what is wrong with it.
    return pointer.kind is ObjectKind.TREE or include(os.fsencode(path.name))


def matches_any(repository: Repository, path: Path, include: Include) -> bool:
    """Whether a dataset that was fetched has any of what is wanted. Only trees of the cache are read."""
    pointer = load_pointer(pointer_path(path))
    if pointer.kind is not ObjectKind.TREE:
        return include(os.fsencode(path.name))
    entries = walk(pointer.digest, repository.cache.read, lambda directory: may_hold(include, directory))
    return any(
        include(inner) if entry.kind is not EntryKind.TREE else entry.files == 0 and wants_empty(include, inner)
        for inner, entry in entries
    )


def pull(repository: Repository, wanted: Iterable[Wanted], remote: str | None, force: bool) -> Pulled:
    """Fetch what is wanted, and check it out."""
    done = [repository.pull(each.paths, remote, each.include, force) for each in wanted]
    failed = {path: error for each in done for path, error in each.failed.items()}
    return Pulled(_sum(each.fetched for each in done), [item for each in done for item in each.checked_out], failed)


def fetch(repository: Repository, wanted: Iterable[Wanted], remote: str | None) -> Got:
    """Fetch what is wanted into the cache."""
    done = [repository.fetch(each.paths, remote, each.include) for each in wanted]
    return Got(
        _sum(each.fetched for each in done), {path: error for each in done for path, error in each.failed.items()}
    )


def _sum(amounts: Iterable[Fetched]) -> Fetched:
    return Fetched(*map(sum, zip(Fetched(), *amounts, strict=True)))
