"""Going back to what datasets were at a commit, or to one of their versions: first the files, then the pointer file.

Nothing that is saved nowhere is overwritten. What the pointer file named before stays owned by its ref. Where this is
interrupted, the working files are those of either version, and running it again completes the work.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from hitsave.errors import WorkspaceError
from hitsave.naming import Named
from hitsave.objects.digest import ObjectKind
from hitsave.objects.encoding import decode_tree
from hitsave.remotes.reading.fetch import Fetched
from hitsave.repository import Repository
from hitsave.snapshots.checkout import CheckedOut
from hitsave.snapshots.git import file_at, files_at, is_revision, path_at, seen_otherwise
from hitsave.snapshots.gitignore import add_to_gitignore
from hitsave.snapshots.layout import Include
from hitsave.snapshots.pointer import (
    SUFFIX,
    Pointer,
    is_pointer,
    load_pointer,
    parse_pointer,
    pointer_path,
    save_pointer,
    target_path,
)
from hitsave.snapshots.samepart import same_part
from hitsave.transfers import ref_to_fetch


class Returned(NamedTuple):
    """One dataset that went back: what was checked out and fetched, and whether its pointer file changed.

    `in_part`: it was a part of the dataset, and is the same part of this version.
    """

    checked_out: CheckedOut
    fetched: Fetched
    pointer_changed: bool
    in_part: bool = False


def revision_among(repository: Repository, paths: tuple[Path, ...]) -> tuple[str | None, tuple[Path, ...]]:
    """The revision that the first of these words is, if it is one, and the paths.

    A path that exists, or has a pointer file, is a path. REV:PATH, which cannot be mistaken, is both.
    """
    if not paths or os.path.lexists(paths[0]) or pointer_path(paths[0]).is_file():
        return None, paths
    text = os.fspath(paths[0])
    revision, colon, path = text.partition(":")
    root = repository.workspace.root
    if colon and path and is_revision(root, revision):
        return revision, (path_at(root, path), *paths[1:])
    return (text, paths[1:]) if is_revision(root, text) else (None, paths)


def pointers_at(repository: Repository, revision: str, paths: Iterable[Path]) -> dict[Path, Pointer]:
    """The datasets that paths stood for at a revision, all of the workspace without any, with their pointer files.

    Raises WorkspaceError where a path stood for none.
    """
    root = repository.workspace.root
    places: dict[Path, None] = {}
    for path in paths or [root]:
        absolute = Path(os.path.abspath(path))
        repository.workspace.relative(absolute)
        repository.workspace.refuse_other_project(absolute)
        pointer = absolute if is_pointer(absolute) else pointer_path(absolute)
        beneath = files_at(root, revision, absolute, SUFFIX)
        if absolute == root or beneath:
            places.update(dict.fromkeys(beneath))
        else:
            _refuse_inside(repository, revision, absolute)
            places[pointer] = None
    return {target_path(place): _pointer_at(root, revision, place) for place in places}


def versions_among(repository: Repository, paths: Sequence[Path]) -> dict[Path, Pointer]:
    """The datasets and their versions that words such as data@1a2b3c4 mean; none where not a single one is such a word.

    A path that exists, or has a pointer file, is a path. Raises WorkspaceError where some are versions and others not.
    """
    found: dict[Path, Pointer] = {}
    for path in paths:
        if os.path.lexists(path) or pointer_path(path).is_file():
            continue
        if (version := repository.names.version_of(os.fspath(path))) is not None:
            place, named = version
            repository.workspace.refuse_other_project(place)
            found[place] = _pointer_to(repository, place, named)
    if found and len(found) != len(paths):
        raise WorkspaceError("versions of datasets and other paths are checked out one after the other, please")
    return found


def _pointer_to(repository: Repository, path: Path, version: Named) -> Pointer:
    if repository.cache.info(version.digest) is None:
        repository.exchange.config()  # Raises where no remote is set.
    if version.kind is ObjectKind.TREE:
        tree = decode_tree(repository.load(version.digest))
        return Pointer(version.digest, version.kind, tree.size, tree.files)
    executable = version.executable
    if not executable and pointer_path(path).is_file():  # No ref tells.
        executable = load_pointer(pointer_path(path)).executable
    return Pointer(version.digest, version.kind, repository.size_of(version.digest), 1, executable)


def _refuse_inside(repository: Repository, revision: str, path: Path) -> None:
    """Datasets go back as a whole, or by patterns, since their pointer files do."""
    above = None if is_pointer(path) else repository.workspace.dataset_above(path)
    if above is not None and not pointer_path(path).is_file():
        place, inner = os.path.relpath(above), path.relative_to(above).as_posix()
        raise WorkspaceError(
            f"{path}: lies in the dataset {place}; "
            f"'hitsave checkout {revision} --include /{inner} {place}' brings that part of it"
        )


def _pointer_at(root: Path, revision: str, place: Path) -> Pointer:
    try:
        content = file_at(root, revision, place).decode("utf-8", errors="replace")
    except WorkspaceError as error:
        raise WorkspaceError(f"{error}{_hint(root, revision, place)}") from None
    return parse_pointer(content, f"{revision}:{place}")


def _hint(root: Path, revision: str, place: Path) -> str:
    """What may have been meant by a path with no pointer file at `place`: one that is seen from another folder."""
    for other, written in seen_otherwise(root, target_path(place)):
        with suppress(WorkspaceError):
            if files_at(root, revision, other, SUFFIX) or file_at(root, revision, pointer_path(other)):
                return f"; did you mean '{revision}:{written}'?"
    return ""


def go_back(
    repository: Repository, path: Path, pointer: Pointer, force: bool = False, include: Include | None = None
) -> Returned:
    """Make a dataset's working files, or those that `include` wants, and its pointer file what they were.

    Of a dataset of which a part was pulled, these are the same part. What is missing is fetched. Raises UnsavedChanges,
    ObjectNotFound, RemoteError; then its files are as they were.
    """
    fetched: list[Fetched] = []
    same = None if include is not None else same_part(repository.cache, path)
    wanted = include or same
    ref = ref_to_fetch(repository.cache, repository.project, path, pointer)

    def fetch() -> None:
        fetched.append(repository.exchange.fetch([ref], include=wanted))

    fetch()
    done = repository.exchange.repairing(lambda: repository.checkout(path, force, wanted, pointer), fetch)
    changed = save_pointer(pointer_path(path), pointer)
    if repository.workspace.in_git:
        try:
            add_to_gitignore(path)
        except ValueError as error:
            repository.progress.note(f"{path}: {error}; keep it out of git yourself")
    in_part = same is not None and pointer.kind is ObjectKind.TREE
    return Returned(done, Fetched(*map(sum, zip(*fetched, strict=True))), changed, in_part)
