"""Whose refs there are: datasets, by their paths, and what else somebody owns."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from hitsave.cache.evaluationrows import project_of
from hitsave.errors import WorkspaceError
from hitsave.objects.digest import Digest, is_abbreviation
from hitsave.objects.refs import Namespace, Ref, RefName, unquote_name
from hitsave.repository import Repository
from hitsave.snapshots.pointer import is_pointer, target_path


def versions_of(repository: Repository, path: Path) -> list[Ref]:
    """The versions of the dataset at a path that the cache owns, whether it has a pointer file now or not."""
    owner = _owner_of(repository.workspace.dataset_ref(path, Digest(bytes(32))))
    return [ref for ref in repository.cache.refs(Namespace.DATASETS) if _owner_of(ref.name) == owner]


def versions_among(repository: Repository, refs: Iterable[Ref], path: Path) -> list[Ref]:
    """The refs of the versions of a dataset, which may be named by its pointer file; none outside of the workspace."""
    place = target_path(path) if is_pointer(path) and path.is_file() else path
    try:
        owner = _owner_of(repository.workspace.dataset_ref(place, Digest(bytes(32))))
    except WorkspaceError:
        return []
    return [ref for ref in refs if ref.name.namespace is Namespace.DATASETS and _owner_of(ref.name) == owner]


def _owner_of(name: RefName) -> str:
    """The project and path in a dataset's name."""
    return name.name.rpartition("@")[0]


def own_datasets(repository: Repository, paths: Iterable[Path]) -> dict[str, list[Ref]]:
    """The versions of datasets by the datasets' paths, from the workspace; without paths, of all in this project.

    Raises WorkspaceError where a path is no dataset, and never was one.
    """
    given = list(paths)
    if not given:
        found: dict[str, list[Ref]] = {}
        for ref in repository.project.own_refs(repository.cache):
            if ref.name.namespace is Namespace.DATASETS:
                found.setdefault(_path_of(ref), []).append(ref)
        return found
    chosen: dict[str, list[Ref]] = {}
    for path in given:
        place = target_path(path) if is_pointer(path) and path.is_file() else path
        if refs := versions_of(repository, place):
            chosen[repository.relative(place).as_posix()] = refs
            continue
        try:
            datasets = repository.find_datasets([path])
        except WorkspaceError:
            if repository.workspace.dataset_above(path) is not None:
                raise
            repository.workspace.refuse_other_project(path)
            raise WorkspaceError(f"{path}: no version of it is here") from None
        for dataset in datasets:
            chosen[repository.relative(dataset).as_posix()] = versions_of(repository, dataset)
    return chosen


def _path_of(ref: Ref) -> str:
    """The path of a dataset within its project."""
    return os.fsdecode(unquote_name(_owner_of(ref.name).partition("/")[2]))


def all_owners(repository: Repository) -> dict[str, list[Ref]]:
    """All refs of the cache: datasets of all projects, evaluations by project and function, and snapshots."""
    found: dict[str, list[Ref]] = {}
    for ref in repository.cache.refs():
        found.setdefault(_group_of(ref), []).append(ref)
    return found


def _group_of(ref: Ref) -> str:
    namespace = ref.name.namespace
    if namespace is Namespace.DATASETS:
        return f"{namespace.value}/{os.fsdecode(unquote_name(_owner_of(ref.name)))}"
    if namespace is Namespace.EVALUATIONS:
        owner = f"{project_of(ref.path)}/" if ref.path else ""
        return f"{namespace.value}/{os.fsdecode(unquote_name(owner + ref.name.name.partition('/')[0]))}"
    return namespace.value


def shown_as(refs: Iterable[Ref], text: str) -> list[Ref]:
    """Those of `refs` that 'hitsave du --all --versions' shows so, GROUP@DIGEST; snapshots/DIGEST, too."""
    group, at, digest = text.rpartition("@")
    if not at:
        group, _, digest = text.rpartition("/")
    if not is_abbreviation(digest):
        return []
    found = [ref for ref in refs if str(ref.digest).startswith(digest) and _group_of(ref) == group]
    return [ref for ref in found if at or ref.name.namespace in (Namespace.SNAPSHOTS, Namespace.PUBLIC)]
