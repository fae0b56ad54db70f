"""Adding datasets. A dataset is a path of the workspace with a pointer file beside it.

Order of `add`: contents and their ref are published in the cache, then the pointer file is written, then `.gitignore`.
A pointer file never names what is not stored. Adding what is stored and owned already changes and reads nothing.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from hitsave.amounts import count
from hitsave.cache.places import Place
from hitsave.cache.store import Cache
from hitsave.errors import MergeConflict, WorkspaceError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import decode_tree
from hitsave.objects.model import Tree
from hitsave.objects.refs import RefName
from hitsave.progress import Progress
from hitsave.snapshots.capture import Captured, CaptureOptions, capture
from hitsave.snapshots.completing import keep_part
from hitsave.snapshots.datasets import MakeRef, Owner, keep, matches, options_for
from hitsave.snapshots.git import is_tracked
from hitsave.snapshots.gitignore import add_to_gitignore
from hitsave.snapshots.ignore import IGNORE_NAME
from hitsave.snapshots.keeping import NameOnly
from hitsave.snapshots.leftout import is_part, note_place, place_of
from hitsave.snapshots.names import Load
from hitsave.snapshots.pointer import (
    Pointer,
    check_pointer_name,
    is_pointer,
    load_pointer,
    pointer_path,
    save_pointer,
    target_path,
)
from hitsave.snapshots.workspace import Workspace, find_pointers


@dataclass(frozen=True, slots=True)
class Added:
    """One dataset after `add`; sizes in bytes, `read` counts files whose content was read.

    `unseen` counts files that are not here, since only a part was pulled, and stay as they were.
    """

    path: Path
    digest: Digest
    kind: ObjectKind
    size: int
    files: int
    read: int
    new_objects: int
    new_size: int
    unseen: int = 0


def add(
    cache: Cache,
    workspace: Workspace,
    path: Path,
    *,
    symlinks: str,
    make_ref: MakeRef,
    load: Load,
    progress: Progress,
) -> Added:
    """Store a dataset and write its pointer file. `load` gives trees that are not here.

    Of a dataset of which a part was pulled, what was never asked for stays as it was. Raises WorkspaceError,
    SnapshotError; of a part also ObjectNotFound, RemoteError.
    """
    path = Path(os.path.abspath(path))
    _check_addable(workspace, path)
    workspace.relative(path)  # Refuses what lies outside before anything is read.
    options = options_for(cache, workspace, path, symlinks)
    base = _base_of(path)
    if base is not None:
        _note_if_moved(cache, path, base, options, progress)
    is_known = base is None or _is_known(cache, path, base.digest)

    def name_ref(captured: Captured) -> RefName:
        if base is not None:
            _refuse_emptied(path, base, captured)
        return workspace.dataset_ref(path, captured.digest)

    progress.start(f"adding {path.name}")
    owner = Owner(name_ref, make_ref)
    if base is not None and base.kind is ObjectKind.TREE and is_part(cache, workspace, path, base.digest):
        kept, unseen = keep_part(cache, path, base.digest, options, owner, load, progress)
    else:
        kept, unseen = keep(cache, path, options, owner, progress), 0
    found = kept.captured
    if base is not None and not is_known and found.files < base.files:
        _note_fewer(path, base, found, progress)
    if base is None and found.kind is ObjectKind.TREE:
        _note_repository(path, decode_tree(cache.read(found.digest)), progress)
    executable = found.executable and found.kind is ObjectKind.BLOB
    pointer = Pointer(found.digest, found.kind, found.size, found.files, executable)
    is_new = save_pointer(pointer_path(path), pointer)
    _note_added(cache, path, found.digest, unseen)
    if workspace.in_git:
        _keep_out_of_git(path, is_new, progress)
    amounts = (found.size, found.files, found.read, kept.new_objects, kept.new_size, unseen)
    return Added(path, found.digest, found.kind, *amounts)


def _is_known(cache: Cache, path: Path, version: Digest) -> bool:
    """Whether this cache has ever had to do with the files at a path, or with this version of them."""
    return place_of(cache, path) is not None or cache.owns_whole(version) or cache.owns_part(version)


def _note_fewer(path: Path, base: Pointer, found: Captured, progress: Progress) -> None:
    """What a cache that is not there any more had pulled in part looks like a dataset of which files were deleted."""
    name, old = os.path.relpath(path), base.digest.short
    progress.note(
        f"{path}: {count(found.files, 'file')}, where its pointer file named {base.files}; "
        f"'hitsave checkout {name}@{old}' goes back, where they were only never pulled to this machine"
    )


def _note_repository(path: Path, tree: Tree, progress: Progress) -> None:
    """Settings and hooks of git may hold what is not for everybody who gets the data."""
    if any(entry.name == b".git" for entry in tree.entries):
        place = os.path.relpath(path / os.fsdecode(IGNORE_NAME))
        progress.note(
            f"{path}: is a repository of git, whose '.git' is kept with it; '.git' in {place} leaves that out"
        )


def _note_added(cache: Cache, path: Path, version: Digest, unseen: int) -> None:
    """Note what the path holds now; where files are not here, only if it is known which were asked for."""
    before = place_of(cache, path) if unseen else Place(version)
    if before is not None:
        note_place(cache, path, before._replace(version=version))


def _refuse_emptied(path: Path, base: Pointer, found: Captured) -> None:
    """Links stand for the files of a dataset, as another tool left them: nobody means to drop these files."""
    if base.files and found.kind is ObjectKind.TREE and not found.files and found.left_out:
        raise WorkspaceError(
            f"{path}: its pointer file names {count(base.files, 'file')}, and only symbolic links are here, which are "
            f"left out; 'hitsave config set symlinks follow' adds what they lead to; without them, "
            f"'hitsave pull {path.name}' brings the files"
        )


def _keep_out_of_git(path: Path, is_new: bool, progress: Progress) -> None:
    """Have git ignore a dataset, and say so where it keeps it already; git is asked about a new version alone."""
    try:
        add_to_gitignore(path)
    except ValueError as error:
        progress.note(f"{path}: {error}; keep it out of git yourself")
    if is_new and is_tracked(path):
        recursively = "-r " if path.is_dir() else ""
        place = shlex.quote(os.path.relpath(path))
        progress.note(f"{path}: git keeps it, too, until you run: git rm {recursively}--cached {place}")


def _check_addable(workspace: Workspace, path: Path) -> None:
    if not os.path.lexists(path):
        hint = " (its pointer file is here: 'hitsave pull' fetches it)" if pointer_path(path).is_file() else ""
        raise WorkspaceError(f"{path}: does not exist{hint}")
    if is_pointer(path) and path.is_file():
        raise WorkspaceError(f"{path}: is a pointer file; add what it points to")
    if path == workspace.root or path in workspace.root.parents:
        raise WorkspaceError(f"{path}: holds the workspace itself; add folders within it")
    if above := workspace.dataset_above(path):
        raise WorkspaceError(f"{path}: lies in the dataset {above}; add that one")
    workspace.refuse_other_project(path.parent)
    if path.name == ".git":
        raise WorkspaceError(f"{path}: is git's own folder")
    check_pointer_name(path)
    if path.is_dir() and not pointer_path(path).is_file():
        _refuse_to_swallow(path)


def _refuse_to_swallow(path: Path) -> None:
    """Datasets within a folder that becomes one would be none any more."""
    for place in find_pointers(path):
        try:
            load_pointer(place)
        except (WorkspaceError, OSError):
            continue  # A file that is only called like one.
        raise WorkspaceError(
            f"{path}: holds the dataset {target_path(place)}, which would become a part of it; "
            f"remove {place} first if that is meant, or add what lies beside it"
        )


def _base_of(path: Path) -> Pointer | None:
    """What the pointer file of a dataset says before it is added. Raises MergeConflict: adding drops one version."""
    try:
        return load_pointer(pointer_path(path))
    except MergeConflict:
        raise
    except (FileNotFoundError, WorkspaceError):
        return None


def _note_if_moved(cache: Cache, path: Path, base: Pointer, options: CaptureOptions, progress: Progress) -> None:
    """Note where git brought another version than these files were made from; it stays owned."""
    place = place_of(cache, path)
    if place is None or place.version == base.digest:
        return
    if not matches(capture(path, NameOnly(), cache.stats, options, progress), base):
        short = base.digest.short
        progress.note(
            f"{path}: its pointer file named {short}, which these files were not made from; "
            f"'hitsave diff {short} {path.name}' shows what is otherwise now"
        )
